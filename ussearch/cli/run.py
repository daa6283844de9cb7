"""``ussearch run``: from a data set and a device to a verified pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ussearch.cli.run_parameters import with_run_options
from ussearch.run_config import RunConfig


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
    from ussearch.cli.plan_lines import print_plan, print_timings
    from ussearch.process_settings import settle
    from ussearch.studies.kept import Kept
    from ussearch.studies.planner import plan

    settle()
    if dry_run:
        with counting("files read", quiet=json_output) as progress:
            made = plan(asked, Kept.of(asked, asked.output.study), progress)
        print_json(made.to_dict()) if json_output else print_plan(made)
        return

    from ussearch.cli.interrupts import interruptible  # what a plan does not need takes seconds
    from ussearch.cli.progress import RunProgress
    from ussearch.cli.result_lines import print_delivery
    from ussearch.pipeline import run as run_pipeline

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


with_run_options(run)
