"""How long ``ussearch data check`` takes for many images, and how much memory: images of speckle with one lesion each.

    python benchmarks/data_check.py [--images 10000] [--folder FOLDER]

Making 10,000 images of 600 x 800 takes some minutes and 4 GB; those of ``--folder`` are made once and used again.
Prints seconds and the greatest memory of the command, by the operating system's count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

HEIGHT, WIDTH = 600, 800


def write_image(folder: Path, number: int) -> None:
    """Write one image and its mask, unless they are there."""
    image, mask = (folder / part / f"{number:05d}.png" for part in ("images", "masks"))
    if mask.exists():
        return
    random = np.random.default_rng(number)
    speckle = Image.fromarray(np.clip(random.gamma(2.0, 30.0, (HEIGHT // 2, WIDTH // 2)), 0, 255).astype(np.uint8))
    row, column, high, wide = random.uniform([150, 200, 20, 20], [450, 600, 90, 120])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    lesion = ((rows - row) / high) ** 2 + ((columns - column) / wide) ** 2 < 1
    shown = np.asarray(speckle.filter(ImageFilter.GaussianBlur(1)).resize((WIDTH, HEIGHT)))
    Image.fromarray(np.where(lesion, shown // 4, shown).astype(np.uint8)).save(image, compress_level=4)
    Image.fromarray(lesion * np.uint8(255)).save(mask)


def main() -> None:
    """Make the images, check them, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch) / "speckle"
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(arguments.images):
            write_image(folder, number)
        command = [sys.executable, "-m", "ussearch", "data", "check", str(folder), "--json"]
        begun_s = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}) as running:
            assert running.stdout is not None
            report = json.loads(running.stdout.read())
            _, status, usage = os.wait4(running.pid, 0)
        seconds = time.monotonic() - begun_s
    print(
        f"{report['readable']} images of {HEIGHT} x {WIDTH} in {seconds:.0f} s with {os.cpu_count()} cores, at most "
        f"{usage.ru_maxrss / 1024:.0f} MiB, exit status {os.waitstatus_to_exitcode(status)}"
    )


if __name__ == "__main__":
    main()
