"""Which factors of the training recipe pay, by Dice at equal seconds; writes ``docs/results/recipe.md``.

    python benchmarks/recipe.py design --data BUSI [--only busi-]   the factors, mixed in a two-level design
    python benchmarks/recipe.py curves --data BUSI [--only busi-]   factors of several levels, one at a time
    python benchmarks/recipe.py encoder --data BUSI                  the rate of an encoder that others trained
    python benchmarks/recipe.py check --data BUSI                    the package's defaults against the former ones
    python benchmarks/recipe.py proof --data BUSI --read-test-images the same on the published lists, once, at the end
    python benchmarks/recipe.py page                                 the page from the committed rows

Rows are added to ``benchmarks/data/recipe.jsonl`` one by one: a run that was stopped goes on where it was. Only
``proof`` reads the images of BUSI's published test lists; for all that decides something, ``ablation/settings.py``
refuses to.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from ablation import proof, rows
from ablation.report import page
from ablation.runs import Bench

from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.process_settings import settle

REPORT = Path(__file__).resolve().parents[1] / "docs" / "results" / "recipe.md"


def main() -> int:
    """Do what is asked for."""
    arguments = parsed()
    torch.set_num_threads(1)
    settle()
    tell = partial(print, flush=True)
    try:
        if arguments.stage == "page":
            write_atomically(REPORT, page(rows.read(arguments.rows)))
        elif arguments.stage in ("design", "curves", "encoder"):
            Bench(arguments.data, arguments.rows, tell).run(arguments.stage, arguments.only)
        else:
            on: proof.On = "published lists" if arguments.stage == "proof" else "judges"
            proof.run(on, arguments.data, arguments.rows, tell)
    except UserError as error:
        print(f"recipe.py: {error}", file=sys.stderr)
        return 2
    return 0


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=["design", "curves", "encoder", "check", "proof", "page"])
    parser.add_argument("--data", type=Path, help="folder of BUSI, with the published lists in splits/")
    parser.add_argument("--only", default="", help="of the first three: the settings whose name begins so")
    parser.add_argument("--rows", type=Path, default=rows.PATH, help="file of finished work")
    parser.add_argument("--read-test-images", action="store_true", help="without it there is no proof")
    arguments = parser.parse_args()
    if arguments.stage in ("check", "proof") and arguments.data is None:
        parser.error(f"{arguments.stage} needs --data")
    if arguments.stage == "proof" and not arguments.read_test_images:
        parser.error("proof reads the published test lists: say --read-test-images once all defaults are decided")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
