"""``ussearch serve`` as a process of its own, and ``infer --cloud`` and ``export --triton`` beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.cli.conftest import Command
from tests.pairs import conftest as pairs
from ussearch.datasets import read_image
from ussearch.pairs import Bundle

TOKEN = "a-token-of-the-tests"
data_folder, pair_data, finished = pairs.data_folder, pairs.pair_data, pairs.finished  # the bundle that costs no search
edge_member, cloud_member = pairs.edge_member, pairs.cloud_member


@contextmanager
def serving(bundle: Path, *options: str, **environment: str) -> Iterator[tuple[str, Any]]:
    """Run the command; yields the URL that it prints, and the process."""
    command = [sys.executable, "-m", "ussearch", "serve", str(bundle), "--port", "0", *options]
    own = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"at (http://\S+) ", line)
    assert found, line + (process.stderr.read() if process.stderr else "")
    try:
        yield found.group(1), process
    finally:
        process.kill()
        process.wait()


def test_it_serves_infer_and_ends_on_a_signal(
    finished: Bundle, data_folder: Path, tmp_path: Path, ussearch: Command
) -> None:
    bundle = finished.folder
    images = sorted((data_folder / "images").iterdir())[:16]
    (tmp_path / "token").write_text(TOKEN)
    with serving(bundle, USSEARCH_TOKEN=TOKEN) as (url, process):
        arguments = ("infer", bundle, *images, "--out", tmp_path / "masks", "--cloud", url, "--deadline-ms", 5000)
        shown = ussearch(*arguments, "--token-file", tmp_path / "token", "--json")
        refused = ussearch(*arguments)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert shown.status == 0, shown.err
    results = json.loads(shown.out)
    reasons = {result["reason"] for result in results}
    assert reasons == {"confident", "cloud answered"}
    assert "by the edge: request refused." in refused.out
    local = json.loads(ussearch("infer", bundle, *images, "--out", tmp_path / "local", "--json").out)
    for remote, own in zip(results, local, strict=True):
        assert remote["route"] == own["route"]
        assert (remote["cloud_ms"] > 0) == (remote["route"] == "cloud")
        assert (read_image(remote["mask"]) != read_image(own["mask"])).mean() < 0.03
    gone = ussearch(*arguments, "--json")
    assert gone.status == 0
    assert {result["reason"] for result in json.loads(gone.out)} <= {"confident", "server unreachable", "circuit open"}


def test_what_cannot_be_served_is_one_sentence(
    finished: Bundle, ussearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = finished.folder
    monkeypatch.delenv("USSEARCH_TOKEN", raising=False)
    for arguments, expected in (
        (("serve", bundle, "--host", "0.0.0.0"), "no token is set"),
        (("serve", bundle, "--engine", "rya"), "did you mean ray?"),
        (("serve", bundle, "--token-file", "absent"), "cannot be read from absent"),
        (("serve", bundle / "edge"), "bundle"),
        (("serve", bundle, "--tls-cert", "absent.pem"), "belong together"),
        (("infer", bundle, "x.png", "--cloud", "cloud"), "x.png"),
        (("export", bundle, "--triton", bundle / "models"), "inside the bundle"),
    ):
        outcome = ussearch(*arguments)
        assert outcome.status == 2
        assert expected in outcome.err
        assert outcome.err.count("\n") == 1


def test_a_triton_repository_holds_the_same_network_for_bytes(
    finished: Bundle, tmp_path: Path, ussearch: Command
) -> None:
    bundle = finished
    outcome = ussearch("export", bundle.folder, "--triton", tmp_path / "models")
    assert outcome.status == 0, outcome.err
    (folder,) = (tmp_path / "models").iterdir()
    text = (folder / "config.pbtxt").read_text()
    assert f'name: "{folder.name}"' in text
    assert "dims: [ 1, 1, 32, 32 ]" in text
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == [
        "1",
        "1/model.onnx",
        "config.pbtxt",
    ]
    ours = onnxruntime.InferenceSession(str(folder / "1" / "model.onnx"))
    original = onnxruntime.InferenceSession(str(bundle.folder / "cloud" / "model.onnx"))
    assert (ours.get_inputs()[0].name, ours.get_inputs()[0].type) == ("image", "tensor(uint8)")
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 32), dtype=np.uint8)
    expected = original.run(["logits"], {"image": image.astype(np.float32)})[0]
    assert np.allclose(ours.run(["logits"], {"image": image})[0], expected, atol=1e-5)
