"""Is a search cheap? The real one beside full trainings of samples, of edited presets and of all presets, on phantoms.

300 phantoms at 64×64 for a Jetson Nano, 15 epochs, processor-seconds of one thread, judged on 300 other phantoms. Arms
of full trainings from chance: (a) 40 uniform samples of the old space, (b) 40 random edits of presets, (c) every preset
that fits. A search may cost as much as (c). Every finished row is a file in ``benchmarks/data/search``; the same
command continues after a kill, and several parts may run at once, on one machine. Five seeds of presets and of the
default search take two hours of one core, one seed of both arms of draws (other seeds are then other orders of it) one
and a half, two seeds of all other samplers two and a half.

    python benchmarks/search.py estimate
    python benchmarks/search.py make --of presets,surrogate
    python benchmarks/search.py make --of samples,edits --seeds 0
    python benchmarks/search.py make --of tpe,gp,nsgaii,random,surrogate-from-chance,random-from-chance --seeds 0,1
    python benchmarks/search.py page
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from searched import arms, page, searches
from searched.bench import ROOT, ROWS, Bench, one_thread

REPORT, PICTURE = ROOT / "docs" / "results" / "search.md", ROOT / "docs" / "pictures" / "search.png"
KINDS = (*arms.TITLES, *searches.SAMPLERS, *(name + searches.FROM_CHANCE for name in ("surrogate", "random")))


def main() -> int:
    """Make the rows that are not there yet, or the page of those that are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("estimate", "make", "page"))
    parser.add_argument("--of", default=",".join(KINDS), help="arms and samplers, in the order in which they are made")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--part", default="1/1", help="which of how many parts of the rows, such as 1/2")
    parser.add_argument("--rows", type=Path, default=ROWS, help="folder of finished rows")
    parser.add_argument(
        "--scratch", type=Path, default=ROOT / "studies" / "search", help="studies of unfinished searches"
    )
    arguments = parser.parse_args()
    kinds, seeds = arguments.of.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"--of {unknown[0]} is none of {', '.join(KINDS)}")
    bench = Bench(arguments.rows, arguments.scratch)
    one_thread()
    if arguments.what == "estimate":
        estimate(bench, kinds, seeds)
    elif arguments.what == "make":
        part, parts = map(int, arguments.part.split("/"))
        for kind, seed in list(jobs(kinds, seeds))[part - 1 :: parts]:
            make(bench, kind, seed)
    elif not page.written(bench, REPORT, PICTURE):
        print("search.py: there are no rows of an arm and a search yet: run `make` first.", file=sys.stderr)
        return 2
    return 0


def jobs(kinds: list[str], seeds: list[int]) -> Iterator[tuple[str, int]]:
    """Yield what is made, all kinds of a seed before the next one."""
    for seed in seeds:
        yield from ((kind, seed) for kind in kinds)


def make(bench: Bench, kind: str, seed: int) -> None:
    """Make the rows of one seed of an arm, or one search."""
    if kind not in arms.TITLES:
        searches.made(bench, kind, seed, allowance(bench))
        return
    for name in arms.names(bench, kind, seed):
        row = arms.made(bench, name)
        print(f"{name}: {row['judged']} at {row['latency_ms']:.1f} ms in {row['seconds']:.0f} s", flush=True)


def allowance(bench: Bench) -> float:
    """Return the processor-seconds of a search: those of all presets that fit, made first where they are not there."""
    return sum(arms.made(bench, name)["seconds"] for name in arms.names(bench, "presets", 0))


def estimate(bench: Bench, kinds: list[str], seeds: list[int]) -> None:
    """Tell the hours of what is asked for, by a full training of an arm's first network each."""
    total = 0.0
    for kind in kinds:
        arm = kind if kind in arms.TITLES else "presets"
        names = arms.names(bench, arm, seeds[0])
        seconds = arms.made(bench, names[0])["seconds"] * len(names) * len(seeds)
        total += seconds
        print(f"{kind}: {seconds / 3600:.1f} h")
    print(f"in all {total / 3600:.1f} h of one core")


if __name__ == "__main__":
    raise SystemExit(main())
