"""Before anything is trained: which presets start the search, what the limits leave, how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ussearch.errors import UserError
from ussearch.evaluators import Evaluator, Tier, TrainEvaluator
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture, FreeSpace, SearchSpace, preset_names
from ussearch.studies.budget import LEAST_BASES
from ussearch.studies.samplers import ArchitecturePricing

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
    forced: Collection[str] = (),
) -> SeedPlan:
    """Choose among ``candidates``, by name, what starts a search of ``trials`` trials, at most half of them.

    ``image_seconds`` says how long one image of an architecture trains, ``typical`` is that of the search's own.

    Those that do not divide the image or fit neither profile are left out, as are those that would take over a
    quarter of the run's training time; those ``forced`` are taken however long they train. Where they were ``named``
    all are taken as they are given instead.

    Raises UserError where a named preset cannot be trained at this size or within any limits.
    """
    if named:
        return named_seeds(evaluator, image_size, trials, image_seconds, candidates)
    priced = PricedBases.of(evaluator, image_size, image_seconds, candidates)
    skipped, chosen = dict(priced.refused), list[tuple[float, Architecture]]()
    for seconds, architecture in priced.fitting:
        if architecture.name in forced:
            chosen.append((seconds, architecture))
            continue
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
    return _seed_plan(chosen, skipped, candidates)


BASES_SHARE = 1 / 3
"""Of the search's time, at most, for other bases."""


@dataclass(frozen=True)
class PricedBases:
    """Which bases fit an end, cheapest first, with how long one image of each trains; and why the others do not."""

    fitting: tuple[tuple[float, Architecture], ...]
    refused: Mapping[str, str]
    candidates: Mapping[str, Architecture]
    """All of them, by what they were asked for."""
    pretrained: frozenset[str] = frozenset()
    """Names of the architectures that start from weights which others trained."""

    @classmethod
    def of(
        cls,
        evaluator: Evaluator,
        image_size: int,
        image_seconds: ImageSeconds,
        candidates: Mapping[str, Architecture],
        pretrained: Collection[str] = (),
    ) -> PricedBases:
        """Price ``candidates``, by name."""
        reasons = {name: _refusal(evaluator, each, image_size) for name, each in candidates.items()}
        fitting = [(image_seconds(each), each) for name, each in candidates.items() if not reasons[name]]
        refused = {name: reason for name, reason in reasons.items() if reason}
        return cls(tuple(sorted(fitting, key=lambda item: item[0])), refused, candidates, frozenset(pretrained))

    @property
    def least(self) -> tuple[tuple[float, Architecture], ...]:
        """What no search is planned without: the two cheapest, and the cheapest that starts from others' weights."""
        cheapest = self.fitting[:LEAST_BASES]
        started = [each for each in self.fitting if each[1].name in self.pretrained]
        return (*cheapest, *(each for each in started[:1] if each not in cheapest))

    def epochs_within(self, images: float, search_s: float, most: int) -> int:
        """Return how long bases are trained, at most ``most``: the ``least`` take a third of the search at most.

        ``images`` are those of an epoch, ``search_s`` the seconds of all workers together.
        """
        epoch_s = images * sum(seconds for seconds, _ in self.least)
        return max(1, min(most, int(BASES_SHARE * search_s / epoch_s))) if epoch_s else most

    def within(self, images: float, search_s: float, epochs: int, forced: Collection[str] = ()) -> SeedPlan:
        """Return the bases that a search of ``search_s`` seconds trains for ``epochs`` epochs of ``images`` images.

        Those ``forced``, by name, are among them. What starts from others' weights is taken before what does not.
        """
        chosen, skipped = list(self.least), dict(self.refused)
        others = [each for each in self.fitting if each not in chosen]
        for seconds, architecture in sorted(others, key=lambda each: each[1].name not in self.pretrained):
            if (
                architecture.name in forced
                or images * epochs * (sum(each for each, _ in chosen) + seconds) <= BASES_SHARE * search_s
            ):
                chosen.append((seconds, architecture))
            else:
                skipped[architecture.name] = (
                    "published networks may take a third of the search, and cheaper ones do; a longer --budget or "
                    "--warm-start brings it in"
                )
        return _seed_plan(chosen, skipped, self.candidates)


def _seed_plan(
    chosen: Sequence[tuple[float, Architecture]], skipped: Mapping[str, str], candidates: Mapping[str, Architecture]
) -> SeedPlan:
    asked = {each.id: name for name, each in candidates.items()}
    seeds = tuple(each for _, each in chosen)
    return SeedPlan(seeds, tuple(asked[each.id] for each in seeds), skipped, sum(seconds for seconds, _ in chosen))


def named_seeds(
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


def require_satisfiable(
    space: SearchSpace | FreeSpace, seen: Feasibility, seeds: SeedPlan, evaluator: TrainEvaluator, edge: Profile
) -> None:
    """Raise UserError where no preset, scaled down or not, and no random architecture keeps within the limits."""
    if seen.feasible_share["edge"] > 0 or any(evaluator.costs(each)["edge"].feasible for each in seeds.seeds):
        return
    pricing = ArchitecturePricing(space, evaluator, "edge")
    if isinstance(space, SearchSpace) and any(pricing.scales_within(base) for base in space.bases):
        return
    low, high = seen.latency_range_ms["edge"]
    image_size = evaluator.images.image_size
    raise UserError(
        f"Nothing fits {edge.name}: its limit is {edge.limits_in_words(image_size)}; random architectures take "
        f"{low:.1f} to {high:.1f} ms at {image_size} pixels, and no preset fits with the narrowest widths; choose a "
        "smaller --image-size or another profile."
    )
