"""Fits and judges the latency models of the shipped profiles on published measurements.

Reads the tables of ``../shared/latency`` and of ``latency2`` beside it, prints every figure that must be reached with
PASS or MISS, writes ``docs/results/latency.md`` and ``benchmarks/data/latency_networks.csv`` and, with ``--write``,
puts the numbers fitted to all networks and the record of their validation into the profiles' YAML files.

    python benchmarks/latency.py [--data DIR] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from published import class_report, report
from published.gates import cell_gates, judge_cells, judge_yolobench, segmentation_gates, yolobench_gates
from published.runtimes import Fits
from published.shipped import Fitted, fit_all

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ROOT / "benchmarks" / "data" / "latency_networks.csv"
REPORT = ROOT / "docs" / "results" / "latency.md"
PROFILES = ROOT / "ussearch" / "hardware_profiles" / "profiles"


def main() -> None:
    """Fit, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "latency", help="folder of the tables")
    parser.add_argument("--write", action="store_true", help="put the fitted numbers into the profiles")
    arguments = parser.parse_args()
    if not (arguments.data / "yolobench.csv").is_file():
        parser.error(f"{arguments.data} holds no yolobench.csv: give the folder of the latency tables with --data")
    if not (arguments.data.parent / "latency2").is_dir():
        parser.error(f"{arguments.data.parent} holds no latency2: both folders of tables must lie side by side")
    fits = fit_all(arguments.data)
    if arguments.write:
        write_profiles(fits)
    of_classes = Fits(arguments.data.parent)
    class_report.write_networks(of_classes, NETWORKS)
    text = "\n".join(full_report(arguments.data, fits, of_classes)) + "\n"
    print(text)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(text, encoding="utf-8")


def full_report(data: Path, fits: Sequence[Fitted], of_classes: Fits) -> list[str]:
    """Judge everything and return the lines of the page."""
    rows, cells = list(judge_yolobench(data)), list(judge_cells(data))
    gates = [*yolobench_gates(rows), *cell_gates(cells), *segmentation_gates(data)]
    body = report.page(rows, cells, fits, gates)
    tables = [*report.segmentation_table(data), *report.coverage_table(fits), *class_report.section(of_classes)]
    return [*body, *tables, *report.FOOT]


def write_profiles(fits: Sequence[Fitted]) -> None:
    """Put prices, validation and provenance into the profiles; what else they hold stays."""
    for fit in fits:
        name, _, variant = fit.sample.profile.partition("@")
        path = PROFILES / f"{name}.yaml"
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        update(data["runtimes"][variant] if variant else data, fit)
        path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110), encoding="utf-8")


def update(runtime: dict[str, Any], fit: Fitted) -> None:
    """Replace the fitted fields of one runtime; the activations that it fuses are kept unless the fit says more."""
    latency, provenance = dict(fit.latency), runtime["provenance"]
    latency["activation_nodes"] = {
        **runtime["latency"].get("activation_nodes", {}),
        **latency.pop("activation_nodes", {}),
    }
    runtime["latency"], runtime["validation"] = latency, fit.validation
    provenance["latency"] = {"basis": "fit", "source": f"benchmarks/latency.py on {fit.sample.source}"}
    if latency.get("tile_pixels", 1) == 1:
        latency.pop("tile_pixels", None)
    else:
        provenance["latency.tile_pixels"] = {"basis": "chosen", "source": "in view of the same measurements"}


if __name__ == "__main__":
    main()
