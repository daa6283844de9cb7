"""NVIDIA's client against our server, with binary tensors on and off for inputs and outputs."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.pairs.interop.environments import environment
from tests.pairs.server.conftest import Running, served
from ussearch.pairs import Bundle
from ussearch.serving.server import CloudModel, ServerSettings

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("triton_client.py")


@pytest.fixture
def running(finished: Bundle) -> Iterator[Running]:
    with served(CloudModel.of(finished), ServerSettings(port=0, workers=1)) as each:
        yield each


def test_every_form_gives_the_same_answer(running: Running, finished: Bundle, tmp_path: Path) -> None:
    python = environment(["tritonclient[http]", "numpy"], tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 32), dtype=np.uint8)
    np.save(tmp_path / "image.npy", image)
    arguments = [
        f"127.0.0.1:{running.port}",
        running.model.name,
        str(tmp_path / "image.npy"),
        str(tmp_path / "out.npz"),
    ]
    done = subprocess.run([python, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(str(finished.folder / "cloud" / "model.onnx"))
    expected = session.run(["logits"], {"image": image.astype(np.float32)})[0]
    found = np.load(tmp_path / "out.npz")
    for forms in itertools.product((True, False), repeat=2):
        name = f"{forms[0]}-{forms[1]}"
        assert np.allclose(found[f"logits-{name}"], expected, atol=1e-4)
        assert np.array_equal(np.unpackbits(found[f"mask-{name}"], axis=-1), expected >= 0)
    assert np.allclose(found["all-logits"], expected, atol=1e-4)
    assert "no such model" in str(found["refusal"])
