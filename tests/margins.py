"""How far from its limit lies what each training of the tests reaches, over seeds and instruction sets.

A test of what a training (or another search by chance) reaches keeps its set-up in a function of the seed, decorated
with ``reaches``: the test calls ``check``, and this program calls the same function for ten seeds under each
instruction set that the processor has. ``python -m tests.margins`` prints the table, ``--write`` also keeps it in
``margins.csv`` beside this file (of ``--only`` some set-ups, their rows).
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

TABLE = Path(__file__).with_suffix(".csv")
SEEDS = range(10)
INSTRUCTION_SETS = {
    "DEFAULT": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "AVX512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "OPENBLAS_CORETYPE": "SkylakeX",
    },
}
"""What keeps PyTorch's own kernels, oneDNN, MKL and numpy's OpenBLAS to an instruction set, by PyTorch's name of it."""
COLUMNS = ("test", "set-up", "figure", "limit", "instructions", "min", "median", "max")


@dataclass(frozen=True)
class Bound:
    """A limit that a figure has to stay above or below."""

    limit: float
    above: bool

    def __str__(self) -> str:
        return f"{'>' if self.above else '<'} {self.limit:g}"

    def kept(self, value: float) -> bool:
        """Return whether a value lies on the right side of the limit."""
        return value > self.limit if self.above else value < self.limit


def above(limit: float) -> Bound:
    return Bound(limit, True)


def below(limit: float) -> Bound:
    return Bound(limit, False)


Run = Callable[[int, Path], Mapping[str, float]]


@dataclass(frozen=True)
class Reached:
    """Returns figures by a seed and an empty folder; each has a bound."""

    run: Run
    bounds: Mapping[str, Bound]

    def check(self, seed: int, folder: Path) -> None:
        """Assert that every figure of one seed keeps its bound."""
        assert seed in SEEDS, "margins are shown for other seeds"
        found = self.run(seed, folder)
        assert found.keys() == self.bounds.keys()
        wrong = [
            f"{name} {found[name]:.4g}, not {bound}"
            for name, bound in self.bounds.items()
            if not bound.kept(found[name])
        ]
        assert not wrong, "; ".join(wrong)


def reaches(**bounds: Bound) -> Callable[[Run], Reached]:
    """Declare the bounds of the figures that a function of seed and folder returns."""
    return lambda run: Reached(run, bounds)


def declared() -> Iterator[tuple[str, str, Reached]]:
    """Yield test module, name and object of everything that is declared with ``reaches``."""
    root = Path(__file__).parent
    for path in sorted(root.rglob("test_*.py")):
        if "\n@reaches(" in path.read_text(encoding="utf-8"):
            place = path.relative_to(root.parent).with_suffix("")
            for name, each in vars(importlib.import_module(".".join(place.parts))).items():
                if isinstance(each, Reached) and each.run.__module__ == ".".join(place.parts):
                    yield place.as_posix(), name, each


def rows_here(wanted: str = "") -> Iterator[list[str]]:
    """Yield the rows of the instruction set that this process runs under."""
    import torch

    torch.set_num_threads(1)
    instructions = torch.backends.cpu.get_cpu_capability()
    for test, name, reached in declared():
        if wanted in f"{test}.{name}":
            begun_s, found = time.perf_counter(), []
            for seed in SEEDS:
                with tempfile.TemporaryDirectory() as folder:
                    found.append(reached.run(seed, Path(folder)))
            sys.stderr.write(f"{instructions} {test}.{name}: {time.perf_counter() - begun_s:.1f} s\n")
            for figure, bound in reached.bounds.items():
                values = [each[figure] for each in found]
                numbers = (f"{each:.4g}" for each in (min(values), median(values), max(values)))
                yield [test, name, figure, str(bound), instructions, *numbers]


def rows_under(instructions: str, wanted: str) -> list[list[str]]:
    """Return the rows of a process that is kept to an instruction set; none where the processor lacks it."""
    command = [sys.executable, "-m", "tests.margins", "--here", "--only", wanted]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **INSTRUCTION_SETS[instructions]}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return [row for row in csv.reader(done.stdout.splitlines()) if row[4] == instructions]


def table() -> list[list[str]]:
    """Return the rows that are kept, without the heading."""
    return list(csv.reader(TABLE.read_text(encoding="utf-8").splitlines()))[1:] if TABLE.is_file() else []


def write(rows: Iterable[list[str]], file: object = sys.stdout) -> None:
    csv.writer(file, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a test module's path and a set-up's name")
    parser.add_argument("--write", action="store_true", help=f"keep the rows in {TABLE.name}")
    parser.add_argument("--here", action="store_true", help="this process's instruction set only, as CSV")
    given = parser.parse_args()
    if given.here:
        write(rows_here(given.only))
        return
    rows = [row for each in INSTRUCTION_SETS for row in rows_under(each, given.only)]
    write([list(COLUMNS), *sorted(rows)])
    if given.write:
        others = [row for row in table() if given.only not in f"{row[0]}.{row[1]}"]
        with TABLE.open("w", encoding="utf-8") as file:
            write([list(COLUMNS), *sorted(others + rows)], file)


if __name__ == "__main__":
    from tests.margins import main as of_the_module  # what tests declare is of that module's classes, not of __main__'s

    of_the_module()
