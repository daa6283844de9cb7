"""Is a budget a promise? ``ussearch run --budget`` on phantoms and on real images: in time, verified, two presets in.

A run is timed from its start to the end of its process; it keeps its promise where it ends within 1.1 times its budget
and a minute, with a bundle that ``ussearch verify`` accepts, and where at least two published networks were trained. A
core is taken by a process that counts, at the usual priority. Wants an idle machine. Every run is a row of
``benchmarks/data/budgets.csv``; one that is there is not made again. Writes ``docs/results/budgets.md``.

    python benchmarks/budgets.py --data DIR [--of phantoms,images] [--minutes 5,10,30] [--workers 1,2] [--taken 0]
    python benchmarks/budgets.py page
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from csv_rows import append, lines

from ussearch.files import write_atomically
from ussearch.studies import Study

ROOT = Path(__file__).resolve().parents[1]
ROWS, REPORT = ROOT / "benchmarks" / "data" / "budgets.csv", ROOT / "docs" / "results" / "budgets.md"
PROFILE = "raspberry-pi-5"
LEAST_PRESETS = 2
COUNTING = "while True: pass"


@dataclass(frozen=True)
class Row:
    """One run; ``taken`` cores of ``cores`` were kept busy by others."""

    data: str
    minutes: float
    workers: int
    taken: int
    cores: int
    seconds: float
    status: int
    verified: bool
    presets: int
    trials: int
    image_size: int

    @property
    def limit_s(self) -> float:
        """When it has to have ended."""
        return 1.1 * 60 * self.minutes + 60

    @property
    def kept(self) -> bool:
        """Whether it kept its promise."""
        return self.status == 0 and self.verified and self.presets >= LEAST_PRESETS and self.seconds <= self.limit_s

    @property
    def key(self) -> tuple[str, float, int, int]:
        """What was asked for."""
        return self.data, self.minutes, self.workers, self.taken


def main() -> int:
    """Make the rows that are not there yet, then the page; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("make", "page"), default="make")
    parser.add_argument("--data", type=Path, help="folder of the real images")
    parser.add_argument("--of", default="phantoms,images")
    parser.add_argument("--minutes", default="5,10,30")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--taken", type=int, default=0, help="cores that others keep busy")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--report", type=Path, default=REPORT)
    arguments = parser.parse_args()
    if arguments.what == "make":
        wanted = product(arguments.of.split(","), numbers(arguments.minutes), map(int, arguments.workers.split(",")))
        for data, minutes, workers in wanted:
            if data == "images" and arguments.data is None:
                parser.error("images were asked for: give their folder with --data, or --of phantoms.")
            if (data, minutes, workers, arguments.taken) not in {row.key for row in read(arguments.rows)}:
                row = made(arguments.data if data == "images" else None, minutes, workers, arguments.taken)
                append(arguments.rows, row)
                print(f"{'kept  ' if row.kept else 'BROKEN'} {row}", flush=True)
    rows = read(arguments.rows)
    write_atomically(arguments.report, page(rows))
    return 0 if all(row.kept for row in rows) else 1


def numbers(text: str) -> list[float]:
    """Return the numbers of a list."""
    return [float(each) for each in text.split(",")]


def made(data: Path | None, minutes: float, workers: int, taken: int) -> Row:
    """Make one run in a folder of its own, and look at what it left."""
    with tempfile.TemporaryDirectory(prefix="budget-") as folder, busy(taken):
        study = Path(folder) / "study"
        program = (sys.executable, "-m", "ussearch")
        asked = ("--profile", PROFILE, "--budget", f"{60 * minutes:.0f}s", "--workers", str(workers))
        images = () if data is None else ("--data", str(data.resolve()))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        start = time.perf_counter()
        run = (*program, "run", *asked, *images, "--pretrained", "off", "--study", str(study))
        status = subprocess.run(run, cwd=folder, env=environment, check=False).returncode
        seconds = time.perf_counter() - start
        verified = subprocess.run((*program, "verify", str(study / "bundle")), env=environment, check=False).returncode
        records = Study.open(study).trials() if Study.exists(study) else []
        return Row(
            data="phantoms" if data is None else "images",
            minutes=minutes,
            workers=workers,
            taken=taken,
            cores=os.cpu_count() or 1,
            seconds=round(seconds, 1),
            status=status,
            verified=verified == 0,
            presets=len({each.architecture_id for each in records if each.role == "preset" and not each.failed}),
            trials=len(records),
            image_size=Study.open(study).config.image_size if records else 0,
        )


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep so many cores busy meanwhile."""
    others = [subprocess.Popen((sys.executable, "-c", COUNTING)) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()


def page(rows: Sequence[Row]) -> str:
    """Return the table with its verdicts as Markdown."""
    lines = [
        "# Is a budget a promise?",
        "",
        f"Written by `benchmarks/budgets.py` from `benchmarks/data/budgets.csv`. Each line is one "
        f"`ussearch run --profile {PROFILE} --budget …`, timed from start to end of its process: on the built-in "
        "phantoms, and on BUSI (780 images, a folder with those without a lesion among them). A promise is kept where "
        "the run ends within 1.1 times its budget and a minute with a bundle that `ussearch verify` accepts, and two "
        "published networks or more were trained.",
        "",
        "| data | budget (min) | workers | cores | taken by others | took (min) | of its budget | presets trained | "
        "trials | pixels a side | promise |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in sorted(rows, key=lambda each: (each.taken, each.data, each.minutes, each.workers)):
        minutes = row.seconds / 60
        lines.append(
            f"| {row.data} | {row.minutes:g} | {row.workers} | {row.cores} | {row.taken} | {minutes:.1f} | "
            f"{minutes / row.minutes:.0%} | {row.presets} | {row.trials} | {row.image_size} | "
            f"{'kept' if row.kept else 'BROKEN'} |"
        )
    return "\n".join(lines) + "\n"


def read(path: Path) -> list[Row]:
    """Return the rows that there are."""
    return [_row(line) for line in lines(path)]


def _row(line: dict[str, str]) -> Row:
    kinds = {"data": str, "minutes": float, "seconds": float, "verified": lambda text: text == "True"}
    return Row(**{name: kinds.get(name, int)(text) for name, text in line.items()})


if __name__ == "__main__":
    raise SystemExit(main())
