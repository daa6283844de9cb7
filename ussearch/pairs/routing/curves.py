"""What an order of images is worth: quality against the share that goes to the cloud, as figures and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError
from ussearch.evaluators.metrics.paired_bootstrap import DRAWS

Floats = npt.NDArray[np.float64]

ONE_POINT = 0.01
"""Of Dice: how far below the cloud's quality calls are saved at one point."""
LEAST_GAP = 1e-9


@dataclass(frozen=True)
class Curve:
    """``quality`` [N + 1] at the offload shares 0, 1/N, ..., 1."""

    quality: Floats

    @property
    def gap(self) -> float:
        """Mean Dice of the cloud less that of the edge."""
        return float(self.quality[-1] - self.quality[0])

    @property
    def shares(self) -> Floats:
        """The offload shares [N + 1]."""
        return np.linspace(0.0, 1.0, len(self.quality))

    @property
    def area(self) -> float:
        """Area under Q (trapezoids)."""
        return float((self.quality[1:] + self.quality[:-1]).mean() / 2)

    @property
    def apgr(self) -> float | None:
        """Area under PGR(x) = (Q(x) - Q(0)) / (Q(1) - Q(0)), 0.5 for chance; None where both ends are equal."""
        return None if abs(self.gap) < LEAST_GAP else float((self.area - self.quality[0]) / self.gap)

    def skill(self, oracle: Curve) -> float | None:
        """(area - chance's) / (oracle's - chance's): 0 for chance, 1 for the oracle; None where they are equal."""
        chance = float(self.quality[0] + self.quality[-1]) / 2
        return None if oracle.area - chance < LEAST_GAP else (self.area - chance) / (oracle.area - chance)

    @property
    def calls_saved(self) -> float | None:
        """1 - the smallest share with Q at most a point below the cloud's; None where the whole gap is no more."""
        if self.gap <= ONE_POINT + LEAST_GAP:
            return None
        return float(1 - self.shares[np.argmax(self.quality >= self.quality[-1] - ONE_POINT)])


def curve(edge_dice: Floats, cloud_dice: Floats, confidence: Floats) -> Curve:
    """Return the curve of images with Dice [N] of both networks in the order of their ``confidence`` [N]."""
    gains = _tied_means(confidence, cloud_dice - edge_dice)
    return Curve(edge_dice.mean() + np.concatenate([[0.0], np.cumsum(gains)]) / len(gains))


def oracle_confidence(edge_dice: Floats, cloud_dice: Floats) -> Floats:
    """Return the confidence [N] of a router that knows the gain."""
    return edge_dice - cloud_dice


@dataclass(frozen=True)
class CurveRow:
    """One router's figures, each with its 95 % interval (None where it is not defined)."""

    name: str
    apgr: float | None
    apgr_interval: tuple[float, float] | None
    skill: float | None
    skill_interval: tuple[float, float] | None
    calls_saved: float | None


@dataclass(frozen=True)
class CurveComparison:
    """Routers on the same images: a row each, differences of skill from the first to the others, and the gap."""

    images: int
    edge_dice: float
    cloud_dice: float
    gap: float
    gap_interval: tuple[float, float]
    rows: tuple[CurveRow, ...]
    beyond: Mapping[str, tuple[float, float, float]]
    """By name: skill above that of the reference, with its interval (low, high)."""


def compare(
    edge_dice: Floats,
    cloud_dice: Floats,
    groups: npt.NDArray[np.int64],
    confidences: Mapping[str, Floats],
    *,
    reference: str | None = None,
    seed: int = 0,
    draws: int = DRAWS // 2,
) -> CurveComparison:
    """Hold routers against each other on images [N]: ``confidences`` gives the confidence [N] of each by name.

    Intervals are those of a percentile bootstrap over ``groups`` [N] (patients), the same draws for every router.
    """
    drawn = _drawn(groups, draws, seed)
    oracles = [_oracle(edge_dice[d], cloud_dice[d]) for d in drawn]
    tables = {
        name: np.array(
            [_figures(curve(edge_dice[d], cloud_dice[d], each[d]), o) for d, o in zip(drawn, oracles, strict=True)]
        )
        for name, each in confidences.items()
    }
    gaps = [oracle.gap for oracle in oracles]
    rows = tuple(_row(name, edge_dice, cloud_dice, each, tables[name]) for name, each in confidences.items())
    return CurveComparison(
        images=len(edge_dice),
        edge_dice=float(edge_dice.mean()),
        cloud_dice=float(cloud_dice.mean()),
        gap=float((cloud_dice - edge_dice).mean()),
        gap_interval=_interval(np.array(gaps)) or (0.0, 0.0),
        rows=rows,
        beyond=_beyond(rows, tables, reference) if reference else {},
    )


def _beyond(
    rows: tuple[CurveRow, ...], tables: Mapping[str, Floats], reference: str
) -> dict[str, tuple[float, float, float]]:
    skills = {row.name: row.skill for row in rows}
    result = {}
    for name, table in tables.items():
        bounds = _interval(table[:, 1] - tables[reference][:, 1])
        mine, base = skills[name], skills[reference]
        if name != reference and bounds and mine is not None and base is not None:
            result[name] = (mine - base, *bounds)
    return result


def _row(name: str, edge: Floats, cloud: Floats, confidence: Floats, table: Floats) -> CurveRow:
    found = curve(edge, cloud, confidence)
    return CurveRow(
        name=name,
        apgr=found.apgr,
        apgr_interval=_interval(table[:, 0]),
        skill=found.skill(_oracle(edge, cloud)),
        skill_interval=_interval(table[:, 1]),
        calls_saved=found.calls_saved,
    )


def _oracle(edge: Floats, cloud: Floats) -> Curve:
    return curve(edge, cloud, oracle_confidence(edge, cloud))


def _figures(found: Curve, oracle: Curve) -> tuple[float, float]:
    """Return APGR and skill of one draw, NaN where they are not defined."""
    apgr, skill = found.apgr, found.skill(oracle)
    return (np.nan if apgr is None else apgr, np.nan if skill is None else skill)


def _interval(values: Floats) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def _drawn(groups: npt.NDArray[np.int64], draws: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Return indices of images, ``draws`` times: whole groups drawn with replacement."""
    random = np.random.default_rng(seed)
    _, members = np.unique(groups, return_inverse=True)
    order = np.argsort(members, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(members))[:-1])
    return [np.concatenate([parts[n] for n in random.integers(len(parts), size=len(parts))]) for _ in range(draws)]


def _tied_means(confidence: Floats, gain: Floats) -> Floats:
    """Return the gains [N] in ascending order of confidence, those of equal confidence replaced by their mean."""
    _, members, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    return np.repeat(np.bincount(members, gain) / counts, counts)


FORMATS = (".png", ".pdf", ".svg")


def draw_curves(edge_dice: Floats, cloud_dice: Floats, confidences: Mapping[str, Floats], path: Path) -> None:
    """Draw the curves of images [N] to ``path``; raises UserError for a format that cannot be written."""
    from matplotlib.figure import Figure

    if path.suffix.lower() not in FORMATS:
        raise UserError(f"Cannot draw to {path}: expected a name that ends in {', '.join(FORMATS)}.")
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, confidence in confidences.items():
        found = curve(edge_dice, cloud_dice, confidence)
        style = {"random": ":", "oracle": "--"}.get(name, "-")
        axes.plot(100 * found.shares, 100 * found.quality, style, label=name)
    axes.set_xlabel("images sent to the cloud (%)")
    axes.set_ylabel("mean Dice (%)")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
