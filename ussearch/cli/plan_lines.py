"""What a run will do, before it does it."""

from __future__ import annotations

from collections.abc import Mapping

from ussearch.cli.console import console
from ussearch.cli.duration import spoken
from ussearch.cli.tables import score_line
from ussearch.studies import StudyConfig
from ussearch.studies.plan import Plan


def print_plan(plan: Plan) -> None:
    """Print what a run will do."""
    config = plan.config
    parts = ", ".join(f"{name} {len(part)}" for name, part in plan.workbench.split.parts().items())
    console.print(f"Data: {config.data.name} ({config.data.reader}), {config.data.images} images: {parts}")
    for group in plan.workbench.split.straddling[:3]:
        console.print(f"  the split file tears apart: {', '.join(group)}")
    console.print(
        f"Space: 10^{plan.space.log10_size:.0f} combinations at {config.image_size}×{config.image_size} pixels"
    )
    for reason in sorted({removal.reason for removal in plan.removals}):
        values = sorted({f"{removal.choice} {removal.value}" for removal in plan.removals if removal.reason == reason})
        console.print(f"  removed for {config.edge.name}: {', '.join(values)}: {reason}")
    if plan.depths_left_out:
        depths = ", ".join(map(str, plan.depths_left_out))
        console.print(f"  left out: {depths} stages, which would halve {config.image_size} pixels below 4")
    for end, profile in config.profiles.items():
        low, high = plan.probe.latency_range_ms[end]
        console.print(
            f"{end.capitalize()}: {profile.name}, at most {profile.limits.latency_target_ms:.1f} ms and "
            f"{profile.limits.memory_mib:.0f} MiB; {plan.probe.feasible_share[end]:.0%} of random architectures fit "
            f"({low:.1f} to {high:.1f} ms, {profile.label})"
        )
        least, most = plan.probe.latency_interval_ms[end]
        console.print(
            f"  90 % intervals within {least:.1f} to {most:.1f} ms; "
            f"{plan.probe.extrapolated_share[end]:.0%} of the predictions are extrapolated (marked ~)"
        )
    console.print(f"Presets first: {', '.join(config.seeds) or 'none'}")
    for reason, names in by_reason(plan.seeds.skipped).items():
        console.print(f"  without {', '.join(names)}: {reason}")
    sampled = config.trials - len(config.seeds)
    console.print(
        f"Trials: {config.trials} ({len(config.seeds)} presets, {sampled} sampled) of "
        f"{config.recipe.epochs} epochs{_rungs(config)}, "
        f"then two full trainings of {config.final_epochs}{_repeats(config.final_seeds)}"
    )
    search, final = spoken(plan.search_seconds), spoken(plan.final_seconds)
    done = f", {plan.finished} of {config.trials} trials are finished" if plan.finished else ""
    console.print(f"Predicted time: search {search}, full training {final} (to about a factor of two){done}")
    console.print("To beat (validation):")
    for name, summary in plan.baselines.items():
        console.print(f"  {name:10s} {score_line(summary)}")


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Return names grouped by their reason."""
    grouped: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        grouped.setdefault(reason, []).append(name)
    return grouped


def _rungs(config: StudyConfig) -> str:
    if config.halving is None:
        return ""
    *earlier, _ = config.halving.epochs(config.recipe.epochs)
    after = " and ".join(map(str, earlier))
    return f" for the best of each {config.halving.bracket}, stopped after {after} else"


def _repeats(seeds: int) -> str:
    return f", each from {seeds} random starts, the best kept" if seeds > 1 else ""
