"""Measures how many trainings each sampler needs on a sub-space of which every point was trained.

``table`` trains the sub-space (320 points, two seeds each, phantoms at 64×64) and keeps it in
``benchmarks/data/search_table.csv``; it goes on where it was stopped, and parts can run side by side.

    python benchmarks/search.py table [--part 1/4]
"""

from __future__ import annotations

import argparse

from enumerated.table import train_part


def main() -> None:
    """Train the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="train what is missing of the table")
    table.add_argument("--part", default="1/1", help="which of how many equal parts, such as 2/4")
    arguments = parser.parse_args()
    part, _, parts = arguments.part.partition("/")
    train_part(int(part), int(parts))


if __name__ == "__main__":
    main()
