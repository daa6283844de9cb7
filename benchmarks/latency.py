"""Fits and judges the latency models of the shipped profiles on published measurements.

Reads the tables of ``../shared/latency`` (YOLOBench, ncnn's benchmark page), prints the quality of each profile's
three numbers beside MACs alone, writes ``docs/results/latency.md`` and, with ``--write``, puts the numbers fitted to
all networks into the profiles' YAML files.

    python benchmarks/latency.py [--data DIR] [--write]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT, Kernel
from ussearch.hardware_profiles.latency.fitting import fit_non_negative
from ussearch.hardware_profiles.latency.quality import Quality, quality
from ussearch.hardware_profiles.latency.roofline import GMAC, MIB, Roofline

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "docs" / "results" / "latency.md"
PROFILES = ROOT / "ussearch" / "hardware_profiles" / "profiles"
NUMBERS = ("ms_per_gmac", "ms_per_mib", "ms_per_operator")
SEEDS = range(20)
CALIBRATION_NETWORKS = 10

YOLOBENCH = {
    "jetson-nano": "jetson_nano_gpu_onnxruntime_fp32_ms",
    "raspberry-pi-4": "raspberry_pi_4_cpu_onnxruntime_fp32_ms",
    "raspberry-pi-5": "raspberry_pi_5_cpu_onnxruntime_fp32_ms",
    "x86-server": "i7_10875h_cpu_openvino_fp32_ms",
}
NCNN = {"jetson-orin-nano": ("NVIDIA Jetson Orin Nano", "6", "0.0")}
"""Device, threads and GPU index of the rows of a profile."""

Floats = NDArray[np.float64]
Names = NDArray[np.str_]


@dataclass(frozen=True)
class Measurements:
    """Networks measured on one device: what a model charges for [networks, 3] and milliseconds [networks]."""

    features: Floats
    latency_ms: Floats
    resolution: Names
    family: Names

    @property
    def macs(self) -> Floats:
        """Multiply-accumulates in 1e9 [networks]."""
        return self.features[:, 0]


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    profile: str
    model: str
    by_resolution: Quality | None
    by_family: Quality | None
    by_network: Quality | None


def main() -> None:
    """Fit, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "latency", help="folder of the tables")
    parser.add_argument("--write", action="store_true", help="put the fitted numbers into the profiles")
    arguments = parser.parse_args()
    if not (arguments.data / "yolobench.csv").is_file():
        parser.error(f"{arguments.data} holds no yolobench.csv: give the folder of the latency tables with --data")
    rows = [row for name in [*YOLOBENCH, *NCNN] for row in judge(name, arguments.data)]
    fits = fit_profiles(arguments.data)
    text = report(rows, fits)
    print(text)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(text, encoding="utf-8")
    if arguments.write:
        for name, numbers in fits.items():
            write_numbers(PROFILES / f"{name}.yaml", numbers)


def fit_profiles(data: Path) -> dict[str, dict[str, float]]:
    """Return the three numbers of every profile, fitted to all of its networks."""
    fits = {}
    for name in [*YOLOBENCH, *NCNN]:
        table = measurements(name, load_profile(name).latency, data)
        weights = fit_non_negative(table.features, table.latency_ms)
        fits[name] = {key: float(f"{weight:.6g}") for key, weight in zip(NUMBERS, weights, strict=True)}
    return fits


def judge(name: str, data: Path) -> Iterator[Row]:
    """Yield the quality of MACs alone, of three numbers per layer, and of the profile's model."""
    model = load_profile(name).latency
    plain = model.model_copy(update={"activation_nodes": {}})
    shipped = measurements(name, model, data)
    yield judged(name, "MACs only", replace(shipped, features=shipped.features[:, :1]))
    if name in YOLOBENCH:
        yield judged(name, "three numbers, every layer a launch", measurements(name, plain, data))
    yield judged(name, "three numbers as shipped", shipped)


def judged(profile: str, model: str, table: Measurements) -> Row:
    """Return the quality of a model whose charges are ``table.features``, held out in every way the data allows."""
    if profile in NCNN:
        return Row(profile, model, None, None, leave_one_network_out(table))
    return Row(profile, model, held_out(table, table.resolution), held_out(table, table.family), None)


def held_out(table: Measurements, group: Names) -> Quality:
    """Calibrate on ten networks of the other groups, test on the group left out; mean over groups and seeds."""
    results = []
    for name in np.unique(group):
        inside, others = group == name, np.flatnonzero(group != name)
        for seed in SEEDS:
            drawn = np.random.default_rng(seed).choice(others, CALIBRATION_NETWORKS, replace=False)
            weights = fit_non_negative(table.features[drawn], table.latency_ms[drawn])
            predicted_ms = table.features[inside] @ weights
            results.append(quality(predicted_ms, table.latency_ms[inside], table.macs[inside]))
    return mean_quality(results)


def leave_one_network_out(table: Measurements) -> Quality:
    """Predict each network by a fit to all others: for devices with too few networks for groups."""
    count = len(table.latency_ms)
    predicted_ms = np.empty(count)
    for index in range(count):
        others = np.arange(count) != index
        weights = fit_non_negative(table.features[others], table.latency_ms[others])
        predicted_ms[index] = table.features[index] @ weights
    return quality(predicted_ms, table.latency_ms, table.macs)


def mean_quality(results: Sequence[Quality]) -> Quality:
    """Average each figure; groups without a pair of equal MACs do not count for iso-MAC accuracy."""

    def mean(figure: Callable[[Quality], float]) -> float:
        return float(np.nanmean([figure(result) for result in results]))

    return Quality(
        tau=mean(lambda result: result.tau),
        mape=mean(lambda result: result.mape),
        within_10_percent=mean(lambda result: result.within_10_percent),
        iso_mac_accuracy=mean(lambda result: result.iso_mac_accuracy),
    )


def measurements(name: str, model: Roofline, data: Path) -> Measurements:
    """Return what ``model`` charges for on each network measured for the profile ``name``."""
    return yolobench(data, YOLOBENCH[name], model) if name in YOLOBENCH else ncnn(data, NCNN[name])


def yolobench(data: Path, column: str, model: Roofline) -> Measurements:
    """Read the encoder-decoder networks of YOLOBench that were measured in ``column``."""
    layers = yolobench_kernels(data)
    rows = [row for row in read_rows(data / "yolobench.csv") if row[column]]
    features = []
    for row in rows:
        costs = [model.cost(kernel) for kernel in layers[row["base"], row["resolution"]]]
        features.append([sum(cost.gmacs for cost in costs), sum(cost.mib for cost in costs)])
        features[-1].append(sum(cost.operators for cost in costs))
    return Measurements(
        features=np.array(features),
        latency_ms=np.array([float(row[column]) for row in rows]),
        resolution=np.array([row["resolution"] for row in rows]),
        family=np.array([re.split(r"d\d+w", row["base"])[0] for row in rows]),
    )


def yolobench_kernels(data: Path) -> dict[tuple[str, str], list[Kernel]]:
    """Return the kernels of every network: each layer, with the activation behind it as its epilogue.

    NOTE: the table lists layers in the order of the modules: an activation belongs to the last layer of its size.
    """
    networks: dict[tuple[str, str], list[Kernel]] = defaultdict(list)
    for row in read_rows(data / "yolobench_layers.csv.gz"):
        kernels = networks[row["base"], row["res"]]
        if row["op"] in {"relu", "silu"}:
            size = (int(row["in_elems"]),)
            index = max(index for index, kernel in enumerate(kernels) if kernel.output_shape == size)
            kernels[index] = replace(kernels[index], epilogue=(*kernels[index].epilogue, row["op"]))
        else:
            kernels.append(layer_kernel(row))
    return networks


def layer_kernel(row: Mapping[str, str]) -> Kernel:
    """Return the kernel of one row of the table of layers."""
    elements, parameters = (int(row["in_elems"]), int(row["out_elems"])), int(row["params"])
    return Kernel(
        name=row["idx"],
        operator=row["op"],
        input_shapes=((elements[0],),),
        output_shape=(elements[1],),
        macs=int(row["macs"]),
        bytes=(sum(elements) + parameters) * BYTES_PER_ELEMENT,
        parameters=parameters,
        sources=(),
    )


def ncnn(data: Path, rows_of: tuple[str, str, str]) -> Measurements:
    """Read the FP32 networks of ncnn's benchmark page that were measured on one device and have their MACs."""
    networks = {row["model"]: row for row in read_rows(data / "ncnn_networks.csv") if int(row["macs"])}
    rows = [
        row
        for row in read_rows(data / "ncnn.csv.gz")
        if (row["device"], row["num_threads"], row["gpu_device"]) == rows_of
        and row["model"] in networks
        and not row["model"].endswith("_int8")
    ]
    facts = [networks[row["model"]] for row in rows]
    moved = [sum(int(fact[key]) for key in ("act_in", "act_out", "params")) for fact in facts]
    features = [
        [int(fact["macs"]) / GMAC, elements * BYTES_PER_ELEMENT / MIB, int(fact["ops"])]
        for fact, elements in zip(facts, moved, strict=True)
    ]
    names = np.array([row["model"] for row in rows])
    return Measurements(np.array(features), np.array([float(row["avg_ms"]) for row in rows]), names, names)


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table, compressed or not."""
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    yield from csv.DictReader(text.decode("utf-8").splitlines())


def write_numbers(path: Path, numbers: Mapping[str, float]) -> None:
    """Replace the fitted numbers in a profile's file; comments and order stay."""
    text = path.read_text(encoding="utf-8")
    for key, value in numbers.items():
        text = re.sub(rf"^  {key}: .*$", f"  {key}: {value:g}", text, count=1, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")


def report(rows: Sequence[Row], fits: Mapping[str, Mapping[str, float]]) -> str:
    """Return the page with all tables."""
    return "\n".join([*HEAD, *quality_table(rows), *MIDDLE, *number_table(fits), *FOOT]) + "\n"


def quality_table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table of qualities."""
    yield "| profile | model | resolution left out | family left out | network left out |"
    yield "|---|---|---|---|---|"
    for row in rows:
        cells = [cell(result) for result in (row.by_resolution, row.by_family, row.by_network)]
        yield f"| {row.profile} | {row.model} | {' | '.join(cells)} |"


def cell(result: Quality | None) -> str:
    """Return the four figures of a quality, or a dash."""
    if result is None:
        return "–"
    figures = f"{result.tau:.3f} / {result.mape:.1f} / {result.within_10_percent:.2f} / {result.iso_mac_accuracy:.2f}"
    return figures.replace("nan", "–")


def number_table(fits: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the lines of the table of fitted numbers."""
    yield "| profile | conditions | ms per GMAC | ms per MiB | ms per operator | nodes of an activation |"
    yield "|---|---|---|---|---|---|"
    for name, numbers in fits.items():
        profile = load_profile(name)
        nodes = ", ".join(f"{key} {value}" for key, value in profile.latency.activation_nodes.items())
        values = " | ".join(f"{numbers[key]:g}" for key in NUMBERS)
        yield f"| {name} | {profile.runtime}, {profile.precision} | {values} | {nodes} |"


HEAD = (
    "# How well the profiles predict latency",
    "",
    "Written by `python benchmarks/latency.py` from published measurements (YOLOBench, Deeplite/deeplite-torch-zoo,",
    "Apache-2.0; ncnn's benchmark page, BSD-3). Nobody in this project measured these devices.",
    "",
    "Figures are Kendall τ / mean absolute error in % / share within ±10 % / right order among pairs whose MACs",
    "differ by under 20 % and latencies by over 5 %. For each resolution (or family of architectures) in turn, ten",
    "networks are drawn from the *other* ones (seeds 0–19), the model is fitted to them and tested on every network",
    "of the one left out; means over groups and seeds. The Orin Nano has 24 networks only: each is predicted by a fit",
    "to the 23 others.",
    "",
)
MIDDLE = (
    "",
    "*Every layer a launch* counts each activation as an operator of its own. *As shipped* counts what the runtime is",
    "known to execute: onnxruntime on Arm fuses ReLU behind a convolution and runs SiLU as Sigmoid and Mul; OpenVINO",
    "fuses both; on the Jetson Nano each is one launch. Which activations are fused was decided with this data in",
    "view; the numbers of each row are fitted to ten networks only.",
    "",
    "## The numbers in the profiles",
    "",
    "Fitted to all networks of a device, squared relative error, non-negative. They are collinear: use them as a set.",
    "",
)
FOOT = (
    "",
    "## What this does not show",
    "",
    "YOLOBench holds dense convolutions, SiLU, ReLU, max pooling, concatenation, nearest upsampling and transposed",
    "convolutions: no depthwise, grouped or dilated convolution, attention or hard-swish. Predictions for those are",
    "extrapolated on every profile but `jetson-orin-nano`, whose 24 networks include depthwise ones and whose error",
    "is large. `x86-server` was measured on an i7-10875H with OpenVINO (threads not published): it orders candidates,",
    "its milliseconds are not those of another server or of onnxruntime. Resolutions 256 and 320 are not in the",
    "tables.",
)

if __name__ == "__main__":
    main()
