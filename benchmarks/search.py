"""Measures how many trainings each sampler needs on a sub-space of which every point was trained.

``table`` trains the sub-space (320 points, two seeds each, phantoms at 64×64) and keeps it in
``benchmarks/data/search_table.csv``; it goes on where it was stopped, and parts can run side by side. ``compare`` lets
the samplers search it and writes ``docs/results/search.md``.

    python benchmarks/search.py table [--part 1/4]
    python benchmarks/search.py compare [--seeds 50] [--first-seed 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from enumerated.contest import ENTRIES, OURS, Entry, Result, latencies, race
from enumerated.race import Table, reference_point
from enumerated.report import draw, page
from enumerated.subspace import points
from enumerated.table import SEEDS, read, train_part

CHECKS = 20
"""Searches of each sampler where the result is only checked by counting in another way."""
CHECKED = [entry for entry in ENTRIES if entry.title in ("random", OURS) or entry.title.startswith("NSGA-II")]
DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    """Train the table, or compare samplers on it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="train what is missing of the table")
    table.add_argument("--part", default="1/1", help="which of how many equal parts, such as 2/4")
    comparison = commands.add_parser("compare", help="search the table with every sampler and write the page")
    comparison.add_argument("--seeds", type=int, default=50, help="searches of each sampler")
    comparison.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.command == "table":
        part, _, parts = arguments.part.partition("/")
        if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
            parser.error(f"--part {arguments.part} is no part such as 2/4")
        train_part(int(part), int(parts))
    elif len(read()) < len(SEEDS) * len(points()):
        parser.error(f"{len(read())} of {len(SEEDS) * len(points())} trainings are there: run `table` first")
    else:
        compare(range(arguments.first_seed, arguments.first_seed + arguments.seeds))


def compare(seeds: range) -> None:
    """Let every sampler search, print and write the page and its picture."""
    table = load_table()
    results = raced(table, ENTRIES, seeds)
    checks = {
        "seeds exchanged: B is seen, A scores": raced(table.exchanged(), CHECKED, seeds[:CHECKS]),
        "reference at Dice 0 and the slowest point": raced(table.from_nothing(), CHECKED, seeds[:CHECKS]),
    }
    text = page(read(), table, results, checks, seeds)
    print(text)
    (DOCS / "results" / "search.md").write_text(text, encoding="utf-8")
    draw(results, table, DOCS / "pictures" / "search.png")


def raced(table: Table, entries: Sequence[Entry], seeds: range) -> list[Result]:
    """Return the samplers' searches of one table."""
    results = []
    for entry in entries:
        results.append(race(entry, table, seeds))
        print(f"{entry.title}: {sorted(results[-1].needed)}", flush=True)
    return results


def load_table() -> Table:
    """Return the table: searches see seed A, seed B judges them."""
    dice = {(row["point"], row["seed"]): row["objective"] or 0.0 for row in read()}
    latency = latencies()
    losses = [np.array([(-dice[number, seed], latency[number]) for number in range(len(latency))]) for seed in SEEDS]
    return Table(points(), losses[0], losses[1], reference_point(losses[1]))


if __name__ == "__main__":
    main()
