"""``ussearch config``: the configuration of a run as a commented file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ussearch.cli.run import asked_for
from ussearch.cli.run_parameters import with_run_options


def config(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="STUDY", help="Folder of a study: what its run was resolved to; else from the options."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML to begin with.")] = None,
    set: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A key, such as training.epochs=20.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
    **options: Any,
) -> None:
    """Print the configuration of a run, every key with what it means; what is null is left to the program.

    Example: ussearch config --profile jetson-nano --set training.epochs=20 > run.yaml
    """
    from ussearch.cli.console import print_json
    from ussearch.run_options import commented_yaml

    if folder is not None:
        from ussearch.studies import Study

        found = Study.open(folder).config.run
    else:
        found = asked_for(options, config, ["profile=jetson-nano", *(set or ())] if config is None else set or ())
    if json_output:
        print_json(found.model_dump(mode="json"), old_keys=False)
    else:
        typer.echo(commented_yaml(found), nl=False)


with_run_options(config)
