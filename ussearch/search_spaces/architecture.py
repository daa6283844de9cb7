"""An architecture is data: a frozen, hashable value from which the network is built.

A network is an encoder of stages, an optional bottleneck, decoder levels and a head. Stages and levels hold
*blocks*; a block is one flat record, so that YAML files, samplers and predictors share one vocabulary. Widths are
absolute channel counts, because published networks use irregular ones.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ussearch import schema
from ussearch.documents import parse_yaml

Activation = Literal["none", "relu", "relu6", "leaky", "swish", "hswish", "gelu"]
Resample = Literal["none", "maxpool", "bilinear", "nearest"]
Norm = Literal["batch", "layer", "none"]
DYNAMIC_CONV = "dynamic_conv"
"""The feature of kernels that are mixed for each image."""
MAX_CHANNELS = 8192
"""No layer of any network in reach is wider; guards against allocations that a broken file could ask for."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attention(_Data):
    """A gate on features; ``squeeze`` is the absolute bottleneck width of channel attention."""

    kind: str
    squeeze: int = Field(default=0, ge=0, le=MAX_CHANNELS)
    kernel: int = Field(default=3, ge=1, le=15)
    activation: Activation = "relu"
    gate: Literal["sigmoid", "hardsigmoid"] = "sigmoid"
    bias: bool = True
    identity: bool = False
    """Add the input to the gated features: ``x + gate * x`` (LAEDNet 3.2)."""
    linear: bool = False
    """Write the two layers of channel attention as matrix products instead of 1×1 convolutions (LightAWNet)."""


class Block(_Data):
    """One block; which fields a kind reads is declared by its class (``BLOCKS[kind].fields``)."""

    kind: str
    width: int = Field(default=0, ge=0, le=MAX_CHANNELS)
    """Output channels; 0 keeps those that come in."""
    kernel: int = Field(default=3, ge=1, le=15)
    stride: Literal[1, 2] = 1
    resample: Resample = "none"
    """Resampling by two inside the block, between its convolution and its activation."""
    hidden: int = Field(default=0, ge=0, le=MAX_CHANNELS)
    dilation: int = Field(default=1, ge=1, le=16)
    groups: int = Field(default=1, ge=1, le=MAX_CHANNELS)
    bias: bool = False
    norm: Norm = "batch"
    norm_last: bool = False
    """Normalise after the activation instead of before it (CMUNeXt)."""
    eps: float = Field(default=1e-5, gt=0, lt=1)
    activation: Activation = "relu"
    residual: bool = False
    attention: Attention | None = None
    dropout: float = Field(default=0.0, ge=0, lt=1)
    experts: int = Field(default=1, ge=1, le=16)

    @field_validator("kernel")
    @classmethod
    def _odd_or_two(cls, kernel: int) -> int:
        if kernel % 2 == 0 and kernel != 2:
            raise ValueError(f"kernel {kernel} has no centre: use an odd size, or 2 for a transposed convolution")
        return kernel

    @property
    def features(self) -> set[str]:
        """What this block needs of a device (``Architecture.features``)."""
        found = {f"block:{self.kind}", f"activation:{self.activation}"}
        if self.resample != "none":
            found.add(f"resample:{self.resample}")
        if self.attention:
            found.add(f"attention:{self.attention.kind.removesuffix('_concat')}")
        if self.experts > 1:
            found.add(DYNAMIC_CONV)
        if self.norm == "layer" or self.kind == "shifted_mlp":
            found.add("norm:layer")
        if self.norm_last:
            found.add("norm:after_activation")
        return found


def _expand_repeats(blocks: Any) -> Any:
    """Let YAML say ``repeat: 3`` instead of the same block three times."""
    if not isinstance(blocks, list):
        return blocks
    expanded: list[Any] = []
    for block in blocks:
        if isinstance(block, dict) and "repeat" in block:
            rest = {key: value for key, value in block.items() if key != "repeat"}
            expanded.extend([rest] * int(block["repeat"]))
        else:
            expanded.append(block)
    return expanded


class Stage(_Data):
    """Blocks of the encoder; ``down`` pools by two before the first of them."""

    blocks: tuple[Block, ...] = Field(min_length=1, max_length=64)
    down: Literal["none", "maxpool"] = "none"

    @field_validator("blocks", mode="before")
    @classmethod
    def _repeats(cls, blocks: Any) -> Any:
        return _expand_repeats(blocks)


class Skip(_Data):
    """Where a decoder level takes its skip from and how it is merged.

    ``stage`` and ``block`` address the output of one encoder block (negative counts from the end); the source
    ``detail`` is the end of the detail branch.
    """

    op: Literal["concat", "add", "attention_gate"]
    source: Literal["encoder", "detail"] = "encoder"
    stage: int = Field(default=0, ge=0)
    block: int = -1


class DecoderLevel(_Data):
    """``up`` brings features to the resolution of the skip, ``blocks`` work on the merged features."""

    up: tuple[Block, ...] = ()
    skip: Skip | None = None
    blocks: tuple[Block, ...] = ()

    @field_validator("up", "blocks", mode="before")
    @classmethod
    def _repeats(cls, blocks: Any) -> Any:
        return _expand_repeats(blocks)


class Bottleneck(_Data):
    """Attention over all positions between encoder and decoder."""

    kind: str
    ratio: int = Field(default=8, ge=1, le=64)
    outer_residual: bool = False


class DetailBranch(_Data):
    """A 1×1 branch at the resolution of stage ``start``, beside the last ``len(widths)`` stages, with mutual gates."""

    start: int = Field(ge=1)
    widths: tuple[int, ...] = Field(min_length=1)


class Head(_Data):
    """From the last features to logits; ``upsample`` enlarges the logits bilinearly."""

    kind: str = "conv"
    kernel: int = 1
    upsample: Literal[1, 2, 4] = 1
    experts: int = Field(default=1, ge=1, le=16)
    eps: float = Field(default=1e-5, gt=0, lt=1)


class Architecture(_Data):
    """A segmentation network as data. ``id`` names its content; ``name`` and ``derivation`` are labels beside it."""

    name: str = ""
    image_channels: int = Field(default=1, ge=1, le=4)
    """Channels of the image that is fed in; repeated up to ``input_channels`` where these differ."""
    input_channels: int = Field(default=1, ge=1, le=16)
    """Channels that the first block sees."""
    classes: int = Field(default=1, ge=1, le=255)
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=16)
    bottleneck: Bottleneck | None = None
    detail: DetailBranch | None = None
    decoder: tuple[DecoderLevel, ...] = ()
    head: Head = Head()
    deep_supervision: tuple[int, ...] = ()
    """Decoder levels that get a 1×1 head of their own during training."""
    input_size: int | None = Field(default=None, ge=8, le=4096)
    """Side in pixels at which the network sees the image, whatever it is given; the logits have the size of what was
    given. None: as it is given."""
    derivation: str = ""
    """What it was edited from and how, as ``edits.derivation`` writes it; a label like the name."""

    @model_validator(mode="after")
    def _consistent(self) -> Architecture:
        if self.image_channels not in (1, self.input_channels):
            raise ValueError(
                f"image_channels {self.image_channels} cannot become input_channels {self.input_channels}: "
                "use one grey channel or equal numbers"
            )
        for index, level in enumerate(self.decoder):
            self._check_skip(index, level.skip)
        if self.detail and self.detail.start + len(self.detail.widths) != len(self.stages):
            raise ValueError("the detail branch must run beside the last stages: start + len(widths) == stages")
        if any(not 0 <= level < len(self.decoder) for level in self.deep_supervision):
            raise ValueError(f"deep_supervision {self.deep_supervision} names a level that the decoder lacks")
        if self.input_size is not None and self.input_size % (1 << self.downsamplings):
            raise ValueError(f"input_size {self.input_size} is no multiple of {1 << self.downsamplings}")
        return self

    def _check_skip(self, index: int, skip: Skip | None) -> None:
        if skip is None:
            return
        if skip.source == "detail":
            if self.detail is None:
                raise ValueError(f"decoder level {index} takes its skip from a detail branch that is not there")
            return
        if skip.stage >= len(self.stages):
            raise ValueError(f"decoder level {index} takes its skip from stage {skip.stage}, which is not there")
        depth = len(self.stages[skip.stage].blocks)
        if not -depth <= skip.block < depth:
            raise ValueError(f"decoder level {index} takes its skip from block {skip.block} of {depth}")

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits that name the content, whatever it is called."""
        labels = {"name", "derivation"}
        later = set() if self.input_size else {"input_size"}  # ids of before it was there stay
        content = json.dumps(self.model_dump(mode="json", exclude=labels | later), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every block of encoder and decoder in order of use."""
        encoder = [block for stage in self.stages for block in stage.blocks]
        return (*encoder, *(block for level in self.decoder for block in (*level.up, *level.blocks)))

    @property
    def downsamplings(self) -> int:
        """How often the encoder halves the resolution."""
        return sum(
            (stage.down != "none") + sum((b.stride == 2) + (b.resample == "maxpool") for b in stage.blocks)
            for stage in self.stages
        )

    @property
    def features(self) -> frozenset[str]:
        """What the network needs of a device, such as ``block:mbconv``, ``activation:hswish``, ``dynamic_conv``.

        Profiles can refuse these names (``forbidden_features``).
        """
        found = {f"head:{self.head.kind}"}.union(*(block.features for block in self.blocks))
        found |= {f"skip:{level.skip.op}" for level in self.decoder if level.skip}
        if self.head.experts > 1:
            found.add(DYNAMIC_CONV)
        if self.bottleneck:
            found.add(f"bottleneck:{self.bottleneck.kind}")
        if self.detail:
            found.add("detail_branch")
        if self.input_size:
            found.add("resample:bilinear")
        return frozenset(found)

    @property
    def size_divisor(self) -> int:
        """The image side must be a multiple of this."""
        return 1 if self.input_size else 1 << self.downsamplings

    def for_task(self, classes: int = 1, image_channels: int = 1) -> Architecture:
        """Return the same network for a study's task: its number of classes and the channels of its images."""
        data = self.model_dump() | {"classes": classes, "image_channels": image_channels}
        return Architecture.model_validate(data)

    def to_yaml(self) -> str:
        """Return YAML that ``from_yaml`` reads back to an equal value; defaults are left out."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(schema.ARCHITECTURE.numbered(content), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str, source: str = "architecture") -> Architecture:
        """Read an architecture; raises UserError naming ``source`` and the first field that is wrong."""
        return parse_yaml(cls, text, source, schema.ARCHITECTURE)
