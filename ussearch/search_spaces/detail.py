"""The detail branch: 1×1 convolutions at one resolution beside the last stages, coupled by mutual gates.

Source: LightAWNet's two branches (papers.md 2.4). Each stage's output gates the branch, the branch gates the input
of the next stage (after its pooling), and at the end the input of the bottleneck.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """Resize bilinearly (``align_corners=True``, as released) to the size of ``like``."""
    if x.shape[2:] == like.shape[2:]:
        return x
    size = (int(like.shape[2]), int(like.shape[3]))
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)


class DetailPath(nn.Module):
    """One 1×1 convolution for each of the stages that it accompanies."""

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        sources = (in_channels, *widths[:-1])
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(sources, widths, strict=True))

    def advance(self, step: int, detail: Tensor) -> Tensor:
        """Return the branch's features beside the ``step``-th accompanied stage."""
        out: Tensor = self.convs[step](detail)
        return out

    def widths(self) -> tuple[int, ...]:
        """Return the widths that the branch has now."""
        return tuple(conv.out_channels for conv in self.convs if isinstance(conv, nn.Conv2d))

    @staticmethod
    def gate(stage_output: Tensor, next_input: Tensor, detail: Tensor) -> tuple[Tensor, Tensor]:
        """Return (gated input of what follows, gated branch); widths of stage and branch are equal."""
        gated_next = next_input * resize_to(detail, next_input).sigmoid()
        gated_detail = detail * resize_to(stage_output, detail).sigmoid()
        return gated_next, gated_detail
