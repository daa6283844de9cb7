"""``ussearch specialise``: the front of a study for another device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ussearch.cli.console import EXTRAPOLATED, counted, interval, milliseconds

if TYPE_CHECKING:
    from rich.table import Table

    from ussearch.pairs.delivery.specialised import Trained
    from ussearch.studies.specialise import Specialised

SHOWN = 20
"""Candidates behind the front that the table shows; --json has all."""


def specialise(
    study: Annotated[Path, typer.Argument(help="Folder of the study; it is left as it is.")],
    profile: Annotated[str, typer.Option(help="The other device (see: ussearch profiles).")],
    candidates: Annotated[int, typer.Option(help="Price at most so many, the most trusted and best first.")] = 500,
    out: Annotated[Path | None, typer.Option(help="Folder for the report and for what is trained.")] = None,
    train: Annotated[int, typer.Option(help="Train so many of the best at full length.")] = 0,
    export: Annotated[bool, typer.Option("--export", help="Write a model file of each that is trained.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the front into this file (png, svg, pdf).")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the study's data lies now, if it was moved.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda: where training runs.")] = "auto",
    profiles_dir: Annotated[Path | None, typer.Option(help="Folder with profiles of your own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what a study offers another device, from the accuracies that it knows: nothing is trained unless asked.

    Example: ussearch specialise studies/busi --profile raspberry-pi-4
    """
    from ussearch.errors import UserError
    from ussearch.hardware_profiles import load_profile
    from ussearch.own_files import mark, refuse_foreign
    from ussearch.pairs.delivery.specialised import REPORT, is_own_report, refuse_foreign_trainings
    from ussearch.process_settings import settle
    from ussearch.studies import Study
    from ussearch.studies.locking import held, is_lock
    from ussearch.studies.specialise import specialise as specialise_study
    from ussearch.studies.study import LOCK

    settle()
    refuse_foreign([plot], "give the picture another name with --plot")
    if out is not None:
        refuse_foreign([out / REPORT], "choose another folder with --out", is_own_report)
        refuse_foreign([out / LOCK], "choose another folder with --out", is_lock)
        refuse_foreign_trainings(out)
    for option, number, least in (("candidates", candidates, 1), ("train", train, 0)):
        if number < least:
            raise UserError(f"--{option} {number} is not possible: expected at least {least}.")
    if train and out is None:
        raise UserError("--train was given without a folder for what is trained: add --out DIR.")
    if export and not train:
        raise UserError("--export was given without anything that is trained: add --train N.")
    folders = () if profiles_dir is None else (profiles_dir,)
    found = specialise_study(Study.open(study), load_profile(profile, folders), candidates)
    with nullcontext() if out is None else held(out / LOCK):
        trained = _trained(found, train, out, export, data, accelerator, as_json) if out is not None and train else ()
        _write(found, trained, out, as_json)
    if plot:
        from ussearch.studies.front_picture import specialised_picture
        from ussearch.studies.plots import save_front

        save_front(specialised_picture(found), plot)
        mark(plot)
        typer.echo(f"Picture: {plot}", err=as_json)


def _trained(
    found: Specialised, count: int, out: Path, export: bool, data: Path | None, accelerator: str, quiet: bool
) -> Sequence[Trained]:
    """Train the best at full length; Ctrl-C and kills lose nothing that is finished."""
    from ussearch.cli.console import Lines
    from ussearch.cli.interrupts import interruptible
    from ussearch.events import Event
    from ussearch.pairs.delivery.specialised import train_specialised
    from ussearch.studies.context import reopen_context

    study_context = reopen_context(found.study, accelerator, data)
    with interruptible("the same command continues it"), Lines(quiet) as lines:

        def tell(event: Event) -> None:
            lines(f"  {event}")

        return train_specialised(found, study_context, count, out, export=export, on_event=tell)


def _write(found: Specialised, trained: Sequence[Trained], out: Path | None, as_json: bool) -> None:
    """Print the report; keep it in ``out`` where there is one."""
    from ussearch.cli.console import console, print_json
    from ussearch.files import write_atomically
    from ussearch.pairs.delivery.specialised import REPORT
    from ussearch.schema import SPECIALISED

    report = {**found.to_dict(), "trained": [_outcome(each) for each in trained]}
    if out is not None:
        write_atomically(out / REPORT, SPECIALISED.to_json(report, indent=1))
    if as_json:
        print_json(report)
        return
    _show(found)
    for line in report["trained"]:
        console.print(
            f"Trained at full length: {line['network']}, lesion Dice {_number(line['lesion_dice'])}, "
            f"{line['latency_ms']:.1f} ms, {line['model'] or line['weights']}",
            soft_wrap=True,
        )


def _outcome(trained: Trained) -> dict[str, Any]:
    evaluation = trained.network.evaluation
    return {
        "trial": trained.known.trial,
        "network": trained.known.label,
        "lesion_dice": evaluation.metrics.get("lesion_dice"),
        "objective": evaluation.objective,
        "latency_ms": evaluation.costs["edge"].latency_ms,
        "weights": str(trained.network.weights),
        "model": None if trained.model is None else str(trained.model),
    }


def _show(found: Specialised) -> None:
    from ussearch.cli.console import console, say
    from ussearch.evaluators import CONVENTION

    limits = found.profile.limits_in_words(found.study.config.image_size)
    console.print(_table(found))
    behind = len(found.fitting) - len(found.front)
    if behind > SHOWN:
        console.print(f"{behind - SHOWN} more fit behind the front; --json has all.")
    if any(each.costs.extrapolated for each in found.fitting):
        say(EXTRAPOLATED)
    say(
        f"{found.profile.name}: at most {limits}; {found.profile.label}. "
        "Nothing was trained: accuracies are the study's."
    )
    for reason, names in _by_reason(found).items():
        say(f"Dropped: {', '.join(names)}: {reason}")
    say(CONVENTION)
    priced = len(found.fitting) + len(found.dropped)
    console.print(f"{counted(priced, 'candidate')} in {found.seconds:.1f} s.")


def _by_reason(found: Specialised) -> dict[str, list[str]]:
    """Return the dropped by reason: features word for word, limits all together."""
    beyond = {each.known.label for each in found.over}
    limits = "beyond the limits"
    reasons: dict[str, list[str]] = {}
    for label, reason in found.dropped.items():
        if label in beyond:
            reasons.setdefault(limits, []).append(f"{label} ({reason})")
        else:
            reasons.setdefault(reason, []).append(label)
    return reasons


def _table(found: Specialised) -> Table:
    from rich.table import Table

    config = found.study.config
    title = f"{config.data.name}, {config.image_size}×{config.image_size}, validation images, for {found.profile.name}"
    table = Table(title=title, title_justify="left")
    table.add_column("front")
    table.add_column("trial", justify="right")
    for column in ("network", "fidelity"):
        table.add_column(column, overflow="fold")
    for column in (
        "lesion\nDice",
        "false\npositives",
        "objective",
        "ms",
        "90 %\ninterval",
        "MiB",
        "parameters",
        "MMACs",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for position in range(min(len(found.fitting), len(found.front) + SHOWN)):
        row = found.row(position)
        table.add_row(*_cells(row), style="" if row["on_front"] else "dim")
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    rate = row["false_positive_rate"]
    return [
        "●" if row["on_front"] else "",
        "–" if row["trial"] is None else str(row["trial"]),
        row["name"] or row["architecture_id"],
        row["fidelity"],
        _number(row["lesion_dice"]),
        "–" if rate is None else f"{rate:.0%}",
        _number(row["objective"]),
        milliseconds(row["latency_ms"], row["extrapolated"]),
        interval(row["latency_interval_ms"]),
        f"{row['memory_mib']:.0f}",
        f"{row['parameters']:,}",
        f"{row['macs'] / 1e6:,.0f}",
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
