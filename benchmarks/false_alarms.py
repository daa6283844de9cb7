"""Judges the post-processing on BUSI with its images without a lesion and writes ``docs/results/false-alarms.md``.

Each seed splits all 780 images by groups, trains, chooses on calibration images and is judged on test images; rows are
kept in ``benchmarks/data/false_alarms``. A run that was stopped is continued by the same command.

    python benchmarks/false_alarms.py --data DIR [--network lv-unet] [--image-size 128] [--epochs 25] [--seeds 10,11]
    python benchmarks/false_alarms.py --timing WORK/lv-unet-256-25/seed-10 [--python PYTHON3.6] [--data DIR]
    python benchmarks/false_alarms.py --page
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from alarms.page import page
from alarms.runs import Setting, run

from ussearch.datasets import open_dataset, prepare
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.pairs import Bundle

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "benchmarks" / "data" / "false_alarms"
PAGE = ROOT / "docs" / "results" / "false-alarms.md"
TIMING = Path(__file__).resolve().parent / "alarms" / "timing.py"
TIMED_IMAGES = 60


def main() -> int:
    """Run what was asked for and write the page."""
    arguments = parsed()
    torch.set_num_threads(1)
    try:
        if arguments.timing is not None:
            time_it(arguments)
        elif not arguments.page:
            setting = Setting(
                arguments.data, arguments.work, TABLES, arguments.network, arguments.image_size, arguments.epochs
            )
            for seed in arguments.seeds.split(","):
                run(setting, int(seed))
    except UserError as error:
        print(f"false_alarms.py: {error}", file=sys.stderr)
        return 2
    text = page(TABLES)
    print(text)
    write_atomically(PAGE, text)
    return 0


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of BUSI: benign, malignant, normal")
    parser.add_argument("--network", default="lv-unet", help="a preset")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", default="10,11", help="numbers, separated by commas")
    parser.add_argument("--work", type=Path, default=ROOT / "studies" / "false-alarms", help="trainings and bundles")
    parser.add_argument(
        "--timing", type=Path, metavar="BUNDLE", help="measure the post-processing of this bundle instead"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter that is timed, with numpy, onnxruntime"
    )
    parser.add_argument("--page", action="store_true", help="only write the page from the rows")
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.page:
        parser.error("give the folder of BUSI with --data")
    return arguments


def time_it(arguments: argparse.Namespace) -> None:
    """Measure a bundle's edge network and its post-processing on test images, and keep the row of this interpreter."""
    bundle = Bundle.load(arguments.timing)
    images = prepare(open_dataset(arguments.data, "busi"), bundle.manifest.preprocessing.image_size)
    chosen = list(bundle.split().test)[:TIMED_IMAGES]
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npy"
        np.save(inputs, np.asarray(images.images[chosen])[:, 0])
        command = [arguments.python, str(TIMING), str(bundle.folder), str(inputs)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    path = TABLES / "timing.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    row = json.loads(done.stdout)
    rows = [each for each in rows if each["python"] != row["python"]] + [row]
    write_atomically(path, json.dumps(sorted(rows, key=lambda each: each["python"]), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
