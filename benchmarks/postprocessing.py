"""Puts what post-processing takes on each device's main processor into the shipped profiles.

Measured is the development machine (``benchmarks/false_alarms.py --timing`` and ``--timing-sizes``, Python 3.6). A
device's processor is slower by the geometric mean of two published ratios of one thread: 7-zip's benchmark
(ThomasKaiser/sbc-bench), which is integers and jumps like an interpreter's, and the median of ncnn's FP32 networks
(Tencent/ncnn's benchmark page), which is arithmetic on vectors like numpy's. The truth lies between them. ncnn computes
in FP16 where a core has it: that is taken out by what a Raspberry Pi 5 gains over a Pi 4 in TFLite's FP32 (3.27,
NobuoTsukamoto/benchmarks) and in ncnn (5.7).

    python benchmarks/postprocessing.py [--data DIR] [--write]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from ussearch.hardware_profiles.postprocessing_time import SIDE
from ussearch.hardware_profiles.profile_text import profile_yaml

ROOT = Path(__file__).resolve().parents[1]
TIMING = ROOT / "benchmarks" / "data" / "false_alarms" / "timing.json"
SIZES = TIMING.with_name("timing_sizes.json")
PROCESSORS = ROOT / "benchmarks" / "data" / "postprocessing" / "processors.csv"
FACTORS = ROOT / "benchmarks" / "data" / "postprocessing" / "factors.json"
PROFILES = ROOT / "ussearch" / "hardware_profiles" / "profiles"
HERE_MIPS = 3840
"""7-zip 26.01 on the development machine (AMD Zen 4, ``7z b -mmt1``, rating by usage) with both cores busy."""
HERE_BLOCK = "188"
"""Of ncnn's page: a Ryzen 7 5700G, the nearest there."""
PYTHON = "3.6"
ALIKE = {"x86-server": "", "gpu-server": "", "coral-edge-tpu": "raspberry-pi-4"}
"""Profiles whose processor nobody names: taken to be the development machine's, or that of another profile."""
MEASURED = "benchmarks/postprocessing.py: {ms:.2f} ms on a development machine (docs/results/false-alarms.md)"


def main() -> None:
    """Print the figures, and write them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of ncnn.csv.gz: find its ratios anew")
    parser.add_argument("--write", action="store_true", help="put the figures into the profiles")
    arguments = parser.parse_args()
    with PROCESSORS.open(encoding="utf-8") as file:
        processors = list(csv.DictReader(file))
    if arguments.data:
        FACTORS.write_text(json.dumps(ncnn_ratios(arguments.data, processors), indent=1) + "\n", encoding="utf-8")
    for name, (part, origin) in parts(processors, json.loads(FACTORS.read_text(encoding="utf-8"))).items():
        print(f"{name}: {part['ms']} ms, {part['ms_per_call']} ms of them a call ({origin['basis']})")
        if arguments.write:
            put(name, part, origin)


def measured() -> tuple[float, float]:
    """Return milliseconds at 256 pixels a side and a call's; its share is from a run over all sizes.

    There a call's own time and that of the pixels are found by least squares of relative errors.
    """
    [ms] = [row["post_p99_ms"] for row in json.loads(TIMING.read_text(encoding="utf-8")) if row["python"][:3] == PYTHON]
    rows = json.loads(SIZES.read_text(encoding="utf-8"))
    found_ms = np.array([row["post_p99_ms"] for row in rows])
    design = np.array([[1.0, (row["side"] / SIDE) ** 2] for row in rows]) / found_ms[:, None]
    call_ms, pixels_ms = np.linalg.lstsq(design, np.ones(len(rows)), rcond=None)[0]
    return float(ms), float(ms * call_ms / (call_ms + pixels_ms))


def ncnn_ratios(data: Path, processors: list[dict[str, str]]) -> dict[str, float]:
    """Return how much longer the median network takes on each profile's processor than on the one like this."""
    blocks: dict[str, dict[str, float]] = {}
    with gzip.open(data / "ncnn.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["num_threads"] == "1" and not row["model"].endswith("int8"):
                blocks.setdefault(row["block"], {}).setdefault(row["model"], float(row["min_ms"]))
    here = blocks[HERE_BLOCK]
    return {
        each["profile"]: round(
            median(ms / here[name] for name, ms in blocks[each["ncnn_block"]].items() if name in here), 2
        )
        for each in processors
    }


def parts(
    processors: list[dict[str, str]], ncnn: dict[str, float]
) -> dict[str, tuple[dict[str, float], dict[str, str]]]:
    """Return for every profile its time and where that is from."""
    ms, call_ms = measured()
    found = {}
    for each in processors:
        integers = HERE_MIPS / float(each["seven_zip_mips"])
        vectors = ncnn[each["profile"]] * float(each["ncnn_scale"])
        factor = (integers * vectors) ** 0.5
        without = f", {each['ncnn_scale_of']} taken into account" if each["ncnn_scale_of"] else ""
        source = (
            f"{MEASURED.format(ms=ms)} x {factor:.1f} for a {each['core']}, between {integers:.1f} (7-zip, one thread, "
            f"{each['seven_zip_of']}, ThomasKaiser/sbc-bench) and {vectors:.1f} (ncnn's networks, one thread, "
            f"Tencent/ncnn{without})"
        )
        found[each["profile"]] = (_part(ms * factor, call_ms * factor), {"basis": "derived", "source": source})
    for name, other in ALIKE.items():
        part = found[other][0] if other else _part(ms, call_ms)
        like = f"the host is taken to be as fast as {other}" if other else "a server's processor is taken to be as fast"
        found[name] = (part, {"basis": "assumed", "source": f"{MEASURED.format(ms=ms)}; {like}"})
    return found


def _part(ms: float, call_ms: float) -> dict[str, float]:
    return {"ms": round(ms, 2), "ms_per_call": round(call_ms, 2)}


def put(name: str, part: dict[str, float], origin: dict[str, str]) -> None:
    """Write the part into a profile's file, behind what else a device's processor takes."""
    path = PROFILES / f"{name}.yaml"
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    data.pop("postprocessing", None)
    place = next(position for position, key in enumerate(data) if key == "export")
    entries = list(data.items())
    data = dict([*entries[:place], ("postprocessing", part), *entries[place:]])
    data["provenance"] = {**data["provenance"], "postprocessing": origin}
    path.write_text(profile_yaml(data), encoding="utf-8")


if __name__ == "__main__":
    main()
