"""Networks that start from weights that others trained, beside the same from scratch: ``docs/results/pretrained.md``.

BUSI by its three published splits, 25 epochs at 128×128 and 256×256, one recipe (``benchmarks/started/recipe.yaml``).
What had to be decided, how TensorFlow's padding is met and where an encoder is cut, was decided within the training
lists. Every finished training is a file in ``benchmarks/data/pretrained``; the same command continues after a kill and
skips what is there. All of it takes some seven hours of one core.

    python benchmarks/pretrained.py --data DIR [--sections small,beside,padding,large,cut] [--workers 2]
    python benchmarks/pretrained.py --page          # from the rows alone
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from busi.runs import Run, Task, finished, run
from started import page
from started.tasks import ROOT, ROWS, SIZES, SPLITS, Settings, tasks_of

from ussearch.errors import UserError
from ussearch.evaluators import TrainingFailed

REPORT = ROOT / "docs" / "results" / "pretrained.md"
SECTIONS = ("small", "beside", "padding", "large", "cut")


def main() -> int:
    """Train what is not trained yet, then write the page of all rows that there are."""
    arguments = parsed()
    try:
        settings = settings_of(arguments)
        sections = tasks_of(settings)
        unknown = set(arguments.sections.split(",")) - set(SECTIONS)
        if unknown:
            raise UserError(
                f"There is no section {', '.join(sorted(unknown))}: expected some of {', '.join(SECTIONS)}."
            )
        if not arguments.page:
            train_all([task for name in arguments.sections.split(",") for task in sections[name]], arguments.workers)
        found = {name: done(tasks) for name, tasks in sections.items()}
    except (UserError, TrainingFailed) as error:
        print(f"pretrained.py: {error}", file=sys.stderr)
        return 2
    text = page.page(found, settings)
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text(text, encoding="utf-8")
    print(text)
    return 0


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of BUSI, with the published lists in splits/")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="what to train, in order")
    parser.add_argument("--workers", type=int, default=1, help="trainings at once, one core each")
    parser.add_argument("--page", action="store_true", help="only write the page from the rows")
    parser.add_argument("--rows", type=Path, default=ROWS, help="folder of finished trainings")
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("--epochs", type=int, help="instead of the recipe's, to try the program")
    parser.add_argument("--splits", default=",".join(map(str, SPLITS)))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="sides in pixels, the smaller first")
    return parser.parse_args()


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return what the options say; raises UserError."""
    if arguments.data is None and not arguments.page:
        raise UserError("No data was named: give the folder of BUSI with --data, or --page for the page alone.")
    shorter = {} if arguments.epochs is None else {"epochs": arguments.epochs, "deciding_epochs": arguments.epochs}
    return Settings(
        data=arguments.data or Path(),
        rows=arguments.rows,
        scratch=ROOT / "studies" / "pretrained" if arguments.rows == ROWS else arguments.rows,
        splits=tuple(map(int, arguments.splits.split(","))),
        sizes=tuple(map(int, arguments.sizes.split(","))),
        **shorter,
    )


def train_all(tasks: Sequence[Task], workers: int) -> None:
    """Train what is not finished, ``workers`` at a time."""
    ahead = [task for task in tasks if finished(task) is None]
    print(f"{len(tasks) - len(ahead)} of {len(tasks)} trainings are there", flush=True)
    if workers == 1:
        for task in ahead:
            tell(task, run(task, quiet=True))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(partial(run, quiet=True), task): task for task in ahead}
        for future in as_completed(running):
            tell(running[future], future.result())


def tell(task: Task, made: Run) -> None:
    """Print one finished training."""
    iou, dice = 100 * made.last.iou.mean(), 100 * made.last.dice.mean()
    print(f"{task.record.stem}: IoU {iou:.1f}, Dice {dice:.1f}, {made.seconds / 60:.1f} min", flush=True)


def done(tasks: Sequence[Task]) -> list[tuple[Task, Run]]:
    """Return the tasks that are finished, with what came of them."""
    return [(task, found) for task in tasks if (found := finished(task)) is not None]


if __name__ == "__main__":
    raise SystemExit(main())
