"""``ussearch verify``: replay a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ussearch.pairs.bundles.verify import Verification


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[
        Path | None, typer.Option(help="Recompute the metrics on this data set (phantoms: the built-in ones).")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a bundle byte by byte, its models' rules and its test vectors.

    Status 0: everything holds. Status 1: a check differs. Status 2: the folder is no bundle or a file of it
    was changed, so that nothing in it can be trusted.

    Example: ussearch verify bundle --data busi
    """
    from ussearch.cli.console import print_json
    from ussearch.pairs.bundles.verify import UntrustedBundle, verify_bundle

    try:
        result = verify_bundle(bundle, data)
    except UntrustedBundle as error:
        if json_output:
            print_json(error.verification.to_dict())
        raise
    print_json(result.to_dict()) if json_output else _show(result)
    if not result.passed:
        raise typer.Exit(1)


def _show(result: Verification) -> None:
    from rich.table import Table
    from rich.text import Text

    from ussearch.cli.console import console, whole

    console.print(f"{result.bundle}: {'accepted' if result.passed else 'REFUSED'}", soft_wrap=True)
    table = Table(*whole("check", "result", "seen"))
    for check in result.checks:
        verdict = Text("ok") if check.passed else Text("differs", style="red")
        table.add_row(check.name, verdict, check.detail)
    console.print(table)
