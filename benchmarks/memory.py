"""Checks predicted against real peak memory of onnxruntime on this machine, and fits how often it holds what.

Measures presets and sampled networks, each in a process of its own. The four numbers of a profile (what the runtime
takes itself, copies of weights and of activations) are fitted to all of them; each preset is judged by a fit that saw
it at no size. Writes ``docs/results/memory.md``.

    python benchmarks/memory.py [--sampled N]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ussearch.hardware_profiles import activation_peak_mib, load_profile
from ussearch.hardware_profiles.calibration.networks import SIZES, CalibrationNetwork, preset_networks
from ussearch.hardware_profiles.calibration.profiles import export_networks
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import bench
from ussearch.search_spaces import FreeSpace

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "memory.md"
LIMIT = 0.15
PROFILE = "x86-server"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One network: weights, liveness and measured peak in MiB."""

    name: str
    preset: bool
    weights_mib: float
    activations_mib: float
    measured_mib: float

    @property
    def network(self) -> str:
        """The name without the size."""
        return self.name.rsplit("-", 1)[0] if self.preset else self.name


def main() -> None:
    """Measure, fit, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampled", type=int, default=24, help="networks drawn from the space")
    arguments = parser.parse_args()
    rows = [measured(network) for network in [*preset_networks(), *sampled(arguments.sampled)]]
    text = report(rows)
    print(text)
    REPORT.write_text(text, encoding="utf-8")


def sampled(count: int) -> list[CalibrationNetwork]:
    """Return architectures of the space, sizes in turn."""
    return [
        CalibrationNetwork(f"sampled-{seed}", FreeSpace.standard(size).sample(seed), size)
        for seed in range(count)
        for size in [SIZES[seed % len(SIZES)]]
    ]


def measured(network: CalibrationNetwork) -> Row:
    """Export a network, run it in a process of its own and return its peak."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_networks([network], load_profile(PROFILE), Path(folder), lambda _: None)[0]
        peak_mib = bench(path, rounds=1, seconds=0.1).peak_rss_mib
    weights_mib = sum(kernel.parameters for kernel in network.kernels) * 4 / 2**20
    preset = not network.name.startswith("sampled-")
    row = Row(network.name, preset, weights_mib, activation_peak_mib(network.kernels), peak_mib)
    print(f"{row.name}: {row.measured_mib:.0f} MiB", flush=True)
    return row


def predicted(fit: Floats, rows: Sequence[Row]) -> Floats:
    """Return the peak of every row [rows] for (runtime, weights, activations, weights while loading)."""
    weights = np.array([row.weights_mib for row in rows])
    activations = np.array([row.activations_mib for row in rows])
    return np.asarray(fit[0] + np.maximum(fit[1] * weights + fit[2] * activations, fit[3] * weights))


def fitted(rows: Sequence[Row]) -> Floats:
    """Return the four numbers of the least relative error; loading costs at least as much as holding."""
    peaks = np.array([row.measured_mib for row in rows])
    start = np.array([60.0, 2.0, 1.5, 2.5])
    found = least_squares(lambda fit: predicted(np.abs(fit), rows) / peaks - 1, start)
    return np.asarray(np.abs(found.x))


def held_out(rows: Sequence[Row]) -> Floats:
    """Return the peak of each row [rows], predicted by a fit without its network at any size."""
    peaks = np.empty(len(rows))
    for name in {row.network for row in rows}:
        fit = fitted([row for row in rows if row.network != name])
        mine = [index for index, row in enumerate(rows) if row.network == name]
        peaks[mine] = predicted(fit, [rows[index] for index in mine])
    return peaks


def report(rows: Sequence[Row]) -> str:
    """Return the page."""
    fit, peaks = fitted(rows), held_out(rows)
    errors = peaks / np.array([row.measured_mib for row in rows]) - 1
    judged, others = (
        np.array([abs(error) for row, error in zip(rows, errors, strict=True) if row.preset == preset])
        for preset in (True, False)
    )
    lines = [
        "# Predicted and real peak memory",
        "",
        f"Written by `python benchmarks/memory.py` on {measure.machine()}: onnxruntime's CPU provider, one thread,",
        "each network in a process of its own, `enable_mem_pattern` off as in everything this project runs.",
        "",
        "Peak = runtime + max(copies of weights × weights + copies of activations × liveness, copies while loading ×",
        f"weights). Fitted to all {len(rows)}: runtime {fit[0]:.1f} MiB, copies of weights {fit[1]:.2f}, of",
        f"activations {fit[2]:.2f}, of weights while loading {fit[3]:.2f}. Predictions below are by a fit that",
        f"saw the network at no size: presets {judged.mean():.1%} off on average and {judged.max():.1%} at most (limit",
        f"{LIMIT:.0%}: {'kept' if judged.max() <= LIMIT else 'NOT kept'}), sampled networks {others.mean():.1%} and "
        f"{others.max():.1%}.",
        "",
        "| network | weights MiB | liveness MiB | measured MiB | predicted MiB | error |",
        "|---|---|---|---|---|---|",
    ]
    for row, peak, error in zip(rows, peaks, errors, strict=True):
        figures = (row.weights_mib, row.activations_mib, row.measured_mib, float(peak))
        lines.append(f"| {row.name} | {' | '.join(f'{each:.1f}' for each in figures)} | {error:+.1%} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
