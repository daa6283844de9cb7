"""``ussearch run``: from a data set and a device to a verified pair."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from ussearch.run_config import Names, RunConfig
from ussearch.run_options import PATHS_ONLY, RunOption, run_options


def run(
    config: Annotated[
        Path | None, typer.Option(help="YAML with any of these options (see: ussearch config); options count more.")
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A key of --config, such as training.epochs=20.")
    ] = None,
    timings: Annotated[bool, typer.Option("--timings", help="Print where the time went.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and train nothing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result (or plan) as JSON.")] = False,
    **options: Any,
) -> None:
    """Search networks for a device, train the best pair at full length, export and verify it.

    Example: ussearch run --profile jetson-nano --data busi --image-size 256 --study studies/busi
    """
    from ussearch.weights.asked import require_pretrained

    asked = asked_for(options, config, set or ())
    if not asked.output.resume:  # a study that goes on knows its weights by their digest, wherever they lie now
        require_pretrained(asked.training.pretrained)

    from ussearch.cli.console import print_json
    from ussearch.cli.counting import counting
    from ussearch.cli.interrupts import interruptible
    from ussearch.cli.plan_lines import print_plan, print_timings
    from ussearch.cli.progress import RunProgress
    from ussearch.cli.result_lines import print_delivery
    from ussearch.pipeline import run as run_pipeline
    from ussearch.process_settings import settle
    from ussearch.studies.kept import Kept
    from ussearch.studies.plan import plan

    settle()
    if dry_run:
        with counting("files read", quiet=json_output) as progress:
            made = plan(asked, Kept.of(asked, asked.output.study), progress)
        print_json(made.to_dict()) if json_output else print_plan(made)
        return
    with interruptible("the same command with --resume continues it"), RunProgress(quiet=json_output) as progress:
        delivery = run_pipeline(asked, progress)
    if json_output:
        print_json(delivery.to_dict())
    else:
        print_delivery(delivery)
        if timings:
            print_timings(delivery)
    if not delivery.verification.passed:
        raise typer.Exit(1)


def asked_for(options: dict[str, Any], config: Path | None, settings: list[str] | tuple[str, ...]) -> RunConfig:
    """Return the configuration that options, a file and ``--set`` make; what was not given is None here."""
    from ussearch.run_options import config_from

    given = {name: value for name, value in options.items() if value is not None}
    base = None
    if config is None and given.get("resume") and "study" in given:
        from ussearch.studies.paths import asked_before  # takes long, and only what is resumed needs it

        base = asked_before(given["study"], resume=True)
    return config_from(given, config, settings, base=base)


def with_run_options(command: Any) -> Any:
    """Give a command the options of ``RunConfig`` beside its own, each None where it is not given."""
    own = [
        each.replace(kind=each.KEYWORD_ONLY)
        for each in inspect.signature(command, eval_str=True).parameters.values()
        if each.kind != each.VAR_KEYWORD
    ]
    made = [_parameter(option) for option in run_options() if option.dotted not in PATHS_ONLY]
    command.__signature__ = inspect.Signature([*made, *own], return_annotation=None)
    command.__annotations__ = {each.name: each.annotation for each in (*made, *own)}
    return command


def _parameter(option: RunOption) -> inspect.Parameter:
    """Return the parameter of one option; flags have a ``--no-`` twin, times and lists are text."""
    kind, flags = _kind(option), (option.flag,)
    if kind is bool:
        flags = (f"{option.flag}/--no-{option.keyword.replace('_', '-')}",) if option.default else (option.flag,)
    shown = "" if option.default is None or kind is bool else f"  [default: {option.default}]"
    info = typer.Option(*flags, help=f"{option.description}{shown}", show_default=False)
    annotation = Annotated[kind | None, info]  # type: ignore[valid-type]  # made while the program runs
    return inspect.Parameter(option.keyword, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _kind(option: RunOption) -> type:
    """Return the type that the command line parses; ranges and names are checked by ``RunConfig``."""
    parts = {option.annotation, *getattr(option.annotation, "__args__", ())}
    field = option.dotted
    if field in {"budget", "execution.trial_timeout"} or Names in parts:
        return str
    return next((kind for kind in (bool, int, float, Path) if kind in parts), str)


with_run_options(run)
