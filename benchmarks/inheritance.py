"""What a trained relative is worth: children that start from it, beside trainings from scratch, on phantoms.

Three bases are trained in full; 40 children, edited as a search edits, with three shapes or more changed, are trained
for a seventh of the course from what they inherit, and in full from scratch with two seeds, whose mean is the truth.
Every network is judged on phantoms that neither trained nor chose anything. Every finished row is a file in
``benchmarks/data/inheritance``; the same command continues after a kill. Some two hours of one core.

    python benchmarks/inheritance.py [--part I/N] [--rows DIR]      # several parts may run at once
    python benchmarks/inheritance.py --page                         # from the rows alone
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from inherited import page
from inherited.bench import ARMS, BASES, CHILDREN, ROWS, Bench, finished, made

from ussearch.files import write_atomically

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "inheritance.md"


def main() -> int:
    """Make the rows that are not there yet, then write the page of all rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", default="1/1", help="which of how many parts of the rows, such as 1/2")
    parser.add_argument("--rows", type=Path, default=ROWS, help="folder of finished rows")
    parser.add_argument("--page", action="store_true", help="only write the page from the rows")
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("--epochs", type=int, default=15, help="of a full training; others to try the program")
    arguments = parser.parse_args()
    bench = Bench(arguments.rows, arguments.epochs)
    if not arguments.page:
        part, parts = map(int, arguments.part.split("/"))
        for base in BASES:
            made(bench, "base", base)
        for number in range(part - 1, CHILDREN, parts):
            for arm in ARMS:
                row = made(bench, arm, number)
                print(f"child {number}, {arm}: {row['score']:.4f} in {row['seconds']:.0f} s", flush=True)
    rows = finished(bench)
    if not rows:
        print("inheritance.py: there are no rows yet: run it without --page first.", file=sys.stderr)
        return 2
    text = page.page(rows)
    write_atomically(arguments.report, text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
