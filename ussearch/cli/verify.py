"""``ussearch verify``: replay a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[
        Path | None, typer.Option(help="Recompute the metrics on this data set (phantoms: the built-in ones).")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a bundle byte by byte, its models' rules and its test vectors; status 1 where anything differs.

    Example: ussearch verify bundle --data ../shared/data/busi
    """
    from rich.table import Table

    from ussearch.cli.output import console, print_json
    from ussearch.pairs import verify_bundle

    result = verify_bundle(bundle, data)
    if json_output:
        print_json(result.to_dict())
    else:
        table = Table("check", "result", "seen", title=f"{bundle}: {'accepted' if result.passed else 'REFUSED'}")
        for check in result.checks:
            table.add_row(check.name, "ok" if check.passed else "[red]differs[/red]", check.detail)
        console.print(table)
    if not result.passed:
        raise typer.Exit(1)
