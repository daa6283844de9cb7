"""What is kept of every candidate."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ussearch.deprecations import old_attribute
from ussearch.evaluators import Costs, Evaluation, Tier

Role = Literal["preset", "edge", "cloud"]
"""Why a candidate is there: a published network, or sampled for one of the ends."""

Objectives = tuple[float, float, float]
"""Dice (maximised), latency in ms (minimised), memory in MiB (minimised)."""


class TrialRecord(BaseModel):
    """One finished candidate; ``record.json`` in its folder is the truth about it.

    ``trial_id`` numbers the candidates of a study from 0; it names the folder and seeds both the sampler and the
    training, so that a candidate that was interrupted comes out the same when it is tried again.
    """

    model_config = ConfigDict(frozen=True)

    trial_id: int
    role: Role
    name: str = ""
    """Of the preset; empty for sampled architectures."""
    architecture_id: str
    choices: dict[str, Any] | None = None
    """Choices of the space that compose it; None where an older study has none for its presets."""
    continues: int | None = None
    """The trial whose training goes on in this one; None for a candidate of its own."""
    sampler_attributes: dict[str, Any] = {}
    """What the sampler needs to remember of this trial, such as its generation."""
    started: str
    finished: str
    weights_bytes: int = 0
    """Of its weights when they were kept; 0 in older records and where there are none."""
    evaluation: Evaluation

    @property
    def label(self) -> str:
        """What it is called, such as ``LV-UNet, stage 3 × 0.75``, or the architecture's id."""
        return self.name or self.architecture_id

    @property
    def short_label(self) -> str:
        """The label where there is little room: ``lv-unet +3`` for a base with three edits."""
        edits = self.name.count(", ")
        base = (self.choices or {}).get("base")
        return f"{base} +{edits}" if base and edits and self.role != "preset" else self.label

    @property
    def told_start(self) -> str:
        """What it started from, in words: ``goes on from 3``; empty where that is no trial."""
        inherited = self.evaluation.inherited
        if inherited is None:
            return ""
        return f"goes on from {self.continues}" if self.continues is not None else f"from {inherited.relative}"

    @property
    def failed(self) -> bool:
        """Whether training failed; ``evaluation.failure`` tells why."""
        return self.evaluation.failure is not None

    @property
    def objective(self) -> float | None:
        """The Dice objective (``evaluators.metrics.segmentation.objective_of``); None where training failed."""
        return self.evaluation.objective

    slot = old_attribute("ussearch.studies.TrialRecord", "slot")
    dice = old_attribute("ussearch.studies.TrialRecord", "dice")

    def costs(self, tier: Tier = "edge") -> Costs:
        """Return the costs on one end."""
        return self.evaluation.costs[tier]

    def feasible(self, tier: Tier) -> bool:
        """Return whether the candidate keeps within the limits of an end."""
        return self.costs(tier).feasible

    def objectives(self, tier: Tier = "edge") -> Objectives | None:
        """Return the objectives with the costs of one end; None where training failed."""
        if self.objective is None:
            return None
        return self.objective, self.costs(tier).latency_ms, self.costs(tier).memory_mib
