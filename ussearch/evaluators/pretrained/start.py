"""What a network starts from, as a study keeps it: which file, whose, under which licence, for which architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators.pretrained.lineage import Origin, earlier_told, licence_and_digest
from ussearch.evaluators.pretrained.mapping import Landing, land
from ussearch.evaluators.pretrained.tensors import read_tensors
from ussearch.search_spaces import Architecture, Network
from ussearch.weights import require_digest, weights_named
from ussearch.weights.asked import AUTO


class PretrainedStart(BaseModel):
    """The weights that one network starts from, decided before anything is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    """Name of the preset, or of the user's architecture."""
    architecture_id: str
    weights: str
    """Name in the catalogue, or of the user's file."""
    part: Literal["encoder", "network"]
    """A published encoder, or all weights of the very network."""
    file: str
    sha256: str
    source: str
    licence: str
    earlier: tuple[Origin, ...] | None = None
    """What the network in a file of the user's own itself began with, the latest first; None where nobody knows."""

    @property
    def told(self) -> str:
        """What people are told of it: ``efficientnet-lite0 (Apache-2.0, SHA-256 579344248a93)``."""
        before = "" if self.part == "encoder" else f"; {earlier_told(self.earlier)}"
        return f"{self.weights} ({licence_and_digest(self.licence, self.sha256)}{before})"

    @property
    def origins(self) -> tuple[Origin, ...]:
        """What a network that starts from it began with, the latest first; the user's own have no name there."""
        own = {"weights": "the user's own"} if self.part == "network" else {}
        this = Origin.model_validate({**self.model_dump(include=set(Origin.model_fields)), **own})
        return this, *(self.earlier or ())

    def landing(self, network: Network, normalisation: Normalisation) -> Landing:
        """Return what lands in ``network``, whose images are scaled by ``normalisation``.

        Raises UserError where the file is gone, has changed or does not fit.
        """
        path = require_digest(self.weights, Path(self.file), self.sha256)
        tensors = read_tensors(path)
        if self.part == "network":
            return Landing(tensors)
        try:
            return land(tensors, weights_named(self.weights), network, normalisation)
        except ValueError as error:
            raise UserError(f"The weights {self.weights} do not fit {self.network}: {error}; see {path}.") from error


class Pretrained(BaseModel):
    """What the networks of a study start from; ``asked`` is how that was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str = "off"
    starts: tuple[PretrainedStart, ...] = ()
    reasons: dict[str, str] = {}
    """Why networks start from scratch for which there are weights, by their names."""

    def of(self, architecture: Architecture) -> PretrainedStart | None:
        """Return what an architecture starts from; None from scratch."""
        return next((start for start in self.starts if start.architecture_id == architecture.id), None)

    def among(self, architectures: tuple[Architecture, ...]) -> Pretrained:
        """Return what is left of it where only these are trained.

        Raises UserError where weights were asked for by name and none of these starts from them.
        """
        if self.starts and self.asked != AUTO and not any(map(self.of, architectures)):
            taking = ",".join(start.network for start in self.starts)
            raise UserError(
                f"--pretrained {self.asked}: the plan begins with no network that takes these weights; name one with "
                f"--warm-start {taking}."
            )
        names = {architecture.name for architecture in architectures}
        ids = {architecture.id for architecture in architectures}
        return self.model_copy(
            update={
                "starts": tuple(start for start in self.starts if start.architecture_id in ids),
                "reasons": {name: reason for name, reason in self.reasons.items() if name in names},
            }
        )


FROM_SCRATCH = Pretrained()
"""Nothing that others trained."""
