"""Attention with three projections, written out, in place of the joint one of timm."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SplitAttention(nn.Module):
    """Queries, keys and values from a layer each, scores divided by a constant, an optional bias for each position.

    Args:
        width: channels in and out.
        heads: number of heads.
        key_width: channels of queries and keys, all heads together; ``width`` by default.
        value_width: channels of values; as the keys' by default.
        positions: number of tokens that have learned biases; 0 for none.
    """

    def __init__(
        self, width: int, heads: int, key_width: int | None = None, value_width: int | None = None, positions: int = 0
    ) -> None:
        super().__init__()
        key_width = key_width or width
        value_width = value_width or key_width
        self.heads, self.scale = heads, (key_width // heads) ** 0.5
        self.query = nn.Linear(width, key_width)
        self.key = nn.Linear(width, key_width)
        self.value = nn.Linear(width, value_width)
        self.out = nn.Linear(value_width, width)
        self.biases = nn.Parameter(torch.empty(heads, positions)) if positions else None
        # At inference the biases of all pairs are looked up once, so that what is left is one addition.
        self.pairs = torch.empty(heads, positions, positions)

    def forward(self, x: Tensor, **_: object) -> Tensor:
        """Return the tokens after attention to each other; masks are never given here."""
        batch, tokens, _width = x.shape
        query, key, value = (
            layer(x).view(batch, tokens, self.heads, -1).permute(0, 2, 1, 3)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-1, -2) / self.scale
        if self.biases is not None:
            scores = scores + self.pairs
        mixed = scores.softmax(-1) @ value
        attended: Tensor = self.out(mixed.permute(0, 2, 1, 3).contiguous().view(batch, tokens, -1))
        return attended


def with_split_attention(network: nn.Module) -> nn.Module:
    """Replace every attention of a timm network by one with separate projections, and return the network."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "Attention":
                setattr(parent, name, _split(child))
    return network


def _split(joint: nn.Module) -> SplitAttention:
    width, heads = joint.proj.out_features, joint.num_heads
    biases = getattr(joint, "attention_biases", None)
    if biases is None:
        return SplitAttention(width, heads)
    key_width = joint.key_dim * heads
    return SplitAttention(width, heads, key_width, joint.proj.in_features, biases.shape[1])
