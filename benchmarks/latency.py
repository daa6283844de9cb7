"""Fits and judges the latency models of the shipped profiles on published measurements.

Reads the tables of ``../shared/latency`` and of ``latency2`` beside it, prints every figure that must be reached with
PASS or MISS, writes ``docs/results/latency.md`` and ``benchmarks/data/latency_networks.csv`` and, with ``--write``,
puts the numbers fitted to all networks and the record of their validation into the profiles' YAML files.

    python benchmarks/latency.py [--data DIR] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from published import class_profiles, class_report, report
from published.fits import Fits
from published.gates import cell_gates, judge_cells, judge_yolobench, segmentation_gates, yolobench_gates
from published.runtimes import PRIORS, RUNTIMES
from published.shipped import Fitted, fit_all

from ussearch.hardware_profiles.latency.model import LatencyModel
from ussearch.hardware_profiles.profile_text import profile_yaml

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
    fits, of_classes = fit_all(arguments.data), Fits(arguments.data.parent)
    if arguments.write:
        for fit in fits:
            rewrite(fit.sample.profile, partial(update, fit=fit))
        for name in RUNTIMES:
            found = class_profiles.shipped(of_classes, name)
            record = found.validation.model_dump(mode="json", exclude_defaults=True)
            rewrite(name, partial(replace_prices, model=found.latency, record=record, provenance=found.provenance))
        for name in PRIORS:
            prior = class_profiles.prior_only(of_classes, name)
            rewrite(name, partial(replace_prices, model=prior.latency, record=None, provenance=prior.provenance))
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


def rewrite(profile: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change one runtime in the file of a profile; what else that holds stays."""
    name, _, variant = profile.partition("@")
    path = PROFILES / f"{name}.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(data["runtimes"][variant] if "runtimes" in data else data)
    path.write_text(profile_yaml(data), encoding="utf-8")


def update(runtime: dict[str, Any], fit: Fitted) -> None:
    """Replace a roofline; the activations that the runtime fuses are kept unless the fit says more."""
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


def replace_prices(
    runtime: dict[str, Any], model: LatencyModel, record: dict[str, Any] | None, provenance: dict[str, Any]
) -> None:
    """Replace the model of a runtime whose classes of kernels have prices of their own, and all that is said of it."""
    runtime["latency"] = {"kind": model.kind, **model.model_dump(mode="json", exclude_defaults=True)}
    kept = {key: value for key, value in runtime["provenance"].items() if not key.startswith("latency")}
    runtime["provenance"] = {**kept, **provenance}
    runtime.pop("validation", None)
    if record is not None:
        runtime["validation"] = record


if __name__ == "__main__":
    main()
