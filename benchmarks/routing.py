"""What routing is worth: five seeds of phantoms, a shifted set, BUSI; conformal risk control. Resumable.

    python benchmarks/routing.py --seeds 5 [--busi DIR] [--device cuda] [--work DIR]
    python benchmarks/routing.py --page-only

Trainings stay in --work and go on where they were stopped; the tables in benchmarks/data/routing hold one line an
image, and the page docs/results/routing.md is made from them alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from routed.page import page
from routed.runs import Setting, run_busi, run_phantoms

from ussearch.files import write_atomically
from ussearch.process_settings import settle

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Train what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="for several programs side by side")
    parser.add_argument("--count", type=int, default=1600, help="phantoms of each seed")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--busi", type=Path, help="folder of BUSI")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, default=Path("routing-work"))
    parser.add_argument("--tables", type=Path, default=ROOT / "benchmarks" / "data" / "routing")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "routing.md")
    parser.add_argument("--page-only", action="store_true", help="train nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settle()
    setting = Setting(given.work, given.tables, given.count, given.image_size, given.epochs, device=given.device)
    if not given.page_only:
        setting.write()
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            run_phantoms(setting, seed)
            print(f"phantoms, seed {seed}: done", flush=True)
        for normals in (False, True) if given.busi else ():
            run_busi(setting, given.busi, normals=normals)
    write_atomically(given.page, page(given.tables))
    print(f"Page: {given.page}")


if __name__ == "__main__":
    main()
