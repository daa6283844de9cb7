"""A network is a function of its architecture: ``build(architecture)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ussearch.search_spaces.architecture import Architecture, Block, DecoderLevel, Skip
from ussearch.search_spaces.blocks import build_block
from ussearch.search_spaces.blocks.fusible import Fusible
from ussearch.search_spaces.bottlenecks import BOTTLENECKS, DetailPath
from ussearch.search_spaces.heads import HeadModule
from ussearch.search_spaces.layers import building_folded
from ussearch.search_spaces.skips import SKIPS

Address = tuple[int, int]
"""(stage, block) of an encoder output."""


def build_blocks(in_channels: int, specs: tuple[Block, ...]) -> tuple[nn.ModuleList, list[int]]:
    """Return the blocks in sequence and the channels after each."""
    modules, channels = nn.ModuleList(), []
    for spec in specs:
        block = build_block(in_channels, spec)
        in_channels = block.out_channels
        modules.append(block)
        channels.append(in_channels)
    return modules, channels


class EncoderStage(nn.Module):
    """Optional pooling and a list of blocks whose outputs skips can address."""

    def __init__(self, in_channels: int, blocks: tuple[Block, ...], down: str) -> None:
        super().__init__()
        self.down = nn.MaxPool2d(2) if down == "maxpool" else nn.Identity()
        self.blocks, self.channels = build_blocks(in_channels, blocks)


class Level(nn.Module):
    """One decoder level: up, merge with the skip, blocks."""

    def __init__(self, in_channels: int, spec: DecoderLevel, skip_channels: int | None) -> None:
        super().__init__()
        self.up, channels = build_blocks(in_channels, spec.up)
        merged = channels[-1] if channels else in_channels
        self.merge: nn.Module | None = None
        if spec.skip is not None and skip_channels is not None:
            merge = SKIPS[spec.skip.op](merged, skip_channels)
            self.merge, merged = merge, merge.out_channels
        self.blocks, channels = build_blocks(merged, spec.blocks)
        self.out_channels = channels[-1] if channels else merged

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """[B, C, H, W] and the skip -> [B, out_channels, H', W']."""
        for block in self.up:
            x = block(x)
        if self.merge is not None:
            x = self.merge(x, skip)
        for block in self.blocks:
            x = block(x)
        return x


class Network(nn.Module):
    """The network of an architecture: images [B, image_channels, H, W] to logits [B, classes, H, W]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self._build_encoder()
        self._build_decoder()

    def _build_encoder(self) -> None:
        spec = self.architecture
        channels, inputs = spec.input_channels, []
        self._stage_channels: list[list[int]] = []
        self.stages = nn.ModuleList()
        for stage_spec in spec.stages:
            stage = EncoderStage(channels, stage_spec.blocks, stage_spec.down)
            inputs.append(channels)
            channels = stage.channels[-1]
            self.stages.append(stage)
            self._stage_channels.append(stage.channels)
        outputs = [channels_of[-1] for channels_of in self._stage_channels]
        self.bottleneck: nn.Module = nn.Identity()
        if spec.bottleneck:
            self.bottleneck = BOTTLENECKS[spec.bottleneck.kind](channels, spec.bottleneck)
        self.detail: DetailPath | None = None
        if spec.detail:
            if list(spec.detail.widths) != outputs[spec.detail.start :]:
                raise ValueError(
                    f"the detail branch's widths {spec.detail.widths} differ from those of the stages "
                    f"beside it {outputs[spec.detail.start :]}: mutual gates need equal widths"
                )
            self.detail = DetailPath(inputs[spec.detail.start], spec.detail.widths)
        self._encoder_channels = channels

    def _build_decoder(self) -> None:
        spec = self.architecture
        channels, widths = self._encoder_channels, []
        self.levels = nn.ModuleList()
        for level_spec in spec.decoder:
            level = Level(channels, level_spec, self._skip_channels(level_spec.skip))
            channels = level.out_channels
            widths.append(channels)
            self.levels.append(level)
        self.head = HeadModule(channels, spec.classes, spec.head)
        self.auxiliary_heads = nn.ModuleDict(
            {str(level): nn.Conv2d(widths[level], spec.classes, 1) for level in spec.deep_supervision}
        )

    def _address(self, skip: Skip) -> Address:
        depth = len(self.architecture.stages[skip.stage].blocks)
        return skip.stage, skip.block % depth

    def _skip_channels(self, skip: Skip | None) -> int | None:
        if skip is None:
            return None
        if skip.source == "detail" and self.architecture.detail:
            return self.architecture.detail.widths[-1]
        stage, block = self._address(skip)
        return self._stage_channels[stage][block]

    def _encode(self, x: Tensor) -> tuple[Tensor, dict[Address, Tensor], Tensor | None]:
        """Return the deepest features, every tapped output and the end of the detail branch."""
        wanted = {self._address(level.skip) for level in self.architecture.decoder if level.skip}
        start = self.architecture.detail.start if self.architecture.detail else len(self.stages)
        taps: dict[Address, Tensor] = {}
        detail: Tensor | None = None
        previous = x
        for index, stage in enumerate(self.stages):
            x = stage.down(previous)  # type: ignore[operator]
            if self.detail is not None and detail is not None:
                x, detail = self.detail.gate(previous, x, detail)
            elif index == start:
                detail = x
            for position, block in enumerate(stage.blocks):  # type: ignore[arg-type]
                x = block(x)
                if (index, position) in wanted:
                    taps[index, position] = x
            if self.detail is not None and detail is not None:
                detail = self.detail.advance(index - start, detail)
            previous = x
        if self.detail is not None and detail is not None:
            x, detail = self.detail.gate(previous, x, detail)
        return x, taps, detail

    def _decode(self, x: Tensor) -> list[Tensor]:
        """Return the features after every decoder level."""
        deepest, taps, detail = self._encode(x)
        features = [self.bottleneck(deepest)]
        for level, spec in zip(self.levels, self.architecture.decoder, strict=True):
            skip = None
            if spec.skip is not None:
                skip = detail if spec.skip.source == "detail" else taps[self._address(spec.skip)]
            features.append(level(features[-1], skip))
        return features

    def _adapt(self, x: Tensor) -> Tensor:
        """Bring an image to the size that the network sees; repeat a grey one to the channels of the first block."""
        spec = self.architecture
        if spec.input_size:
            x = resized(x, (spec.input_size, spec.input_size))
        if spec.image_channels == spec.input_channels:
            return x
        return torch.cat([x] * spec.input_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, image_channels, H, W] -> logits [B, classes, H, W]; H and W are multiples of ``size_divisor``."""
        out: Tensor = self.head(self._decode(self._adapt(x))[-1])
        return resized(out, (int(x.shape[2]), int(x.shape[3]))) if self.architecture.input_size else out

    def forward_all(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits, then those of deep supervision, enlarged to the same size, the finest first."""
        features = self._decode(self._adapt(x))
        main: Tensor = self.head(features[-1])
        size = (int(x.shape[2]), int(x.shape[3])) if self.architecture.input_size else (main.shape[2], main.shape[3])
        extra = [
            resized(self.auxiliary_heads[level](features[int(level) + 1]), size)
            for level in sorted(self.auxiliary_heads, key=int, reverse=True)
        ]
        return (resized(main, size), *extra)

    @property
    def has_schedule(self) -> bool:
        """Whether deep training applies: the network has fusible blocks in training form."""
        return any(isinstance(module, Fusible) and module.first is not None for module in self.modules())

    def set_schedule(self, slope: float) -> None:
        """Set λ of deep training, 0 (ReLU) to 1 (identity, fusable), in every fusible block."""
        if not 0.0 <= slope <= 1.0:
            raise ValueError(f"λ of deep training lies between 0 and 1, not {slope}")
        for module in self.modules():
            if isinstance(module, Fusible):
                module.slope.fill_(slope)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return [B, C, H, W] at another size, half-pixel centres; as it is where it has that size."""
    if (int(x.shape[2]), int(x.shape[3])) == size:
        return x
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def build(architecture: Architecture, device: torch.device | str | None = None) -> Network:
    """Return a freshly initialised network in training form (``device="meta"`` allocates nothing).

    Raises ValueError where blocks contradict each other, such as a residual block that changes its width.
    """
    place = torch.device(device if device is not None else "cpu")
    with _Valueless() if place.type == "meta" else place:
        return Network(architecture)


def build_folded(architecture: Architecture) -> Network:
    """Return the network on the meta device with norms and pairs of convolutions merged from the start.

    ``deploy_`` brings the rest into the deploy form; the whole takes half as long as building first and merging then.
    """
    with building_folded():
        return build(architecture, device="meta")


class _Valueless(TorchFunctionMode):
    """Makes tensors on the meta device and initialises none: without values, that is a third of building."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        arguments = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else arguments["tensor"]
        if func in _CONSTRUCTORS and arguments.get("device") is None:
            arguments = {**arguments, "device": "meta"}
        return func(*args, **arguments)


_CONSTRUCTORS = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.tensor, torch.arange})
