"""``ussearch profiles``: devices, and how far each one's numbers can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ussearch.hardware_profiles import Profile


def profiles(
    name: Annotated[str | None, typer.Argument(help="Show everything about this profile.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the devices that can be searched for, or show one with the origin of each number.

    Example: ussearch profiles jetson-nano
    """

    from ussearch.cli.output import console, print_json
    from ussearch.hardware_profiles import load_profile, profile_names

    chosen = [load_profile(each) for each in ([name] if name else profile_names())]
    if json_output:
        content = [profile.model_dump(mode="json") for profile in chosen]
        print_json(content[0] if name else content)
    else:
        console.print(details(chosen[0]) if name else overview(chosen))
        for profile in [] if name else chosen:
            console.print(f"{profile.name}: {profile.trust}", soft_wrap=True)


def overview(chosen: list[Profile]) -> Table:
    """Return one row a profile."""
    from rich.table import Column, Table

    table = Table(Column("profile", no_wrap=True), "runtime, precision", "frames/s", "RAM limit", "opset")
    for profile in chosen:
        limits = profile.limits
        runtime, memory = f"{profile.runtime}, {profile.precision}", f"{limits.memory_mib:g} MiB"
        table.add_row(profile.name, runtime, f"{limits.frames_per_second:g}", memory, str(profile.export.opset))
    return table


def details(profile: Profile) -> Table:
    """Return one row a field, with the origin of its numbers where it differs from that of the row above."""
    from rich.table import Table

    from ussearch.cli.tables import whole

    data = profile.model_dump(mode="json", exclude={"provenance": True, "title": True, "latency": {"label"}})
    rows = {key: value for key, value in data.items() if not isinstance(value, dict)}
    rows |= {
        f"{key}.{field}": value for key, part in data.items() if isinstance(part, dict) for field, value in part.items()
    }
    table = Table(*whole("field", "value", "origin"), title=profile.title)
    above = ""
    for field, value in rows.items():
        origin = profile.provenance.get(field) or profile.provenance.get(field.split(".")[0])
        shown = f"{origin.basis}: {origin.source}" if origin else ""
        table.add_row(field, readable(value), "″" if shown and shown == above else shown)
        above = shown
    return table


def readable(value: object) -> str:
    """Return a value as a person reads it; long lists as their length (``--json`` has them in full)."""
    if value is None or value == "":
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, sorted(value))) if len(value) <= 20 else f"{len(value)} names"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {each}" for key, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
