"""What the chain makes of networks on BUSI: the waterfall of four rows.

Rows: ``depthwise``, ``dense-decoder`` and the ``winner`` of a search on BUSI (``benchmarks/chain/*.yaml``), and the
preset ``lv-unet``; behind a colon how many seeds, from 0 on. Networks are trained and judged at ``--train-size``;
latency and bytes are those of the same networks at 256×256, batch 1, one thread, full onnxruntime optimisation, in
turns within one process, when all is trained: leave the machine alone then. The baseline is the FP32 export of the
deploy form of the network that came in. Finished runs are kept; the same command continues. Writes
``docs/results/compression.md``.

    python benchmarks/compression.py --data DIR [--rows depthwise:3,lv-unet:1] [--epochs 40] [--step-epochs 10]
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chain.runs import Bench, outcome_of, run

from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.hardware_profiles.measuring.measure import machine
from ussearch.process_settings import settle
from ussearch.search_spaces import Architecture, load_preset

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "docs" / "results" / "compression.md"
CHAIN = Path(__file__).resolve().parent / "chain"
LIMITS = {"depthwise": (0.40, 0.25), "dense-decoder": (0.40, 0.35)}
"""Latency and bytes, as shares of the baseline's."""
INT8_ALONE = {"dense-decoder": 0.50}
"""Latency of the same network in INT8, without any other step."""


def main() -> int:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", default="depthwise:3,dense-decoder:3,winner:3,lv-unet:3")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--step-epochs", type=int, default=10)
    parser.add_argument("--train-size", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--normals", action="store_true", help="images without a lesion, too")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "compression")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settle()
    images = "all" if arguments.normals else "lesions"
    bench = Bench(
        arguments.data,
        this_machine(),
        arguments.train_size,
        256,
        arguments.epochs,
        arguments.step_epochs,
        arguments.runs / f"{arguments.train_size}-{arguments.epochs}-{arguments.step_epochs}-{images}",
        arguments.device,
        arguments.normals,
    )
    rows = {name: range(int(seeds)) for name, seeds in (row.split(":") for row in arguments.rows.split(","))}
    for name, seeds in rows.items():
        for seed in seeds:
            run(bench, name, architecture_of(name), seed)
    found = {name: [outcome_of(bench, name, seed) for seed in seeds] for name, seeds in rows.items()}
    text = "\n".join(page(bench, found)) + "\n"
    print(text)
    write_atomically(REPORT, text)
    return 0


def this_machine() -> Profile:
    """Return the profile of an x86 server with the registers of this one: 8 floats in AVX2, 16 in AVX-512."""
    server = load_profile("x86-server")
    export = server.export.model_copy(update={"channel_multiple": 16 if "avx512" in processor_flags() else 8})
    return server.model_copy(
        update={
            "name": "this machine",
            "runtime": "onnxruntime",
            "processor": platform.machine(),
            "threads": 1,
            "export": export,
        }
    )


def architecture_of(name: str) -> Architecture:
    """Return a row's network: a committed file, or a preset."""
    path = CHAIN / f"{name}.yaml"
    if path.is_file():
        return Architecture.from_yaml(path.read_text(encoding="utf-8"), str(path))
    return load_preset(name).architecture.for_task()


def pooled(runs: Sequence[dict[str, Any]]) -> Change:
    """Return the change of Dice over the test images of all seeds; an image's seeds count as one group."""
    before = [each for run in runs for each in run["before"]]
    after = [each for run in runs for each in run["after"]]
    return paired_change(before, after, [each for run in runs for each in run["groups"]])


def page(bench: Bench, found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# What the chain makes of networks"
    yield ""
    yield f"Made by `benchmarks/compression.py` on {machine()}, one thread{vnni()}."
    yield f"BUSI, {images_of(bench)};"
    yield f"trained and judged at {bench.train_size}×{bench.train_size}, {bench.epochs} epochs, steps of"
    yield f"{bench.step_epochs}, widths in multiples of {bench.profile.export.channel_multiple}; timed at"
    yield f"{bench.time_size}×{bench.time_size}, in turns within one process. Baseline: the FP32 export of the"
    yield "deploy form."
    yield ""
    yield "| network | seed | shipped | latency | INT8 alone | bytes | limits |"
    yield "|---|---|---|---|---|---|---|"
    for name, runs in found.items():
        for seed, each in enumerate(runs):
            yield f"| {name} | {seed} | {each['form']} | {' | '.join(cells(name, each))} |"
    yield ""
    yield "| network | Dice before, test | change in points (95 %) | images |"
    yield "|---|---|---|---|"
    for name, runs in found.items():
        change = pooled(runs)
        before = np.mean([each for run in runs for each in run["before"]])
        low, mean, high = (f"{100 * value:+.1f}" for value in (change.low, change.mean, change.high))
        yield f"| {name} | {before:.3f} | {mean} ({low} to {high}) | {change.images}, seeds: {len(runs)} |"
    yield ""
    yield "What is shipped was trained longer than what came in, and taught: where Dice grows, that is the reason."
    yield "Gates compare each step that trains with a control that is trained as long."
    yield ""
    for name, runs in found.items():
        yield f"## {name}"
        yield ""
        for seed, each in enumerate(runs):
            yield f"Seed {seed}:"
            yield ""
            yield from steps_of(each)
            yield ""


def steps_of(run: dict[str, Any]) -> Iterator[str]:
    """Yield a line a step, and one for uniform scaling where it was tried: before what does not train again."""
    lines = [(row["step"], f"{row['verdict']}, {row['reason']}") for row in run["rows"]]
    if run["uniform"]:
        place = next((n for n, (step, _) in enumerate(lines) if step.startswith("quantise")), len(lines))
        lines.insert(place, ("uniform scaling", run["uniform"]))
    yield from (f"- {step}: {outcome}" for step, outcome in lines)


def vnni() -> str:
    """Return whether this processor has instructions for INT8, where it tells."""
    flags = processor_flags()
    return "" if not flags else f" ({'with' if 'vnni' in flags else 'without'} VNNI)"


def processor_flags() -> str:
    """Return what Linux says of the processors; empty where it does not."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def images_of(bench: Bench) -> str:
    """Return how many images there are, and in which parts."""
    parts = {name: len(indices) for name, indices in bench.split.parts().items() if indices}
    kind = "images" if bench.normals else "images with a lesion"
    return f"{sum(parts.values())} {kind} ({', '.join(f'{name} {count}' for name, count in parts.items())})"


def cells(name: str, run: dict[str, Any]) -> Iterator[str]:
    """Yield the cells of latency, INT8 alone, bytes and the verdict on the limits."""
    latency, size = run["ratio"]["end"], run["file_bytes"]["end"] / run["file_bytes"]["start"]
    yield f"{latency:.2f} ×"
    alone = run["ratio"]["start-int8"]
    wanted = INT8_ALONE.get(name)
    yield f"{alone:.2f} ×" + ("" if wanted is None else f" (≤ {wanted:.2f}: {'kept' if alone <= wanted else 'MISSED'})")
    yield f"{size:.2f} ×"
    if name not in LIMITS:
        yield "not slower: " + ("kept" if latency <= 1.02 else "MISSED")
        return
    most_latency, most_bytes = LIMITS[name]
    reached = latency <= most_latency and size <= most_bytes
    yield f"≤ {most_latency:.2f} and ≤ {most_bytes:.2f}: {'kept' if reached else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main())
