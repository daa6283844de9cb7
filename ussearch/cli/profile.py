"""``ussearch profile``: make a profile of the board on the desk."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ussearch.cli.command import Command

if TYPE_CHECKING:
    from ussearch.hardware_profiles.calibration.profiles import Calibrated

app = typer.Typer(help="Make a profile of a device of your own.", no_args_is_help=True)

Name = Annotated[str, typer.Option(help="Name of the new profile, such as my-box.")]
Folder = Annotated[Path | None, typer.Option(help="Folder for it; ~/.config/ussearch/profiles else.")]
Replace = Annotated[bool, typer.Option("--replace", help="Write over a profile of that name.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Networks = Annotated[int, typer.Option(help="How many networks to measure, 10 to 24.")]
Seed = Annotated[int, typer.Option(help="Of the draw of networks.")]


@app.callback()
def profile() -> None:
    """Make a profile of a device of your own."""


@app.command(cls=Command)
def calibrate(
    name: Name,
    networks: Networks = 22,
    threads: Annotated[int, typer.Option(min=1, help="Threads of onnxruntime.")] = 1,
    seed: Seed = 0,
    like: Annotated[str, typer.Option(help="Profile whose export rules hold for this machine.")] = "x86-server",
    profiles_dir: Folder = None,
    replace: Replace = False,
    json_output: Json = False,
) -> None:
    """Measure networks on this machine (three to four minutes), fit a latency model, check it and save the profile.

    Example: ussearch profile calibrate --name my-box
    """
    from ussearch.cli.console import Lines
    from ussearch.hardware_profiles.calibration.calibrate import CalibrationRequest, calibrate
    from ussearch.hardware_profiles.calibration.profiles import require_free
    from ussearch.serving.board import run_edge_source

    folders = () if profiles_dir is None else (profiles_dir,)
    request = CalibrationRequest(
        name=name,
        networks=networks,
        threads=threads,
        seed=seed,
        like=like,
        profiles_dirs=folders,
        runner=run_edge_source(),
    )
    require_free(name, _folder(profiles_dir), replace=replace)
    with Lines(quiet=json_output) as lines:
        made = calibrate(request, lines)
    _save(made, profiles_dir, replace, json_output)


@app.command(cls=Command)
def kit(
    out: Annotated[Path, typer.Option(help="New folder for the kit.")],
    like: Annotated[str, typer.Option(help="Profile whose export rules hold for the board.")] = "jetson-nano",
    networks: Networks = 22,
    seed: Seed = 0,
    profiles_dir: Annotated[Path | None, typer.Option(help="Folder with profiles of your own.")] = None,
    json_output: Json = False,
) -> None:
    """Write a folder to copy to any board: model files within its rules and one program that measures them there.

    Example: ussearch profile kit --out kit --like jetson-nano
    """
    from ussearch.cli.console import Lines, console, print_json
    from ussearch.hardware_profiles.calibration.kit import KitRequest, write_kit
    from ussearch.serving.board import run_edge_source

    folders = () if profiles_dir is None else (profiles_dir,)
    with Lines(quiet=json_output) as lines:
        made = write_kit(KitRequest(out, like, networks, seed, folders, run_edge_source()), lines)
    if json_output:
        models = [each.model_dump(mode="json", exclude={"architecture"}) for each in made.models]
        print_json({"folder": str(out), "like": made.like, "seed": made.seed, "models": models})
        return
    console.print(f"Wrote {out}: {len(made.models)} models for boards like {made.like}.", soft_wrap=True)
    console.print("On the board: python3 measure.py, nothing else running. Bring results.csv back into the folder.")
    then = ["ussearch", "profile", "fit", f"{out}/results.csv", "--name", "my-board", "--like", made.like]
    console.print(f"Then: {shlex.join([*then, *_given(profiles_dir)])}", soft_wrap=True)


@app.command(cls=Command)
def fit(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.csv", help="What measure.py wrote on the board.")],
    name: Name,
    like: Annotated[str, typer.Option(help="Profile whose rules and limits hold; the kit's own else.")] = "",
    kit: Annotated[Path | None, typer.Option(help="Folder of the kit; that of the CSV else.")] = None,
    profiles_dir: Folder = None,
    replace: Replace = False,
    json_output: Json = False,
) -> None:
    """Make a profile of a board from what it measured of a kit.

    Example: ussearch profile fit kit/results.csv --name my-board --like jetson-nano
    """
    from ussearch.hardware_profiles.calibration.kit import FitRequest
    from ussearch.hardware_profiles.calibration.kit import fit as fit_profile
    from ussearch.hardware_profiles.calibration.profiles import require_free

    folders = () if profiles_dir is None else (profiles_dir,)
    require_free(name, _folder(profiles_dir), replace=replace)
    made = fit_profile(FitRequest(results, name, like, kit, folders))
    _save(made, profiles_dir, replace, json_output)


def _folder(profiles_dir: Path | None) -> Path:
    from ussearch.hardware_profiles import user_profiles_dir

    return profiles_dir or user_profiles_dir()


def _given(profiles_dir: Path | None) -> list[str]:
    """Return the option that names the folder of profiles, where one was named."""
    return [] if profiles_dir is None else ["--profiles-dir", str(profiles_dir)]


def _save(made: Calibrated, profiles_dir: Path | None, replace: bool, json_output: bool) -> None:
    """Save a new profile and print how good it is."""
    from ussearch.cli.console import console, print_json
    from ussearch.hardware_profiles.calibration.profiles import save_profile

    path = save_profile(made.profile, _folder(profiles_dir), replace=replace)
    if json_output:
        print_json(
            {
                "path": str(path),
                "model": made.chosen.name,
                "errors_percent": dict(made.chosen.errors),
                "warnings": list(made.warnings),
                "validation": made.chosen.validation.model_dump(mode="json"),
            }
        )
        return
    console.print(_quality_table(made))
    for warning in made.warnings:
        console.print(warning, style="yellow", soft_wrap=True)
    search = shlex.join(["ussearch", "run", "--profile", made.profile.name, *_given(profiles_dir)])
    console.print(f"Wrote {path}. Search for it: {search}", soft_wrap=True)


def _quality_table(made: Calibrated) -> object:
    """Return the table of what held-out networks say about the new model and about MACs alone."""
    from rich.table import Table

    validation = made.chosen.validation
    title = f"Networks that the model was not fitted to ({validation.networks}, {made.chosen.name})"
    table = Table("", "Spearman", "Kendall τ", "MAPE %", "within 10 %", "iso-MAC", title=title, title_justify="left")
    for label, each in (("this profile", validation.accuracy), ("MACs alone", validation.macs_only)):
        figures = (each.spearman, each.tau, each.mape, each.within_10_percent, each.iso_mac_accuracy)
        digits = (3, 3, 1, 2, 2)
        table.add_row(
            label, *("–" if value is None else f"{value:.{d}f}" for value, d in zip(figures, digits, strict=True))
        )
    return table
