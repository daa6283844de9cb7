"""A server or a device needs little: an environment without the search's packages serves a bundle and asks it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "tests" / "fixtures" / "0f14119" / "bundle"
PAGE = ROOT / "docs" / "serving.md"
ABSENT = ("torch", "optuna", "scipy", "sklearn", "matplotlib", "onnx", "pydicom", "platformdirs", "monai")
CLIENT = """
import json, sys
import numpy as np
from ussearch.runtime.bundle import ServingBundle
from ussearch.serving.client import open_client
from PIL import Image
grey = np.asarray(Image.open(sys.argv[3]).convert("L"))
with open_client(ServingBundle.load(__import__("pathlib").Path(sys.argv[1])), sys.argv[2], deadline_ms=20000) as client:
    found = client.predict(grey)
absent = [name for name in sys.argv[4:] if name in sys.modules]
print(json.dumps([found.source, found.route, found.reason.value, list(found.mask.shape), absent]))
"""


def packages() -> list[str]:
    """Return what the page tells a server's or a device's environment to install."""
    line = re.search(r"^pip install (numpy .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    return line[1].split()


@pytest.mark.slow
def test_an_environment_without_the_search_serves_and_asks(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages()], check=True, env=environment)
    subprocess.run([*pip, "--no-deps", ROOT], check=True, env=environment)
    look = f"import importlib.util; print(*[name for name in {ABSENT!r} if importlib.util.find_spec(name)])"
    assert subprocess.run([python, "-c", look], check=True, capture_output=True, text=True).stdout.split() == []

    image = tmp_path / "scan.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)).save(image)
    serve = [python, "-m", "ussearch", "serve", BUNDLE, "--port", "0"]
    with subprocess.Popen(serve, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            assert found is not None
            ask = [python, "-c", CLIENT, BUNDLE, found[0], image, *ABSENT]
            said = subprocess.run(ask, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
        finally:
            server.terminate()
    source, route, reason, shape, loaded = json.loads(said)
    assert (source, shape, loaded) == (route, [60, 80], [])
    assert reason in {"cloud answered", "confident", "routing is off"}
