"""``ussearch compress``: the gated chain on one candidate, with its waterfall."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ussearch.compress import Compressed
    from ussearch.events import OnEvent
    from ussearch.pairs.delivery.compression import CompressionRequest


def compress(
    study: Annotated[Path, typer.Argument(help="Folder of the study.")],
    trial: Annotated[int | None, typer.Option(help="Candidate to compress; the pair's edge network else.")] = None,
    steps: Annotated[
        str | None, typer.Option(help="Steps by name, with commas: fuse,prune,distil,quantise; all of them else.")
    ] = None,
    teacher: Annotated[int | None, typer.Option(help="Trial to learn from; the pair's cloud network else.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each step that trains.")] = None,
    max_drop: Annotated[float, typer.Option(help="Points of mean Dice that such a step may lose.")] = 1.0,
    measurements: Annotated[Path | None, typer.Option(help="CSV of a kit, measured on the device.")] = None,
    unlabelled: Annotated[Path | None, typer.Option(help="Folder of images without masks to learn from, too.")] = None,
    uniform: Annotated[
        bool, typer.Option(help="Train uniformly scaled widths beside a pruned network, or in its place.")
    ] = True,
    budget: Annotated[
        str | None, typer.Option(help="Time for the chain, such as 10m; what does not fit is named.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Where the study's data lies now, if it was moved.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda: where training runs.")] = "auto",
    plot: Annotated[Path | None, typer.Option(help="Picture of the waterfall.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Fuse, prune, distil and quantise a candidate, and keep each step only where it helps.

    Example: ussearch compress studies/busi --trial 4 --max-drop 1.0
    """
    from ussearch.cli.console import print_json
    from ussearch.cli.option_values import steps_from
    from ussearch.compress import KitTimes, times_of_kit
    from ussearch.errors import UserError
    from ussearch.own_files import mark, refuse_foreign
    from ussearch.pairs.delivery.compression import CompressionRequest
    from ussearch.run_config import seconds_from

    refuse_foreign([plot], "give the picture another name with --plot")
    for option, number, least in (("epochs", epochs, 1), ("max-drop", max_drop, 0)):
        if number is not None and number < least:
            raise UserError(f"--{option} {number} is not possible: expected at least {least}.")
    request = CompressionRequest(
        trial=trial,
        teacher=teacher,
        epochs=epochs,
        max_drop=max_drop / 100,
        steps=steps_from(steps),  # an unknown name is told before anything is trained
        kit=times_of_kit(measurements) if measurements else KitTimes(),
        unlabelled=unlabelled,
        uniform=uniform,
        budget_seconds=seconds_from(budget) if budget else None,
    )
    done = _compressed(study, request, data, accelerator, json_output)
    print_json(done.record.model_dump(mode="json")) if json_output else _show(done)
    if plot:
        from ussearch.compress.waterfall import draw

        draw(done.record, plot)
        mark(plot)
        typer.echo(f"Picture: {plot}", err=json_output)


def _compressed(
    study: Path, request: CompressionRequest, data: Path | None, accelerator: str, quiet: bool
) -> Compressed:
    from ussearch.cli.console import Lines, say
    from ussearch.cli.interrupts import interruptible
    from ussearch.pairs.delivery.compression import compress_trial
    from ussearch.pairs.delivery.export_pair import choose_pair
    from ussearch.process_settings import settle
    from ussearch.studies import Study
    from ussearch.studies.context import reopen_context

    settle()
    with Study.driven(study) as driven:
        study_context = reopen_context(driven, accelerator, data)
        pair = choose_pair(driven, request.trial, request.teacher)
        if not quiet:
            more = "" if request.teacher is not None else ", or by the average that answers in the cloud"
            say(
                f"Trial {pair.edge.number}, taught by trial {pair.cloud.number}{more}. What is not trained at full "
                f"length yet is trained first ({driven.config.final_epochs} epochs), and kept."
            )
        with interruptible("the same command continues it"), Lines(quiet) as lines:
            return compress_trial(driven, study_context, request, listener(lines))


def listener(say: Callable[[str], None]) -> OnEvent:
    """Return who tells ``say`` what the chain and the full trainings before it do."""
    from ussearch.cli.result_lines import verdict_line
    from ussearch.events import Event, StepEvaluated, TrainingEpoch, WidthMultiplierEvaluated

    def tell(event: Event) -> None:
        match event:
            case TrainingEpoch(tier=None):
                say(f"  {event}")
            case TrainingEpoch():
                say(f"  full training, {event}")
            case StepEvaluated(record) | WidthMultiplierEvaluated(record):
                say(verdict_line(record))

    return tell


def _show(done: Compressed) -> None:
    from ussearch.cli.console import console, say
    from ussearch.cli.result_lines import WATERFALL_NOTE, waterfall_table

    console.print(waterfall_table(done.record))
    say(WATERFALL_NOTE)
    console.print(f"Model file: {done.model}", soft_wrap=True)
