"""Which networks answer in the cloud together, what else was tried, and why: ``cloud/ensemble.json``.

The first network lies in ``cloud/`` as any other (``architecture.yaml``, ``weights.safetensors``), the others beside it
in ``member-2/`` and so on; ``cloud/model.onnx`` is their mean in one file.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ussearch.evaluators.metrics.paired_bootstrap import Change
from ussearch.evaluators.pretrained import Origin

ENSEMBLE = "ensemble.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EnsembleMember(_Part):
    """A trained network that may answer in the cloud."""

    title: str = Field(description="trial and training in words")
    trial: int
    architecture: str = Field(description="name, or id where it has none")
    weights: str = Field(description="SHA-256 of its file")
    objective: float | None = Field(description="on validation images")
    fits_edge: bool = Field(description="whether it keeps within the device's limits, too")
    on_edge: bool = Field(description="whether it is what the device's network came from")
    origins: tuple[Origin, ...] = Field(description="weights of others that its training began with, the latest first")


class EnsembleAttempt(_Part):
    """What was looked at, an average or the strongest network alone.

    ``change`` is that of the objective by validation image, from the single network.
    """

    members: tuple[int, ...] = Field(description="positions among the members")
    flips: bool
    latency_ms: float
    memory_mib: float
    objective: float | None = Field(description="None where it was not tried")
    change: Change | None
    kept: bool
    reason: str

    @property
    def title(self) -> str:
        """What it is, in words."""
        return ensemble_title(len(self.members), self.flips)

    @property
    def averages(self) -> bool:
        """Whether it is an average at all, not the strongest network alone."""
        return len(self.members) > 1 or self.flips


class EnsembleChoice(_Part):
    """What ships: ``chosen`` of ``members`` (the strongest on validation images first), each mirrored with ``flips``.

    ``single`` is the network that the search chose for the cloud, which every attempt is held against.
    """

    made_from: str = Field(description="SHA-256 of all that it depends on")
    members: tuple[EnsembleMember, ...]
    single: int
    attempts: tuple[EnsembleAttempt, ...]
    chosen: tuple[int, ...] = Field(description="positions among the members, in the order of the bundle's folders")
    flips: bool
    reason: str
    model: str = Field(default="", description="SHA-256 of the file that was tried and ships; empty for one network")

    @property
    def title(self) -> str:
        """What ships, in words; empty for a single network that sees a picture once."""
        return "" if len(self.chosen) == 1 and not self.flips else ensemble_title(len(self.chosen), self.flips)

    @property
    def sentence(self) -> str:
        """What ships and why, in words."""
        return f"{self.title or self.members[self.chosen[0]].title}; {self.reason}"

    @property
    def best_attempt(self) -> EnsembleAttempt | None:
        """The average that brought most, whether it ships or not; None where none was tried."""
        tried = [each for each in self.attempts if each.change is not None and each.averages]
        return max(tried, key=lambda each: each.change.mean if each.change else 0.0, default=None)


def ensemble_title(networks: int, flips: bool) -> str:
    """Return what an average is, in words."""
    if networks == 1:
        return "one network on the picture and its mirror image" if flips else "one network"
    return f"the mean of {networks} networks" + (", each on the picture and its mirror image" if flips else "")


def ensemble_notes(choice: EnsembleChoice) -> list[str]:
    """Return what answers together and why, then each network with the weights of others that it began with."""
    return [f"The cloud answers with {choice.sentence}.", *(_note(choice.members[number]) for number in choice.chosen)]


def _note(member: EnsembleMember) -> str:
    began = "; ".join(f"{each.weights}, licence {each.licence}, SHA-256 `{each.sha256}`" for each in member.origins)
    known = f", whose training began with {began}" if began else ""
    return f"Among the cloud's networks: `{member.architecture}` ({member.title}){known}."
