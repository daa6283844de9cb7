"""Judges the post-processing on BUSI with its images without a lesion and writes ``docs/results/false-alarms.md``.

Each seed splits all 780 images by groups, trains, chooses on calibration images and is judged on test images; rows are
kept in ``benchmarks/data/false_alarms``. A run that was stopped is continued by the same command.

    python benchmarks/false_alarms.py --data DIR [--network lv-unet] [--pretrained NAME] [--image-size 128]
                                      [--epochs 25] [--seeds 10,11]
    python benchmarks/false_alarms.py --data DIR --timing [--python PYTHON3.6]   (first seed's network, at 256×256)
    python benchmarks/false_alarms.py --data DIR --timing-sizes [--python PYTHON3.6]   (the same at four sizes)
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
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from alarms.page import page
from alarms.runs import Setting, run, timed_folder

from ussearch.errors import UserError
from ussearch.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "benchmarks" / "data" / "false_alarms"
PAGE = ROOT / "docs" / "results" / "false-alarms.md"
TIMING = Path(__file__).resolve().parent / "alarms" / "timing.py"
TIMED_IMAGES, TIMED_SIDE, TIMED_SIDES = 60, 256, (128, 256, 384, 512)


def main() -> int:
    """Run what was asked for and write the page."""
    arguments = parsed()
    torch.set_num_threads(1)
    try:
        if not arguments.page:
            size, seeds = arguments.image_size, [int(seed) for seed in arguments.seeds.split(",")]
            trained = (arguments.network, size, arguments.epochs, arguments.pretrained)
            setting = Setting(arguments.data, arguments.work, TABLES, *trained)
            if arguments.timing:
                time_it(setting, seeds[0], arguments.python)
            elif arguments.timing_sizes:
                time_sizes(setting, seeds[0], arguments.python)
            else:
                for seed in seeds:
                    run(setting, seed)
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
    parser.add_argument("--pretrained", default="off", help="off, a name (ussearch weights list) or a file")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", default="10,11", help="numbers, separated by commas")
    parser.add_argument("--work", type=Path, default=ROOT / "studies" / "false-alarms", help="trainings and bundles")
    parser.add_argument("--timing", action="store_true", help="measure the post-processing instead")
    parser.add_argument("--timing-sizes", action="store_true", help="measure how it grows with the images instead")
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter that is timed, with numpy, onnxruntime"
    )
    parser.add_argument("--page", action="store_true", help="only write the page from the rows")
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.page:
        parser.error("give the folder of BUSI with --data")
    return arguments


def time_it(setting: Setting, seed: int, python: str) -> None:
    """Measure a seed's network and its post-processing on test images by ``python``, and keep its row."""
    path, row = TABLES / "timing.json", timed(setting, seed, python, TIMED_SIDE)
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    rows = [each for each in rows if each["python"] != row["python"]] + [row]
    write_atomically(path, json.dumps(sorted(rows, key=lambda each: str(each["python"])), indent=1) + "\n")


def time_sizes(setting: Setting, seed: int, python: str) -> None:
    """Measure the same at several sizes in one go: their ratios are what counts."""
    rows = [{"side": side, **timed(setting, seed, python, side)} for side in TIMED_SIDES]
    write_atomically(TABLES / "timing_sizes.json", json.dumps(rows, indent=1) + "\n")


def timed(setting: Setting, seed: int, python: str, side: int) -> dict[str, Any]:
    """Return what ``timing.py`` measures at ``side`` pixels."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = timed_folder(setting, seed, side, Path(folder), TIMED_IMAGES)
        command = [python, str(TIMING), folder, str(inputs)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return {"network": setting.name, **json.loads(done.stdout)}


if __name__ == "__main__":
    sys.exit(main())
