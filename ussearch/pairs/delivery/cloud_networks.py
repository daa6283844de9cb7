"""What is trained already and may answer in the cloud: both finalists' trainings, and trials near the front."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ussearch.evaluators import Evaluation, Tier
from ussearch.evaluators.pretrained import origins_in
from ussearch.files import sha256_of
from ussearch.pairs.bundles.ensemble import EnsembleMember
from ussearch.pairs.delivery.full_training import TrainedNetwork, network_of
from ussearch.search_spaces import Architecture, Network
from ussearch.studies import Study
from ussearch.studies.rounds import near_front

BACKWARD = 3.0
"""An image that is learnt from takes about as long as so many that are only answered."""


@dataclass(frozen=True)
class CloudNetwork:
    """A trained network; ``seconds`` is about what it takes to answer an image here."""

    told: EnsembleMember
    architecture: Architecture
    file: Path
    seconds: float

    def network(self) -> Network:
        """Return it in training form and evaluation mode, on the CPU."""
        return network_of(self.architecture, self.file)


def trained_networks(study: Study, finalists: Mapping[Tier, TrainedNetwork]) -> list[CloudNetwork]:
    """Return every trained network within the cloud's limits, the strongest on validation images first.

    Among equals the cloud's own goes first, then the edge's, then trials of the search by number.
    """
    tiers: tuple[Tier, Tier] = ("cloud", "edge")
    found: dict[Path, CloudNetwork] = {}
    for tier, trained in ((tier, finalists[tier]) for tier in tiers):
        if tier == "cloud" or trained.evaluation.costs["cloud"].feasible:
            for each in _runs(study, trained, finalists["edge"].weights):
                found.setdefault(each.file, each)
    for record in near_front(study.trials(), "cloud"):
        if study.has_weights(record.trial_id):
            file, architecture = study.weights_file(record.trial_id), study.architecture(record.trial_id)
            title = f"trial {record.trial_id} as the search left it"
            member = _member(
                record.trial_id, title, architecture, file, record.objective, fits_edge=record.feasible("edge")
            )
            found[file] = CloudNetwork(member, architecture, file, _seconds(study, record.evaluation))
    return sorted(found.values(), key=lambda each: -(each.told.objective or 0.0))


def _runs(study: Study, trained: TrainedNetwork, on_edge: Path) -> list[CloudNetwork]:
    """Return the runs of a full training whose weights were kept, the best one first."""
    runs = []
    fits = trained.evaluation.costs["edge"].feasible
    for number, attempt in enumerate(trained.attempts(), 1):
        if attempt["weights"] is None:
            continue
        file = trained.training.folder / attempt["weights"]
        start = "from inherited weights" if attempt["start"] == "inherited" else "from a fresh start"
        title = f"trial {trained.trial_id}, full training {number} {start}"
        architecture = trained.training.architecture
        member = _member(
            trained.trial_id, title, architecture, file, attempt["objective"], fits_edge=fits, on_edge=file == on_edge
        )
        runs.append(CloudNetwork(member, architecture, file, _seconds(study, trained.evaluation)))
    return sorted(runs, key=lambda each: each.file != trained.weights)


def _member(
    trial: int,
    title: str,
    architecture: Architecture,
    file: Path,
    objective: float | None,
    *,
    fits_edge: bool,
    on_edge: bool = False,
) -> EnsembleMember:
    return EnsembleMember(
        title=title,
        trial=trial,
        architecture=architecture.name or architecture.id,
        weights=sha256_of(file),
        objective=objective,
        fits_edge=fits_edge,
        on_edge=on_edge,
        origins=origins_in(file) or (),
    )


def _seconds(study: Study, evaluation: Evaluation) -> float:
    epoch_s = evaluation.training_seconds / max(len(evaluation.history), 1)
    split = study.split
    return epoch_s / max(BACKWARD * len(split.train) + len(split.validation), 1.0)
