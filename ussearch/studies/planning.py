"""Before anything is trained: which presets start the search, what the limits leave, how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ussearch.errors import UserError
from ussearch.evaluators import Evaluator, Tier
from ussearch.search_spaces import Architecture, FreeSpace, SearchSpace, preset_names

ImageSeconds = Callable[[Architecture], float]
LARGEST_SHARE = 0.25
"""A preset that would take more than this share of the run's training time starts only when asked for by name."""
PROBES = 16
"""Random architectures that are priced to see what the limits leave."""


@dataclass(frozen=True)
class Feasibility:
    """What random architectures of the space cost: none is trained."""

    feasible_share: Mapping[Tier, float]
    latency_range_ms: Mapping[Tier, tuple[float, float]]
    latency_interval_ms: Mapping[Tier, tuple[float, float]]
    """From the least lower to the greatest upper end of their intervals."""
    extrapolated_share: Mapping[Tier, float]
    fitting: tuple[Architecture, ...]
    """Those that fit an end; all where none does."""


@dataclass(frozen=True)
class SeedPlan:
    """The presets that start the search, cheapest first, and why the others do not."""

    seeds: tuple[Architecture, ...]
    names: tuple[str, ...] = ()
    """What each was asked for: a preset's name, or a file."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    image_seconds: float = 0.0
    """How long one image trains, summed over the seeds."""


def feasibility(space: SearchSpace | FreeSpace, evaluator: Evaluator, seed: int) -> Feasibility:
    """Price ``PROBES`` random architectures on both ends."""
    architectures = [space.sample(seed + number) for number in range(PROBES)]
    costs = [evaluator.costs(architecture) for architecture in architectures]
    tiers: tuple[Tier, ...] = ("edge", "cloud")
    latencies = {tier: [each[tier].latency_ms for each in costs] for tier in tiers}
    intervals = {tier: [each[tier].latency_interval_ms for each in costs] for tier in tiers}
    fitting = [
        architecture
        for architecture, each in zip(architectures, costs, strict=True)
        if any(each[tier].feasible for tier in tiers)
    ]
    return Feasibility(
        feasible_share={tier: sum(each[tier].feasible for each in costs) / PROBES for tier in tiers},
        latency_range_ms={tier: (min(values), max(values)) for tier, values in latencies.items()},
        latency_interval_ms={
            tier: (min(low for low, _ in values), max(high for _, high in values)) for tier, values in intervals.items()
        },
        extrapolated_share={tier: sum(each[tier].extrapolated for each in costs) / PROBES for tier in tiers},
        fitting=tuple(fitting or architectures),
    )


def plan_seeds(
    evaluator: Evaluator,
    image_size: int,
    trials: int,
    image_seconds: ImageSeconds,
    candidates: Mapping[str, Architecture],
    *,
    typical: float,
    named: bool = False,
) -> SeedPlan:
    """Choose among ``candidates``, by name, what starts a search of ``trials`` trials, at most half of them.

    ``image_seconds`` says how long one image of an architecture trains, ``typical`` is that of the search's own.

    Those that do not divide the image or fit neither profile are left out, as are those that would take over a
    quarter of the run's training time. Where they were ``named`` all are taken as they are given instead.

    Raises UserError where a named preset cannot be trained at this size or within any limits.
    """
    if named:
        return _named_seeds(evaluator, image_size, trials, image_seconds, candidates)
    skipped: dict[str, str] = {}
    priced: list[tuple[float, Architecture]] = []
    for name, architecture in candidates.items():
        reason = _refusal(evaluator, architecture, image_size)
        if reason:
            skipped[name] = reason
        else:
            priced.append((image_seconds(architecture), architecture))
    priced.sort(key=lambda item: item[0])
    chosen: list[tuple[float, Architecture]] = []
    for seconds, architecture in priced:
        total = sum(each for each, _ in chosen) + seconds + typical * max(trials - len(chosen) - 1, 0)
        if len(chosen) >= trials // 2:
            skipped[architecture.name] = f"cheaper presets fill half of the {trials} trials"
        elif seconds > LARGEST_SHARE * total:
            skipped[architecture.name] = (
                f"predicted to take over {LARGEST_SHARE:.0%} of the run's training time each; naming it with "
                "--warm-start forces it"
            )
        else:
            chosen.append((seconds, architecture))
    seeds = tuple(each for _, each in chosen)
    return SeedPlan(seeds, tuple(each.name for each in seeds), skipped, sum(seconds for seconds, _ in chosen))


def _named_seeds(
    evaluator: Evaluator,
    image_size: int,
    trials: int,
    image_seconds: ImageSeconds,
    named: Mapping[str, Architecture],
) -> SeedPlan:
    """Return exactly the named architectures, in their order."""
    if len(named) > trials:
        raise UserError(f"{len(named)} seed presets do not fit into {trials} trials: ask for more trials.")
    seeds = []
    for name, architecture in named.items():
        reason = _refusal(evaluator, architecture, image_size)
        if reason:
            raise UserError(f"{name!r} cannot start this search: {reason}.")
        seeds.append(architecture)
    others = {name: "not among the presets asked for" for name in preset_names() if name not in named}
    return SeedPlan(tuple(seeds), tuple(named), others, sum(map(image_seconds, seeds)))


def _refusal(evaluator: Evaluator, architecture: Architecture, image_size: int) -> str:
    """Return why a preset cannot be trained in this study, or an empty string."""
    divisor = architecture.size_divisor
    if image_size % divisor:
        nearest = max(divisor, round(image_size / divisor) * divisor)
        return f"it needs an image side that is a multiple of {divisor}, not {image_size} (nearest: {nearest})"
    costs = evaluator.costs(architecture)
    if any(each.feasible for each in costs.values()):
        return ""
    return "; ".join(f"{tier}: {_excess(each.excess, each.refused)}" for tier, each in costs.items())


def _excess(excess: Mapping[str, float], refused: Sequence[str]) -> str:
    units = {"latency_ms": "ms", "memory_mib": "MiB"}
    over = [
        f"{amount:.0f} {units[name]} over the limit" for name, amount in excess.items() if amount > 0 and name in units
    ]
    return ", ".join([*over, *refused])
