"""What the chain did, step by step, as data."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ussearch.compress.judging import Measures
from ussearch.compress.speed import Comparison
from ussearch.evaluators.paired import Change


class StepRecord(BaseModel):
    """One attempt at a step; ``after`` and what follows are None where it was not tried."""

    model_config = ConfigDict(frozen=True)

    step: str
    settings: dict[str, Any] = {}
    before: Measures
    after: Measures | None = None
    speed: Comparison | None = None
    change: Change | None = None
    """Of Dice per validation image, from before the step to after it."""
    control: Change | None = None
    """The same after the same training without the step."""
    kept: bool
    reason: str
    details: dict[str, Any] = {}
    """What the step itself recorded, such as layers left in float."""
    seconds: float = 0.0

    @property
    def tried(self) -> bool:
        """Whether there is something to compare."""
        return self.after is not None


class UniformRecord(BaseModel):
    """The same architecture with all widths scaled alike, by the same recipe, at the latency of what was pruned."""

    model_config = ConfigDict(frozen=True)

    factor: float
    measures: Measures
    latency_ratio: float | None = None
    """Its latency as a share of that of the network beside it."""
    change: Change
    """From the network beside it to it, per validation image."""
    in_place_of_pruning: bool = False
    """Whether all pruning was undone: the network beside it is the one that came in, else the chain's."""
    shipped: bool
    reason: str
    seconds: float = 0.0


class Compression(BaseModel):
    """A whole chain: every attempt in order, and what left it."""

    model_config = ConfigDict(frozen=True)

    profile: str
    architecture_id: str
    architecture: str
    """Name of the architecture that came in, or its id."""
    records: tuple[StepRecord, ...]
    uniform: UniformRecord | None = None
    skipped: dict[str, str] = {}
    """Steps that did not fit into the budget, with the command that runs them later."""
    start: Measures
    """Of the deploy form of the network that came in: the baseline of every ratio."""
    end: Measures
    speed: Comparison
    """Of the end beside the start."""
    change: Change
    """From the start to the end, per validation image."""
    form: str
    """What was shipped: the chain's steps that were kept, or ``uniform``."""
