"""``ussearch data``: what is in a folder, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ussearch.cli.command import Command
from ussearch.cli.console import counted

if TYPE_CHECKING:
    from ussearch.datasets import DataReport

app = typer.Typer(help="Examine a data set before training on it.", no_args_is_help=True)
_SHOWN = 10  # groups and problems on the screen; --json gives all


@app.callback()
def data() -> None:
    """Examine a data set before training on it."""


@app.command("check", cls=Command)
def check_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a data set, or one level above it.")],
    split_file: Annotated[Path | None, typer.Option(help="Published split to examine for leakage.")] = None,
    reader: Annotated[str | None, typer.Option(help="Layout to read instead of recognising it.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures of what is double or broken.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Count, decode and compare every image; exit status 1 where training could not start.

    Example: ussearch data check busi
    """
    from ussearch.cli.console import print_json
    from ussearch.datasets import check, open_dataset
    from ussearch.own_files import refuse_foreign

    refuse_foreign([html], "give the page another name with --html")
    dataset = open_dataset(folder, reader, strict=False)
    report = check(dataset, split_file)
    print_json(report.to_dict()) if as_json else _show(report)
    if html is not None:
        from ussearch.report.data_page import write_data_page

        path = write_data_page(report, dataset, html)
        typer.echo(f"Page: {path} ({path.stat().st_size / 2**20:.1f} MiB)", err=as_json)
    raise typer.Exit(0 if report.sound else 1)


def _show(report: DataReport) -> None:
    from rich.table import Table

    from ussearch.cli.console import console, whole

    console.print(f"{report.name} ({report.reader} in {report.root})", soft_wrap=True)
    table = Table(*whole("", ""), show_header=False)
    for title, value in _rows(report):
        table.add_row(title, value)
    console.print(table)
    for group in report.contradicting[:_SHOWN]:
        _line("near-duplicates of several classes", ", ".join(group), "yellow")
    _more(len(report.contradicting), "such groups")
    for problem in report.problems[:_SHOWN]:
        _line(problem.kind, problem.message, "red" if problem.fatal else "yellow")
    _more(len(report.problems), "problems")
    if report.leakage:
        for group in report.leakage.leaking_groups[:_SHOWN]:
            _line("on both sides of the split", ", ".join(group), "yellow")
        _more(len(report.leakage.leaking_groups), "such groups")
    verdict, colour = ("can", "green") if report.sound else ("cannot", "red")
    console.print(f"Training {verdict} start.", style=colour)


def _line(kind: str, message: str, colour: str) -> None:
    """Print ``kind`` in a colour and the message after it, exactly as it is."""
    from rich.text import Text

    from ussearch.cli.console import console

    console.print(Text.assemble((f"{kind}:", colour), " ", message), soft_wrap=True)


def _rows(report: DataReport) -> list[tuple[str, str]]:
    sizes = [f"{size} ({count})" for size, count in report.sizes.items()]
    unique = sum(map(len, report.near_duplicates))
    rows = [
        ("images", f"{report.images}, of which {report.readable} can be used"),
        ("classes", ", ".join(f"{name} {count}" for name, count in report.classes.items())),
        ("patients", "unknown" if report.patients is None else str(report.patients)),
        ("sizes", ", ".join(sizes[:4]) + (f" and {len(sizes) - 4} more" if len(sizes) > 4 else "")),
        ("empty masks", str(report.empty_masks)),
        ("images with several masks", str(report.several_masks)),
        ("lesion share of the image", ", ".join(f"{name} {value:.2%}" for name, value in report.lesion_share.items())),
        (
            "near-duplicates",
            f"{counted(report.near_duplicate_pairs, 'pair')}, {counted(unique, 'image')} in "
            f"{counted(len(report.near_duplicates), 'group')}",
        ),
        ("independent groups", f"{report.split_groups} (near-duplicates and patients stay together in splits)"),
        ("problems", ", ".join(f"{kind} {count}" for kind, count in _kinds(report).items()) or "none"),
    ]
    if report.leakage:
        parts = ", ".join(f"{part} {count}" for part, count in report.leakage.parts.items())
        torn = f"{counted(len(report.leakage.leaking_groups), 'group')} on both sides"
        rows.append((f"split {Path(report.leakage.split_file).name}", parts))
        rows.append(("leakage", f"{torn}, {counted(report.leakage.test_images_concerned, 'test image')} concerned"))
    return rows


def _kinds(report: DataReport) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for problem in report.problems:
        kinds[problem.kind] = kinds.get(problem.kind, 0) + 1
    return kinds


def _more(count: int, what: str) -> None:
    from ussearch.cli.console import console

    if count > _SHOWN:
        console.print(f"… and {count - _SHOWN} more {what}; --json lists them all.")
