"""The part of the page on prices of kernel classes, and the table of every network that they were tried on."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from published.class_gates import (
    MANY,
    ClassGate,
    Held,
    Kit,
    extrapolated,
    gates,
    intervals,
    kits,
)
from published.fits import Fits, mape, median_factor
from published.former import before_ms
from published.runtimes import PRIORS, RUNTIMES
from published.tile_sizes import Tiled, tiles

LEAST_INSIDE, MOST_INSIDE, LEAST_OF_ANY = 0.85, 0.95, 0.75
HEAD = """
## Prices of kernel classes

Each class of kernels (a 5x5 depthwise convolution of stride 2, a bilinear resize, a SiLU behind a convolution) has
prices of its own for launches, arithmetic, traffic and weights, fitted to whole networks: log-normal around the prices
of the class above it and, where another runtime is named as prior, around that one's times one factor
(`ussearch/hardware_profiles/latency/network_fitting.py`). No tensor is moved for less than the memory's bandwidth on
the datasheet allows, where that is known. What is left out is left out of the prior, too. *Before* are the prices that
profiles shipped until then (`benchmarks/data/former_prices.yaml`).

""".splitlines()
TILES_HEAD = """
Convolutions fill tiles. Their sizes were chosen in view of this table, 256 pixels included: the three figures at 256
pixels are not those of an untouched test. MAPE in per cent, fitted to all sizes but 256.

""".splitlines()
RUNTIMES_HEAD = """
Every runtime, each family left out in turn, beside three numbers (launches, GMACs, MiB) fitted to the same networks;
the simpler ship where the others are no better. The factor is the median one. The interval is made from the other
families, crowded ones counting less.
The last column is the share of 200 candidates, drawn as a search for the device draws them, and of the presets at 256
pixels that would be extrapolated: over a tenth of their milliseconds in classes that fewer than three networks of two
families contain.

""".splitlines()
PRIORS_HEAD = """
Runtimes of which too little was measured ship the prices of another one times one factor, and every prediction is
called extrapolated. Predicted over measured, once the factor is taken out:

""".splitlines()
KITS_HEAD = """
A user's board with a kit: ten networks drawn from its measurements (20 draws), the rest predicted. MAPE in per cent.
`profile fit` chooses between the last two and three numbers by cross-validation on the ten.

""".splitlines()


def section(fits: Fits) -> Iterator[str]:
    """Yield the lines of the section."""
    yield from HEAD
    yield from gate_table(list(gates(fits)))
    yield from TILES_HEAD
    yield from tile_table(list(tiles(fits)))
    held = list(intervals(fits))
    yield from RUNTIMES_HEAD
    yield from runtime_table(fits, held)
    yield from interval_lines(held)
    yield from PRIORS_HEAD
    yield from prior_table(fits)
    yield from KITS_HEAD
    yield from kit_table(list(kits(fits)))


def gate_table(rows: Sequence[ClassGate]) -> Iterator[str]:
    """Yield what is asked, what was before, what is reached."""
    yield "| what is left out | figure | before | reached | must | | goal |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        verdict = "PASS" if row.passed else "MISS"
        figures = f"{row.before:.3g} | {row.reached:.3g} | {row.must:g} | {verdict} | {row.goal:g}"
        yield f"| {row.subject} | {row.figure} | {figures} |"


def tile_table(rows: Sequence[Tiled]) -> Iterator[str]:
    """Yield what each size of tiles makes of the sizes that it was fitted to, and of 256 pixels."""
    yield "| runtime | channels | pixels | columns | chosen | other sizes | 256 pixels |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        sizes = f"{row.tiles.channels} | {row.tiles.pixels} | {row.tiles.columns}"
        chosen = "yes" if row.tiles == RUNTIMES[row.name].tiles else ""
        yield f"| {row.name} | {sizes} | {chosen} | {row.others_mape:.1f} | {row.at_256_mape:.1f} |"


def runtime_table(fits: Fits, held: Sequence[Held]) -> Iterator[str]:
    """Yield every runtime with its error, its interval and what it does not cover."""
    yield "| runtime | networks | families | prior | MAPE % | 3 numbers | factor | interval | held | extrapolated % |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for each in held:
        table, predicted = fits.measured(each.name), fits.left_out(each.name)
        simple = mape(fits.three_numbers(each.name), table.latency_ms)
        error = (
            f"{mape(predicted, table.latency_ms):.1f} | {simple:.1f} | {median_factor(predicted, table.latency_ms):.2f}"
        )
        count = f"{each.networks} | {len(np.unique(table.families))} | {RUNTIMES[each.name].prior or '–'}"
        share = extrapolated(fits, each.name)
        yield f"| {each.name} | {count} | {error} | {each.factor:.2f} | {each.inside:.2f} | {share:.0f} |"


def interval_lines(held: Sequence[Held]) -> Iterator[str]:
    """Yield what intervals must hold and whether they do."""
    many = [each for each in held if each.networks >= MANY]
    few = [each for each in held if each.networks < MANY]
    pooled = sum(each.inside * each.networks for each in few) / sum(each.networks for each in few)
    outside = [each.name for each in many if not LEAST_INSIDE <= each.inside <= MOST_INSIDE]
    poor = [each.name for each in held if each.inside < LEAST_OF_ANY]
    yield ""
    yield (
        f"Asked: {LEAST_INSIDE:.0%} to {MOST_INSIDE:.0%} held by each runtime with at least {MANY} networks and by all "
        f"others together ({pooled:.1%}), none under {LEAST_OF_ANY:.0%}. "
        f"Outside of that: {', '.join([*outside, *poor]) or 'none'}."
    )


def prior_table(fits: Fits) -> Iterator[str]:
    """Yield how far apart the few networks are that a prior was moved to."""
    yield "| runtime | networks | prior | lowest | highest |"
    yield "|---|---|---|---|---|"
    for name, runtime in PRIORS.items():
        _, ratios = fits.moved_prior(name)
        yield f"| {name} | {len(ratios)} ({runtime.data}) | {runtime.prior} | {ratios.min():.2f} | {ratios.max():.2f} |"


def kit_table(rows: Sequence[Kit]) -> Iterator[str]:
    """Yield what ten networks make of a prior."""
    yield "| the board in truth | taken to be like | prior is off by | prior | prior, scaled | fitted to the kit |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        errors = f"{row.prior_mape:.0f} | {row.scaled_mape:.1f} | {row.fitted_mape:.1f}"
        yield f"| {row.board} | {row.prior} | {row.off:.1f} × | {errors} |"


def write_networks(fits: Fits, path: Path) -> None:
    """Write every network by runtime, key and family, with what prices that never saw its family make of it.

    The measurements stay where they were published; the table holds ratios of predicted to measured.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["runtime", "network", "family", "before_over_measured", "left_out_over_measured"])
        for name in RUNTIMES:
            table = fits.measured(name)
            before, predicted = before_ms(fits, name) / table.latency_ms, fits.held_out(name) / table.latency_ms
            rows = zip(table.networks, table.families, before, predicted, strict=True)
            for network, family, former, ratio in sorted(rows, key=lambda row: row[0].name):
                writer.writerow(
                    [name, network.name, family, "" if np.isnan(former) else f"{former:.3f}", f"{ratio:.3f}"]
                )
