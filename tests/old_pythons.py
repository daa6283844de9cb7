"""Interpreters as boards have them, for programs that are copied there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

OLD_PYTHONS = {
    "3.6": ["pip==21.3.1", "numpy==1.19.5", "onnxruntime==1.10.0"],
    "3.7": ["numpy==1.21.6", "onnxruntime==1.14.1"],
    "3.8": ["numpy==1.24.4", "onnxruntime==1.16.3"],
}


def old_python(version: str, folder: Path) -> str:
    """Return an interpreter of ``version`` with numpy and onnxruntime; skips where there is none."""
    pyenv = sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python{version}")
    )
    base = str(pyenv[-1]) if pyenv else shutil.which(f"python{version}")
    if base is None:
        pytest.skip(f"needs CPython {version} (pyenv install {version})")
    python = str(folder / "bin" / "python")
    subprocess.run([base, "-m", "venv", str(folder)], check=True, capture_output=True)
    for requirement in OLD_PYTHONS[version]:
        done = subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=False, capture_output=True)
        if done.returncode:
            pytest.skip(f"cannot install {requirement} for CPython {version}")
    return python
