"""The front and all it was chosen from, as JSON-ready data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ussearch.evaluators import CONVENTION, Summary, Tier
from ussearch.evaluators.evaluation import standing
from ussearch.hardware_profiles import Profile
from ussearch.studies.front import front, front_hypervolume
from ussearch.studies.records import TrialRecord
from ussearch.studies.study import Study

METRICS = ("lesion_dice", "dice_all", "false_positive_rate", "objective", "iou", "auc", "hd95")
"""Figures that every table shows, of networks and of trivial baselines alike."""


@dataclass(frozen=True, repr=False)
class ParetoReport:
    """A study's finished trials with the views of the front; slots name the trials.

    ``front`` is taken over every trial that finished well, with the costs on the device; ``edge`` and ``cloud``
    only over those within the limits of that end, with the costs there.
    """

    study: Study
    records: tuple[TrialRecord, ...]
    front: tuple[int, ...]
    edge: tuple[int, ...]
    cloud: tuple[int, ...]

    def __repr__(self) -> str:
        return f"ParetoReport({len(self.records)} trials, front {list(self.front)})"

    @property
    def ordered(self) -> tuple[TrialRecord, ...]:
        """The front, fastest first, then the dominated trials, best first, then those that failed."""
        by_trial_id = {record.trial_id: record for record in self.records}
        others = [record for record in self.records if record.trial_id not in self.front]
        others.sort(key=lambda record: (record.objective is None, -(record.objective or 0.0)))
        return (*(by_trial_id[trial_id] for trial_id in self.front), *others)

    @property
    def mixed(self) -> bool:
        """Whether accuracies were come by in different ways, so that some cannot be compared."""
        return len({each.evaluation.fidelity for each in self.records if not each.failed}) > 1

    @property
    def fidelity(self) -> str:
        """How the accuracy was come by, in words."""
        kinds = sorted({(each.evaluation.fidelity, each.evaluation.epochs) for each in self.records})
        words = [_in_words(fidelity, epochs) for fidelity, epochs in kinds]
        return "; ".join(words) or "nothing evaluated yet"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        config = self.study.config
        return {
            "study": str(self.study.folder),
            "data": {"name": config.data.name, "fingerprint": config.data.fingerprint},
            "image_size": config.image_size,
            "part": "validation",
            "fidelity": self.fidelity,
            "convention": CONVENTION,
            "asked": config.trials,
            "finished": len(self.records),
            "limits": {tier: _limits(profile, config.image_size) for tier, profile in config.profiles.items()},
            "front": list(self.front),
            "edge_front": list(self.edge),
            "cloud_front": list(self.cloud),
            "hypervolume": front_hypervolume(self.records, config.edge, config.image_size),
            "trials": [self.row(record) for record in self.ordered],
            "baselines": {name: _metrics(summary) for name, summary in self.study.baselines.items()},
            "skipped_presets": dict(config.skipped),
        }

    def row(self, record: TrialRecord) -> dict[str, Any]:
        """Return one trial as JSON-ready data."""
        edge, cloud, inherited = record.costs("edge"), record.costs("cloud"), record.evaluation.inherited
        return {
            "trial": record.trial_id,
            "name": record.name or None,
            "short_name": record.short_label,
            "role": record.role,
            "architecture_id": record.architecture_id,
            "on_front": record.trial_id in self.front,
            "feasible": {"edge": edge.feasible, "cloud": cloud.feasible},
            "failure": record.evaluation.failure,
            "fidelity": record.evaluation.fidelity,
            "epochs": record.evaluation.epochs,
            "age_epochs": record.evaluation.age_epochs,
            "continues": record.continues,
            "inherited": inherited and inherited.model_dump(mode="json"),
            **_metrics(record.evaluation.metrics),
            "latency_ms": edge.latency_ms,
            "latency_source": edge.latency_label,
            "latency_interval_ms": list(edge.latency_interval_ms),
            "extrapolated": edge.extrapolated,
            "memory_mib": edge.memory_mib,
            "cloud_latency_ms": cloud.latency_ms,
            "cloud_latency_interval_ms": list(cloud.latency_interval_ms),
            "cloud_extrapolated": cloud.extrapolated,
            "cloud_memory_mib": cloud.memory_mib,
            "parameters": edge.parameters,
            "macs": edge.macs,
            "file_bytes": edge.file_bytes,
            "training_seconds": record.evaluation.training_seconds,
        }


def pareto_report(study: Study) -> ParetoReport:
    """Return the front of a study, which may be running."""
    records = study.trials()

    def trial_ids(tier: Tier, feasible_only: bool) -> tuple[int, ...]:
        return tuple(record.trial_id for record in front(records, tier, feasible_only, study.baselines))

    return ParetoReport(study, records, trial_ids("edge", False), trial_ids("edge", True), trial_ids("cloud", True))


def _in_words(fidelity: str, epochs: int) -> str:
    """Return how an accuracy was come by; a training that was stopped tells its epochs itself."""
    return fidelity if 0 < standing(fidelity) < 1 else f"{fidelity}, {epochs} epoch{'s' if epochs > 1 else ''}"


def _metrics(summary: Summary) -> dict[str, float | None]:
    return {name: summary.get(name) for name in METRICS}


def _limits(profile: Profile, image_size: int) -> dict[str, Any]:
    return {
        "profile": profile.name,
        "latency_ms": profile.network_limit_ms(image_size),
        "postprocessing_ms": profile.postprocessing_ms(image_size),
        "memory_mib": profile.limits.memory_mib,
    }
