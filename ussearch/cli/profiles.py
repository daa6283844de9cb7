"""``ussearch profiles``: devices, and how far each one's numbers can be trusted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ussearch.hardware_profiles import Profile, Validation
    from ussearch.hardware_profiles.calibration.gaps import Gaps

LONGEST, WORTH_MOST = 20, 8
MEASURED_BY_KITS = ("onnxruntime", "TensorRT")
"""Beginnings of the names of runtimes that a kit's program runs."""


def profiles(
    name: Annotated[str | None, typer.Argument(help="Show everything about it; NAME@RUNTIME for another one.")] = None,
    profiles_dir: Annotated[Path | None, typer.Option(help="Folder with profiles of your own.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the devices that can be searched for, or show one with the origin of each number, and what nobody measured.

    Example: ussearch profiles jetson-nano
    """
    from ussearch.cli.console import console, print_json, say
    from ussearch.hardware_profiles import load_profile

    folders = () if profiles_dir is None else (profiles_dir,)
    if name:
        show_profile(load_profile(name, folders), json_output, profiles_dir)
        return
    chosen = every_profile(folders)
    if json_output:
        print_json([_content(profile) for profile in chosen])
        return
    console.print(overview(chosen))
    for profile in chosen:
        say(f"{profile.name}: {profile.trust}")


def show_profile(profile: Profile, json_output: bool, profiles_dir: Path | None) -> None:
    """Print everything about one profile: its fields, what was measured, and what would be worth measuring."""
    from ussearch.cli.console import console, print_json, say
    from ussearch.hardware_profiles.calibration.gaps import CANDIDATES, IMAGE_SIZE, gaps_of

    gaps = gaps_of(profile)
    if json_output:
        print_json({**_content(profile), "gaps": asdict(gaps)})
        return
    console.print(details(profile))
    if profile.validation and profile.validation.coverage:
        console.print(coverage_table(profile.validation))
    say(f"{profile.name}: {profile.trust}")
    say(f"Of {CANDIDATES} random candidates at {IMAGE_SIZE} pixels {gaps.extrapolated:.0%} would be extrapolated.")
    if gaps.classes:
        console.print(gap_table(gaps))
        say(_how_to_measure(profile, profiles_dir))


def _content(profile: Profile) -> dict[str, Any]:
    """Return a profile as JSON-ready data, in one order."""
    content = profile.model_dump(mode="json")
    if content["export"]["allowed_operators"] is not None:
        content["export"]["allowed_operators"].sort()
    return content


def _how_to_measure(profile: Profile, profiles_dir: Path | None) -> str:
    """Return the command that makes a kit, or why a kit does not help."""
    if not profile.runtime.startswith(MEASURED_BY_KITS):
        return f"A kit measures onnxruntime and TensorRT, not {profile.runtime}: nothing here settles these."
    folder = f" --profiles-dir {shlex.quote(str(profiles_dir))}" if profiles_dir else ""
    command = f"ussearch profile kit --like {profile.name}{folder} --networks 10 --out kit"
    return f"Ten networks on the board settle these: {command}"


def every_profile(folders: Sequence[Path]) -> list[Profile]:
    """Return all devices by name, each with all of its runtimes, the default one first."""
    from ussearch.hardware_profiles import load_profile, profile_names

    found = []
    for name in profile_names(folders):
        default = load_profile(name, folders)
        found += [default, *(load_profile(f"{name}@{other}", folders) for other in default.variants[1:])]
    return found


def overview(chosen: Sequence[Profile]) -> Table:
    """Return one row a device and runtime."""
    from rich.table import Column, Table

    table = Table(
        Column("profile", no_wrap=True),
        "runtime, precision",
        Column("frames/s", justify="right"),
        Column("RAM limit", justify="right", no_wrap=True),
        Column("opset", justify="right"),
        "validated on networks left out",
    )
    for profile in chosen:
        limits = profile.limits
        table.add_row(
            profile.name,
            f"{profile.runtime}, {profile.precision}",
            f"{limits.frames_per_second:g}",
            f"{limits.memory_mib:g} MiB",
            str(profile.export.opset),
            validated(profile),
        )
    return table


def validated(profile: Profile) -> str:
    """Return how well latencies are predicted, beside what a count of MACs alone would do."""
    record = profile.validation
    if record is None:
        return "prior only" if profile.prior_only else "datasheet only"
    wrong = "" if record.accuracy.mape is None else f"MAPE {record.accuracy.mape:.1f} %, "
    return f"{record.networks} networks: {wrong}τ {record.accuracy.tau:.2f} (MACs {record.macs_only.tau:.2f})"


def details(profile: Profile) -> Table:
    """Return one row a field, with the origin of its numbers where it differs from that of the row above."""
    from rich.table import Table

    from ussearch.cli.console import whole

    table = Table(*whole("field", "value", "origin"), title=profile.title)
    above = ""
    for field, value in rows(profile).items():
        shown = origin(profile, field)
        table.add_row(field, readable(value), "″" if shown and shown == above else shown)
        above = shown
    return table


def coverage_table(validation: Validation) -> Table:
    """Return one row a class of kernels: how many networks, of how many families, were measured with it."""
    from rich.table import Column, Table

    from ussearch.hardware_profiles.validation import LEAST_FAMILIES, LEAST_NETWORKS

    title = f"Kernels measured; {LEAST_NETWORKS} networks of {LEAST_FAMILIES} families cover a class"
    table = Table(
        "class of kernels",
        *(Column(head, justify="right") for head in ("networks", "families")),
        "covered",
        title=title,
        title_justify="left",
    )
    for name, seen in sorted(validation.coverage.items(), key=lambda item: -item[1].networks):
        table.add_row(name, str(seen.networks), str(seen.families), "yes" if seen.enough else "no")
    return table


def gap_table(gaps: Gaps) -> Table:
    """Return the classes of kernels that are worth most to be measured, one row each."""
    from rich.table import Column, Table

    heads = ("measured: networks, families", "of the milliseconds", "then extrapolated")
    columns = [Column(head, justify="right") for head in heads]
    title = "What is worth most to measure on the board"
    table = Table("class of kernels", *columns, title=title, title_justify="left")
    for gap in gaps.classes[:WORTH_MOST]:
        seen = f"{gap.seen.networks}, {gap.seen.families}" if gap.seen.networks else "none"
        table.add_row(gap.kernel_class, seen, f"{gap.share:.1%}", f"{gap.then_extrapolated:.0%}")
    return table


def rows(profile: Profile) -> dict[str, Any]:
    """Return the fields of a profile and of its parts by dotted name."""
    data = profile.model_dump(mode="json", exclude={"provenance": True, "title": True, "validation": {"coverage"}})
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= {f"{key}.{field}": each for field, each in value.items()} if isinstance(value, dict) else {key: value}
    return found


def origin(profile: Profile, field: str) -> str:
    """Return where a field comes from: its own entry, or that of the part it belongs to."""
    found = profile.provenance.get(field) or profile.provenance.get(field.partition(".")[0])
    return f"{found.basis}: {found.source}" if found else ""


def readable(value: object) -> str:
    """Return a value as a person reads it; long lists and mappings as their length (``--json`` has them in full)."""
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, list):
        return ", ".join(map(readable, value)) if len(value) <= LONGEST else f"{len(value)} names"
    if isinstance(value, dict) and len(value) > LONGEST:
        return f"{len(value)} entries"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {readable(each)}" for key, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
