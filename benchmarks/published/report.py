"""The page ``docs/results/latency.md``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from published import segmentation, shipped
from published.gates import Gate, Judged
from published.protocol import RECIPES, Recipe
from published.shipped import Fitted
from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.latency.cross_validation import Quality


def page(
    rows: Sequence[Judged], cells: Sequence[tuple[str, str, Quality]], fits: Sequence[Fitted], gates: Sequence[Gate]
) -> Iterator[str]:
    """Yield the lines of the page, but for the segmentation table."""
    yield from HEAD
    yield from gate_table(gates)
    yield from TEN_NETWORKS
    yield from judged_table(rows)
    yield from RECIPE_HEAD
    yield from recipe_table()
    yield from CELLS_HEAD
    yield from cell_table(cells)
    yield from SHIPPED_HEAD
    yield from shipped_table(fits)
    yield from PRICES_HEAD
    yield from price_table(fits)


def gate_table(gates: Sequence[Gate]) -> Iterator[str]:
    """Yield what must be reached, what is, and how far the goal is."""
    yield "| what | figure | reached | must | | goal | better than the goal by |"
    yield "|---|---|---|---|---|---|---|"
    for gate in gates:
        goal = "–" if gate.goal is None else f"{gate.goal:g}"
        distance = "–" if gate.goal is None else f"{gate.distance:+.3g}"
        verdict = "PASS" if gate.passed else "MISS"
        yield (
            f"| {gate.subject} | {gate.figure} | {gate.reached:.3f} | {gate.must:g} | {verdict} | {goal} | {distance} |"
        )


def judged_table(rows: Sequence[Judged]) -> Iterator[str]:
    """Yield the qualities of every model on every device."""
    yield "| device | model | resolution left out | family left out |"
    yield "|---|---|---|---|"
    for row in rows:
        yield f"| {row.device} | {row.model} | {cell(row.by_resolution)} | {cell(row.by_family)} |"


def recipe_table() -> Iterator[str]:
    """Yield how each device's prediction is made."""
    yield "| device | own numbers | corrected by the shape of | mixed with |"
    yield "|---|---|---|---|"
    for device, recipe in RECIPES.items():
        names = ", ".join(("GMACs", "MiB", "launches")[index] for index in recipe.numbers)
        shape = f"{', '.join(recipe.shape)} to the power {recipe.shape_strength:g}" if recipe.shape else "–"
        yield f"| {device} | {names} | {shape} | {_mixture(device, recipe)} |"


def _mixture(device: str, recipe: Recipe) -> str:
    others = [other for other in recipe.mixture if other != device]
    names = "all other devices" if len(others) > 2 else ", ".join(others)
    launches = " and launches" if recipe.mixture_launches else ""
    return f"{names}{launches}, weight {recipe.mixture_weight:g}"


def cell_table(cells: Sequence[tuple[str, str, Quality]]) -> Iterator[str]:
    """Yield the qualities on NAS-Bench-201."""
    yield "| device | model | Kendall τ | Spearman | MAPE % |"
    yield "|---|---|---|---|---|"
    for device, model, result in cells:
        yield f"| {device} | {model} | {result.tau:.3f} | {result.spearman:.3f} | {result.mape:.1f} |"


def segmentation_table(data: Path) -> Iterator[str]:
    """Yield predictions for FCN-ResNet18."""
    sizes, model = segmentation.load(data), segmentation.nano_fp16_from_other_data(data)
    blind = segmentation.predicted_ms(model, sizes)
    ends = [int(sizes.latency_ms.argmin()), int(sizes.latency_ms.argmax())]
    fitted = segmentation.predicted_ms(segmentation.with_arithmetic_of(model, sizes, ends), sizes)
    yield from SEGMENTATION_HEAD
    yield "| size | published ms (FPS) | from other data of the board | from the smallest and the largest size |"
    yield "|---|---|---|---|"
    for name, published_ms, first, second in zip(sizes.names, sizes.latency_ms, blind, fitted, strict=True):
        yield f"| {name} | {published_ms:.1f} ({1000 / published_ms:.0f}) | {first:.1f} | {second:.1f} |"


def shipped_table(fits: Sequence[Fitted]) -> Iterator[str]:
    """Yield what the shipped models are worth, beside the alternatives."""
    yield "| profile | measured on | networks | model | held-out networks | nine in ten within |"
    yield "|---|---|---|---|---|---|"
    for fit in fits:
        chosen = "own prices" if fit.own_prices else "three numbers"
        for name, result in fit.candidates.items():
            sample = fit.sample
            error = f"×{1 + fit.validation['relative_error']:.2f}" if name == chosen else ""
            model = f"**{name}**" if name == chosen else name
            facts = f"{sample.profile} | {sample.data} | {len(sample.macs)} | {model}"
            yield f"| {facts} | {cell(result)} | {error} |"


def price_table(fits: Sequence[Fitted]) -> Iterator[str]:
    """Yield the fitted numbers."""
    yield "| profile | conditions | ms per GMAC | ms per MiB | ms per operator | tile, pixels |"
    yield "|---|---|---|---|---|---|"
    for fit in fits:
        profile, latency = load_profile(fit.sample.profile), fit.latency
        numbers = " | ".join(f"{latency[name]:g}" for name in shipped.NUMBERS)
        tile = latency.get("tile_pixels", 1)
        yield f"| {fit.sample.profile} | {profile.runtime}, {profile.precision} | {numbers} | {tile} |"


def coverage_table(fits: Sequence[Fitted]) -> Iterator[str]:
    """Yield the classes of kernels that each profile's measurements contain."""
    yield from COVERAGE_HEAD
    yield "| profiles | classes of kernels measured |"
    yield "|---|---|"
    by_classes: dict[tuple[str, ...], list[str]] = {}
    for fit in fits:
        by_classes.setdefault(fit.sample.kernel_classes, []).append(fit.sample.profile)
    for classes, profiles in by_classes.items():
        yield f"| {', '.join(profiles)} | {', '.join(classes)} |"


def cell(result: Quality) -> str:
    """Return the four figures of a quality."""
    figures = f"{result.tau:.3f} / {result.mape:.1f} / {result.within_10_percent:.2f} / {result.iso_mac_accuracy:.2f}"
    return figures.replace("nan", "–")


HEAD = (
    "# How well the profiles predict latency",
    "",
    "Written by `python benchmarks/latency.py` from published measurements: YOLOBench (Deeplite/deeplite-torch-zoo,",
    "Apache-2.0), NAS-Bench-201 latencies (as published by OneProxy and HW-NAS-Bench-360), ncnn's benchmark page",
    "(BSD-3) and the FPS of jetson-inference's segmentation networks. Nobody in this project measured these devices.",
    "",
    "MAPE is in per cent. Four figures with slashes are Kendall τ / MAPE / share within ±10 % / right order among",
    "pairs whose MACs differ by under 20 % and latencies by over 5 % (iso-MAC). τ over a wide range proves little: see",
    "the rows of MACs alone.",
    "",
    "## What must be reached",
    "",
)
TEN_NETWORKS = (
    "",
    "## YOLOBench: ten networks of the device",
    "",
    "For each resolution (or family of architectures) in turn, ten networks are drawn from the *other* ones (seeds",
    "0–19), the model is fitted to them and tested on every network of the one left out; means over groups and seeds.",
    "Other devices are known only by their measurements of networks of the other groups: no model sees any device's",
    "measurement of a network that it is tested on.",
    "",
)
RECIPE_HEAD = (
    "",
    "*With other devices*: every other device gets prices for each class of kernels (arithmetic, traffic of",
    "activations, traffic of weights, launches), fitted to all of its training networks; non-negative shares of those",
    "models are fitted to the ten networks; the prediction is the log-mean of that mixture and the device's own three",
    "numbers. Two runtimes need another recipe. TFLite on the Pi 4 does not charge for launches, so that ten networks",
    "fit noise with three numbers: it keeps the price of arithmetic, corrected by how the classes of kernels change an",
    "i7's latency. The RK3588's NPU is described by no roofline; another NPU, the VIM3's, gives the shape. These",
    "choices, and which activations and tiles a runtime has, were made in view of this data, once for all resolutions.",
    "",
)
CELLS_HEAD = (
    "",
    "## NAS-Bench-201: ten samples",
    "",
    "Fitted to ten random cells of 487 (without dead operators), tested on the others, means over seeds 0–19; no other",
    "device is used. What decides is how a runtime launches convolutions. The FP16 runtime of the Jetson Nano merges",
    "convolutions of one size that read the same tensor: MACs say nothing about it, launches nearly all. On the TX2",
    "only siblings cost much: the first convolution behind each tensor is almost free. Which count a runtime wants was",
    "chosen in view of the data of all 487 cells; the prices come from ten.",
    "",
)
SEGMENTATION_HEAD = (
    "",
    "## FCN-ResNet18 on the Jetson Nano, TensorRT FP16",
    "",
    "*From other data of the board*: arithmetic at half the price of onnxruntime's FP32 (YOLOBench), launches as in",
    "NAS-Bench-201's FP16 measurements, traffic as half the bytes at the datasheet's bandwidth, taken to be 2.5 times",
    "optimistic as datasheets are (the tensors of NAS-Bench-201 are too small to reach the memory, and this network",
    "is bound by arithmetic: between one and three times the datasheet's price its error moves by half a point).",
    "*From two sizes*: only the price of arithmetic is fitted. Convolutions compute whole tiles of 128 pixels; without",
    "tiles little more than half of all pairs of sizes predict every other size. The tile was chosen in view of these",
    "eleven sizes; under TensorRT the A40's error (YOLOBench) falls with tiles, too. Published FPS are integers:",
    "2048x1024 may take 286 to 400 ms. *Near* is within 20 % or the same integer FPS.",
    "",
)
SHIPPED_HEAD = (
    "",
    "## Where few kinds of networks were measured: three numbers",
    "",
    "Shipped numbers are fitted to *all* networks of a runtime. Held out are families (YOLOBench), single networks",
    "(ncnn) and fifths (NAS-Bench-201); the model is fitted to all the rest. *Own prices* gives every operator (for",
    "ncnn: the arithmetic of depthwise convolutions) prices of its own, drawn towards the common ones; they ship",
    "where they lower the error by over a tenth, which they do nowhere here. Operators that were not measured are",
    "charged the same prices. No price of traffic is below what the memory can do. Figures are pooled over all",
    "held-out networks. Runtimes of which networks of many families were measured ship prices of kernel classes",
    "instead: see below.",
    "",
)
PRICES_HEAD = (
    "",
    "Squared relative error, non-negative. The numbers are collinear: use them as a set.",
    "",
)
COVERAGE_HEAD = (
    "",
    "## Coverage",
    "",
    "A prediction whose other classes make up more than a tenth of its milliseconds is marked extrapolated.",
    "",
)
FOOT = (
    "",
    "## What this does not show",
    "",
    "- A class that fewer than three networks of two families contain is priced by what is like it. On the",
    "  Raspberry Pis nobody published onnxruntime with depthwise convolutions: their prices are those of the Jetson",
    "  Nano's processor, moved by one factor, and nearly every candidate there is marked extrapolated. So are most",
    "  on the Jetsons other than the Nano, whose dozen networks come from one source.",
    "- INT8 with XNNPACK on the Raspberry Pis is a prior only: the 18 published networks contradict each other",
    "  (families left out, the median error is a factor of 1.5 on the Pi 4 and of 4 on the Pi 5), and without those",
    "  of one source six of a single family are left.",
    "- ncnn's page has two dozen networks with totals only, measured once each; nine in ten held-out ones lie within a",
    "  factor of 1.5 to 2.1. `jetson-tx2@ncnn-vulkan-fp16` is a TX2 NX, `snapdragon-855` an 855+, and `intel-n100` a",
    "  Celeron N5105, the nearest machine measured.",
    "- `coral-edge-tpu` and `raspberry-pi-5@litert-fp32` were measured on cells of 32×32 pixels: their networks are",
    "  smaller than any that segments an image. The Edge TPU's weights fitted into its memory in all of them.",
    "- `x86-server` was measured on an i7-10875H, `gpu-server` on an A40: they order candidates, their milliseconds",
    "  are those of no other machine.",
    "- The threads of YOLOBench's CPU measurements were not published. TFLite's networks of 160 to 224 pixels are a",
    "  quarter slower per MAC than those from 288 on, which no property of their kernels explains.",
    "- Prices are those of classes as whole networks show them: collinear, and to be used as a set. A class with one",
    "  source takes over what else is peculiar to its networks.",
)
