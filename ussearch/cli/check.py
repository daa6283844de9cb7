"""``ussearch check``: an ONNX file against a device's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The model file.")],
    profile: Annotated[str, typer.Option(help="Name of the device's profile.")],
    profiles_dir: Annotated[Path | None, typer.Option(help="Folder with profiles of your own.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List everything about a model file that a device cannot run, with the hint; exit status 1 where there
    is any.

    Example: ussearch check bundle/edge/model.onnx --profile jetson-nano
    """
    from rich.table import Table

    from ussearch.cli.console import console, counted, print_json, whole
    from ussearch.hardware_profiles import check_onnx, load_profile

    folders = () if profiles_dir is None else (profiles_dir,)
    findings = check_onnx(model, load_profile(profile, folders))
    if json_output:
        print_json([finding.to_dict() for finding in findings])
    elif findings:
        console.print(f"{model} on {profile}: {counted(len(findings), 'finding')}", soft_wrap=True)
        table = Table(*whole("rule", "node", "what is wrong", "hint"))
        for finding in findings:
            table.add_row(finding.rule, finding.node, finding.message, finding.hint)
        console.print(table)
    else:
        console.print(f"{model} keeps every rule of {profile}.", soft_wrap=True)
    if findings:
        raise typer.Exit(1)
