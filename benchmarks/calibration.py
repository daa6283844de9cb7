"""How well a profile made by ``ussearch profile calibrate`` predicts networks that it has not seen, on this machine.

Calibrates, then measures forty architectures drawn from the whole space (seeds fixed before anything is measured) and
every preset that was not among the calibration networks, at 128, 256 and 320 pixels, and compares: the calibrated
profile beside MACs alone (fitted to the same calibration networks), overall, by size and by family of blocks, on those
that met an undisturbed core, and on pairs that MACs put into the wrong order. Writes ``docs/results/calibration.md``;
exits with 1 where a limit is missed (by all networks, or by those alone that met an undisturbed core, which must be
forty at least) or where other processes kept the machine busy.

    python benchmarks/calibration.py [--networks N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.calibration.calibrate import CalibrationRequest, calibrate
from ussearch.hardware_profiles.calibration.measurements import Results, from_rows
from ussearch.hardware_profiles.calibration.networks import SIZES, CalibrationNetwork, preset_networks
from ussearch.hardware_profiles.calibration.profiles import Calibrated, export_networks, warnings_of
from ussearch.hardware_profiles.latency.cross_validation import iso_mac_accuracy
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import measure_here
from ussearch.search_spaces import FreeSpace

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "calibration.md"
RANDOM = 40
FIRST_SEED = 3_000_000
"""Of the random architectures; a calibration draws its own from hashed seeds."""
PAIRS = 20
ROUNDS, SECONDS, PATIENCE_S = 3, 1.0, 420.0
FEWEST_UNDISTURBED = 40
LIMITS = {"Spearman": 0.97, "MAPE %": 8.0, "within 10 %": 0.70, "iso-MAC": 0.80, "latency spread": 20.0}
PAIR_LIMIT = 0.85
SLOWER = 1.1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Networks with what was measured and what two models predict [networks]."""

    networks: Sequence[CalibrationNetwork]
    measured_ms: Floats
    predicted_ms: Floats
    macs: Floats
    macs_only_ms: Floats
    slowed: NDArray[np.bool_]

    def subset(self, wanted: Callable[[CalibrationNetwork], bool]) -> Judged:
        """Return the networks that ``wanted`` accepts."""
        return self.kept(np.array([wanted(network) for network in self.networks]))

    def kept(self, keep: NDArray[np.bool_]) -> Judged:
        """Return the networks with True in ``keep`` [networks]."""
        chosen = [network for network, kept in zip(self.networks, keep, strict=True) if kept]
        columns = (self.measured_ms, self.predicted_ms, self.macs, self.macs_only_ms, self.slowed)
        return Judged(chosen, *(column[keep] for column in columns))


def main() -> int:
    """Calibrate, measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=22, help="how many networks calibrate")
    arguments = parser.parse_args()
    made = calibrate(CalibrationRequest("this-machine", networks=arguments.networks), print)
    calibrated = {network.name for network in made.measured}
    networks = [*random_networks(), *(each for each in preset_networks() if not seen(each, calibrated))]
    results = measured_here(networks)
    judged = compare(made, networks, results)

    warnings = [*made.warnings, *warnings_of(results)]
    busy = any(row["busy"] > measure.BUSY for row in results.rows.values() if row["busy"] is not None)
    text, passed = report(made, judged, warnings)
    print(text)
    REPORT.write_text(text, encoding="utf-8")
    return 0 if passed and not busy else 1


def random_networks() -> list[CalibrationNetwork]:
    """Return architectures drawn from the whole space, sizes in turn."""
    return [
        CalibrationNetwork(f"random-{index:02d}-{size}", FreeSpace.standard(size).sample(FIRST_SEED + index), size)
        for index in range(RANDOM)
        for size in [SIZES[index % len(SIZES)]]
    ]


def seen(preset: CalibrationNetwork, calibrated: set[str]) -> bool:
    """Whether a preset was among the calibration networks, at whatever size."""
    name = preset.name.rsplit("-", 1)[0]
    return any(other.rsplit("-", 1)[0] == name for other in calibrated)


def measured_here(networks: Sequence[CalibrationNetwork]) -> Results:
    """Export and measure every network, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        paths = export_networks(networks, load_profile("x86-server"), Path(folder), lambda _: None)
        rows = measure_here(paths, 1, print, rounds=ROUNDS, seconds=SECONDS, patience_s=PATIENCE_S, nodes=False)
    return from_rows(rows, "this benchmark")


def compare(made: Calibrated, networks: Sequence[CalibrationNetwork], results: Results) -> Judged:
    """Return measurements beside predictions; MACs alone are scaled by their median on the calibration networks."""
    rate = float(np.median([each.latency_ms / sum(k.macs for k in each.kernels) for each in made.measured]))
    macs = np.array([sum(kernel.macs for kernel in network.kernels) for network in networks], dtype=np.float64)
    measured_ms = np.array([each.latency_ms for each in results.measured(networks)])
    predicted_ms = np.array([made.profile.latency.total_ms(network.kernels) for network in networks])
    slowed = np.array([bool(results.rows[f"{network.name}.onnx"]["slowed"]) for network in networks])
    return Judged(networks, measured_ms, predicted_ms, macs, rate * macs, slowed)


def figures(predicted_ms: Floats, judged: Judged) -> dict[str, float]:
    """Return the figures of one model."""
    error = np.abs(predicted_ms / judged.measured_ms - 1)
    return {
        "Spearman": float(spearmanr(predicted_ms, judged.measured_ms).statistic),
        "MAPE %": float(100 * error.mean()),
        "within 10 %": float((error <= 0.1).mean()),
        "iso-MAC": iso_mac_accuracy(predicted_ms, judged.measured_ms, judged.macs),
        "latency spread": float(judged.measured_ms.max() / judged.measured_ms.min()),
    }


def reversed_pairs(judged: Judged) -> tuple[int, float]:
    """Return how many pairs have the one with fewer MACs over a tenth slower, and the share ordered rightly."""
    order = [
        (a, b) for a in range(len(judged.macs)) for b in range(len(judged.macs)) if judged.macs[a] < judged.macs[b]
    ]
    pairs = [(a, b) for a, b in order if judged.measured_ms[a] > SLOWER * judged.measured_ms[b]]
    right = [judged.predicted_ms[a] > judged.predicted_ms[b] for a, b in pairs]
    return len(pairs), float(np.mean(right)) if pairs else float("nan")


def family(network: CalibrationNetwork) -> str:
    """Return the kind of most of the encoder's blocks after the stem; presets are a family of their own."""
    if not network.name.startswith("random-"):
        return "presets"
    kinds = Counter(block.kind for stage in network.architecture.stages[1:] for block in stage.blocks)
    return kinds.most_common(1)[0][0]


def report(made: Calibrated, judged: Judged, warnings: Sequence[str]) -> tuple[str, bool]:
    """Return the page, and whether every limit was kept, by undisturbed networks alone too."""
    mine, undisturbed = figures(judged.predicted_ms, judged), judged.kept(~judged.slowed)
    kept = limits_kept(mine)
    random = judged.subset(lambda network: network.name.startswith("random-"))
    count, share = reversed_pairs(random)
    kept["reversed pairs"] = count >= PAIRS and share >= PAIR_LIMIT
    passed = all(kept.values()) and len(undisturbed.networks) >= FEWEST_UNDISTURBED
    passed = passed and all(limits_kept(figures(undisturbed.predicted_ms, undisturbed)).values())
    lines = [*_head(made, judged, warnings), *_limits(mine, kept, count, share), *_tables(judged), *_networks(judged)]
    return "\n".join(lines) + "\n", passed


def limits_kept(found: dict[str, float]) -> dict[str, bool]:
    """Return for each limit whether the figures of a model keep it."""
    return {name: found[name] <= limit if name == "MAPE %" else found[name] >= limit for name, limit in LIMITS.items()}


def _head(made: Calibrated, judged: Judged, warnings: Sequence[str]) -> Iterator[str]:
    validation = made.chosen.validation
    yield "# A profile calibrated on this machine"
    yield ""
    yield f"Written by `python benchmarks/calibration.py` on {measure.machine()}: onnxruntime, FP32, one thread. The"
    yield f"profile was fitted to {validation.networks} networks; chosen by cross-validation: {made.chosen.name} ("
    yield ", ".join(f"{name} {error:.1f} %" for name, error in made.chosen.errors.items()) + " mean error)."
    yield f"Judged on {len(judged.networks)} networks that it has not seen: {RANDOM} drawn from the whole space and the"
    yield "presets that were not in the calibration, at 128, 256 and 320 pixels. Each latency is that with the core at"
    yield f"its best (see `ussearch bench`), from {ROUNDS} or more rounds; networks marked * hardly ever met it."
    yield ""
    yield from (f"**{warning}**\n" for warning in warnings)


def _limits(mine: dict[str, float], kept: dict[str, bool], count: int, share: float) -> Iterator[str]:
    yield "| figure | reached | limit | |"
    yield "|---|---|---|---|"
    for name, limit in LIMITS.items():
        sign = "≤" if name == "MAPE %" else "≥"
        yield f"| {name} | {mine[name]:.3g} | {sign} {limit:g} | {_word(kept[name])} |"
    yield (
        f"| order of {count} pairs of random networks whose fewer MACs are over 10 % slower (MACs: 0) | {share:.1%} | "
        f"≥ {PAIR_LIMIT:.0%} | {_word(kept['reversed pairs'])} |"
    )
    yield ""


def _word(kept: bool) -> str:
    return "PASS" if kept else "MISS"


def _tables(judged: Judged) -> Iterator[str]:
    yield "| networks | number | model | Spearman | MAPE % | within 10 % | iso-MAC | spread |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from _pair_of_rows("all", judged)
    yield from _pair_of_rows("undisturbed", judged.kept(~judged.slowed))
    for size in SIZES:
        yield from _pair_of_rows(f"{size} pixels", judged.subset(lambda network, size=size: network.image_size == size))
    for name in sorted({family(network) for network in judged.networks}):
        yield from _pair_of_rows(name, judged.subset(lambda network, name=name: family(network) == name))
    yield ""


def _pair_of_rows(name: str, judged: Judged) -> Iterator[str]:
    for model, predicted_ms in (("profile", judged.predicted_ms), ("MACs alone", judged.macs_only_ms)):
        found = figures(predicted_ms, judged)
        cells = [f"{found[key]:.3f}" for key in ("Spearman",)] + [f"{found['MAPE %']:.1f}"]
        cells += [f"{found['within 10 %']:.2f}", f"{found['iso-MAC']:.2f}", f"{found['latency spread']:.0f}×"]
        yield f"| {name} | {len(judged.networks)} | {model} | {' | '.join(cells).replace('nan', '–')} |"


def _networks(judged: Judged) -> Iterator[str]:
    yield "| network | family | GMACs | measured ms | predicted ms | error |"
    yield "|---|---|---|---|---|---|"
    for index, network in enumerate(judged.networks):
        measured_ms, predicted_ms = judged.measured_ms[index], judged.predicted_ms[index]
        mark = " *" if judged.slowed[index] else ""
        yield (
            f"| {network.name}{mark} | {family(network)} | {judged.macs[index] / 1e9:.3f} | {measured_ms:.2f} | "
            f"{predicted_ms:.2f} | {predicted_ms / measured_ms - 1:+.1%} |"
        )


if __name__ == "__main__":
    sys.exit(main())
