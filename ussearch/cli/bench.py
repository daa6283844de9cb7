"""``ussearch bench``: what a model file takes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ussearch.hardware_profiles import LatencyPrediction
    from ussearch.hardware_profiles.measuring.bench import Measurement


def bench(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The model file.")],
    profile: Annotated[str | None, typer.Option(help="Device whose prediction to show beside.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of onnxruntime, each on a processor of its own.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="How often to measure, in a process of its own each time.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Length of a round.")] = 2.0,
    profiles_dir: Annotated[Path | None, typer.Option(help="Folder with profiles of your own.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a model file with onnxruntime: in a process of its own, pinned, after a warm-up.

    Inputs are fed in the type that the file asks for; sizes that it leaves open are chosen, and named in the result.

    Example: ussearch bench bundle/edge/model.onnx --profile raspberry-pi-5
    """
    from ussearch.cli.console import console, print_json
    from ussearch.hardware_profiles import load_profile
    from ussearch.hardware_profiles.measuring.bench import bench as measure
    from ussearch.hardware_profiles.measuring.bench import compared, predict_file

    folders = () if profiles_dir is None else (profiles_dir,)
    device = load_profile(profile, folders) if profile else None
    with console.status(f"Measuring {model.name}"):
        measurement = measure(model, threads=threads, rounds=rounds, seconds=seconds)
    prediction = predict_file(model, device, measurement.inputs) if device else None
    if json_output:
        beside = {"prediction": compared(measurement, prediction)} if prediction else {}
        print_json({**measurement.to_dict(), **beside})
    else:
        _show(measurement, prediction)


def _show(measurement: Measurement, prediction: LatencyPrediction | None) -> None:
    from rich.table import Table

    from ussearch.cli.console import console, say
    from ussearch.hardware_profiles.calibration.profiles import UNSTEADY

    each = measurement
    threads = f"{each.threads} thread{'s' if each.threads > 1 else ''}"
    say(
        f"{each.model} on {each.machine}: {each.runtime} {each.runtime_version}, {each.precision}, {threads}, "
        f"{each.runs} runs in {each.rounds} rounds."
    )
    say(f"Fed: {each.inputs_text}.")
    table = Table("", "latency", "p50", "p90", "p95", "p99", "SD", "frames/s")
    figures = (each.latency_ms, each.p50_ms, each.p90_ms, each.p95_ms, each.p99_ms, each.sd_ms)
    table.add_row("measured (ms)", *(f"{value:.2f}" for value in figures), f"{each.frames_per_second:.1f}")
    if prediction:
        mark = "~" if prediction.extrapolated else ""
        speed = f"{1000 / prediction.latency_ms:.1f}"
        table.add_row("predicted (ms)", f"{mark}{prediction.latency_ms:.2f}", "", "", "", "", "", speed)
    console.print(table)
    console.print("Latency: with the core at its best; percentiles: of all runs.")
    console.print(f"Memory: {each.peak_rss_mib:.0f} MiB at most, {each.base_rss_mib:.0f} MiB before loading the model.")
    if prediction:
        _about(prediction)
    if each.disturbed:
        share = f"{each.busy or 0:.0%}"
        console.print(
            f"This machine is busy: others took {share} of it. Repeat when nothing else runs.", style="yellow"
        )
    if each.slowed or each.spread > UNSTEADY:
        message = (
            f"The slowest round took {each.spread:.0%} longer than the quietest: another tenant, or no fixed clock."
        )
        console.print(message, style="yellow")


def _about(prediction: LatencyPrediction) -> None:
    """Print what kind of number the prediction is, and what it leaves out."""
    from ussearch.cli.console import say

    say(f"Prediction: {prediction.label}; 90 % between {prediction.low_ms:.2f} and {prediction.high_ms:.2f} ms.")
    if prediction.extrapolated:
        classes = ", ".join(sorted(prediction.uncovered))
        say(f"~ extrapolated: never measured there: {classes}.")
    for reason in prediction.outside:
        say(f"Outside what was measured there: {reason}.")
    if prediction.unpriced:
        say(f"Arithmetic not known: {', '.join(prediction.unpriced)}.")
