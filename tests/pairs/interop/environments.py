"""Virtual environments for other people's clients and servers, which pin other versions than ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).resolve().parents[3] / "constraints-interop.txt"
KEPT = "USSEARCH_INTEROP"
"""A folder where environments are kept between runs, one a package; without it each run makes its own."""


def environment(packages: list[str], folder: Path) -> str:
    """Return an interpreter with ``packages``; skips where they cannot be installed."""
    name = packages[0].split("[")[0]
    kept = os.environ.get(KEPT)
    place = Path(kept) / name if kept else folder / name
    python = place / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
    command = [str(python), "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), *packages]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip(f"cannot install {' '.join(packages)}")
    return str(python)
