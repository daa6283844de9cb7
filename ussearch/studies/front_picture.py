"""What the picture of a front shows, whoever draws it: matplotlib, a report's page, or letters in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ussearch.errors import UserError
from ussearch.hardware_profiles import Profile
from ussearch.studies.pareto import ParetoReport
from ussearch.studies.records import TrialRecord
from ussearch.studies.specialise import Specialised

Fit = Literal["edge", "cloud", "neither"]


@dataclass(frozen=True)
class Point:
    """One trial in the picture; ``name`` is that of a preset, empty for sampled architectures.

    ``extrapolated`` latencies are drawn hollow.
    """

    trial_id: int
    name: str
    latency_ms: float
    dice: float
    fit: Fit
    on_front: bool
    extrapolated: bool

    @property
    def label(self) -> str:
        """The preset's name, the trial's number where it is on the front, else nothing."""
        return self.name or (f"#{self.trial_id}" if self.on_front else "")


@dataclass(frozen=True)
class FrontPicture:
    """Everything that the picture shows."""

    title: str
    subtitle: str
    latency_title: str
    limit_ms: float
    limit_title: str
    points: tuple[Point, ...]
    baselines: dict[str, float]


def point_of(record: TrialRecord, on_front: bool) -> Point:
    """Return the point of a trial that finished well, with its costs on the device."""
    costs = record.costs("edge")
    return Point(
        trial_id=record.trial_id,
        name=record.name if record.role == "preset" else "",
        latency_ms=costs.latency_ms,
        dice=record.objective or 0.0,
        fit="edge" if record.feasible("edge") else "cloud" if record.feasible("cloud") else "neither",
        on_front=on_front,
        extrapolated=costs.extrapolated,
    )


def front_picture(report: ParetoReport, data_name: str | None = None) -> FrontPicture:
    """Return what the picture of a report shows; raises UserError where no trial has finished well.

    ``data_name`` is what the data set is called, by its folder unless given.
    """
    config = report.study.config
    good = [record for record in report.records if record.objective is not None]
    if not good:
        raise UserError(f"{report.study.folder} has no trial that finished well: nothing can be drawn; search first.")
    points = tuple(point_of(record, record.trial_id in report.front) for record in good)
    baselines = {name: summary.get("objective") or 0.0 for name, summary in report.study.baselines.items()}
    candidates = f"{len(good)} candidate{'s' if len(good) > 1 else ''}"
    return FrontPicture(
        title=f"{data_name or config.data.name}: {candidates} for {config.edge.title}",
        subtitle=f"{report.fidelity}, {config.image_size}×{config.image_size} pixels, validation images",
        latency_title=f"latency in ms ({good[0].costs('edge').latency_label})",
        limit_ms=config.edge.network_limit_ms(config.image_size),
        limit_title=_limit_title(config.edge),
        points=points,
        baselines=baselines,
    )


def specialised_picture(found: Specialised) -> FrontPicture:
    """Return what the picture of a study's front for another device shows; those beyond its limits as well."""
    config, profile = found.study.config, found.profile
    on_front = {found.fitting[position].record.trial_id for position in found.front}
    points = tuple(
        Point(
            trial_id=each.record.trial_id if each.known.trial is None else each.known.trial,
            name=each.known.architecture.name,
            latency_ms=each.costs.latency_ms,
            dice=each.record.objective or 0.0,
            fit="edge" if each.costs.feasible else "neither",
            on_front=each.record.trial_id in on_front,
            extrapolated=each.costs.extrapolated,
        )
        for each in (*found.fitting, *found.over)
    )
    fidelities = sorted({each.known.evaluation.fidelity for each in found.fitting})
    return FrontPicture(
        title=f"{config.data.name}: {len(points)} candidate{'s' if len(points) > 1 else ''} for {profile.title}",
        subtitle=f"{'; '.join(fidelities)}, {config.image_size}×{config.image_size} pixels, validation images",
        latency_title=f"latency in ms ({profile.label})",
        limit_ms=profile.network_limit_ms(config.image_size),
        limit_title=_limit_title(profile),
        points=points,
        baselines={name: summary.get("objective") or 0.0 for name, summary in found.study.baselines.items()},
    )


def _limit_title(profile: Profile) -> str:
    """Return what the limit line stands for."""
    less = " less post-processing" if profile.postprocessing else ""
    return f"{profile.limits.frames_per_second:g} frames a second{less}"


def staircase(points: Sequence[Point]) -> list[tuple[float, float]]:
    """Return the corners of the best Dice that a latency buys; memory is not in the picture."""
    stairs: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda each: (each.latency_ms, -each.dice)):
        if not stairs or point.dice > stairs[-1][1]:
            stairs.append((point.latency_ms, point.dice))
    return stairs
