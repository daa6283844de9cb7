"""The board's runner under the client's list of faults, in this Python and in the board's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.old_pythons import old_python
from tests.pairs.client.conftest import image
from tests.pairs.client.fault_server import SIDE, FaultServer, expected_mask
from tests.pairs.client.test_faults import DEADLINE_MS, FAULTS, SLACK_MS, faulty
from ussearch.serving.board import run_edge, run_edge_source

MANIFEST = {"files": {"cloud/model.onnx": "0123456789abcdef"}}
SHELL = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np, run_edge

def image(seed):
    return np.load(sys.argv[2])[seed]

run_edge.FAILURES = int(sys.argv[5])
if len(sys.argv) > 6:
    exec(sys.argv[6])
cloud = run_edge.Cloud(sys.argv[3], {"files": {"cloud/model.onnx": "0123456789abcdef"}}, float(sys.argv[4]))
for seed in range(len(np.load(sys.argv[2]))):
    begun_s = time.perf_counter()
    try:
        mask, reason = cloud.probabilities(image(seed)).astype(int).ravel().tolist(), "cloud answered"
    except run_edge.NoAnswer as failure:
        mask, reason = None, str(failure)
    print(json.dumps([reason, 1000 * (time.perf_counter() - begun_s), mask]))
"""
PATCHES = {
    "DNS failure": "import socket\ndef fail(*_, **__): raise socket.gaierror(-2, 'unknown')\nsocket.getaddrinfo = fail",
    "hanging DNS": "import socket; socket.getaddrinfo = lambda *_, **__: time.sleep(0.4) or []",
    "clock jump": "import itertools; hours = itertools.count(); time.time = lambda: next(hours) * -3600.0",
}


def on_the_board(python: str, folder: Path, url: str, images: np.ndarray, fault: str, failures: int) -> list[Any]:
    """Ask for the masks of images by the runner, in a process of its own; [reason, milliseconds, mask] for each."""
    (folder / "run_edge.py").write_text(run_edge_source())
    np.save(folder / "images.npy", images)
    arguments = [str(folder), str(folder / "images.npy"), url, str(DEADLINE_MS), str(failures)]
    patch = [PATCHES[fault]] if fault in PATCHES else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-c", SHELL, *arguments, *patch]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(python: str, fault: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.stack([image(seed) for seed in range(count)])
    with faulty(fault, tmp_path, monkeypatch) as url:
        found = on_the_board(python, tmp_path, url, images, fault, failures=10**9)
    assert len(found) == count
    allowed = {FAULTS[fault].value, "too many calls at once"} if fault == "hanging DNS" else {FAULTS[fault].value}
    right = sum(reason in allowed for reason, _, _ in found)
    assert right >= (count if count < 10 else 0.9 * count), found
    assert np.percentile([taken_ms for _, taken_ms, _ in found], 95) <= DEADLINE_MS + SLACK_MS
    for (reason, _, mask), grey in zip(found, images, strict=True):
        if reason == "cloud answered":
            assert mask == expected_mask(grey.tobytes()).ravel().tolist()


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_in_this_python(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(sys.executable, fault, 100, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def python_3_6(tmp_path_factory: pytest.TempPathFactory) -> str:
    return old_python("3.6", tmp_path_factory.mktemp("python36") / "venv")


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_in_python_3_6(
    fault: str, python_3_6: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(python_3_6, fault, 100, tmp_path, monkeypatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_few_images_in_this_process(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(fault, tmp_path, monkeypatch) as url:
        cloud = run_edge.Cloud(url, MANIFEST, DEADLINE_MS)
        for seed in range(2):
            begun_s = time.perf_counter()
            try:
                found = cloud.probabilities(image(seed))
                assert (found == expected_mask(image(seed).tobytes())).all()
                assert FAULTS[fault].value == "cloud answered"
            except run_edge.NoAnswer as failure:
                assert str(failure) == FAULTS[fault].value
            assert 1000 * (time.perf_counter() - begun_s) < DEADLINE_MS + SLACK_MS


def test_its_breaker_opens_after_five_failures_and_one_probe_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FaultServer("500")
    cloud = run_edge.Cloud(server.url, MANIFEST, 2000.0)
    now_s = [50.0]
    cloud.breaker = run_edge.Breaker(lambda: now_s[0])

    def reason(seed: int) -> str:
        try:
            cloud.probabilities(image(seed))
        except run_edge.NoAnswer as failure:
            return str(failure)
        return "cloud answered"

    assert [reason(seed) for seed in range(7)] == ["server error"] * 5 + ["circuit open"] * 2
    now_s[0] += run_edge.REST_S
    assert [reason(7), reason(8)] == ["server error", "circuit open"]
    now_s[0] += run_edge.REST_S
    server.fault = ""
    assert [reason(9), reason(10)] == ["cloud answered"] * 2
    assert server.asked == 8
    server.stop()


def test_a_connection_that_the_server_closed_is_made_anew() -> None:
    server = FaultServer()
    cloud = run_edge.Cloud(server.url, MANIFEST, 2000.0)
    cloud.probabilities(image(0))
    server.stop()
    again = FaultServer(port=server.server_port)
    assert (cloud.probabilities(image(1)) == expected_mask(image(1).tobytes())).all()
    again.stop()


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:99999", "http://user@x", "//x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(run_edge.BadInput, match="no address of a server"):
        run_edge.address(url)


def test_logits_are_understood_too() -> None:
    logits = np.linspace(-4, 4, SIDE * SIDE, dtype=np.float32).reshape(1, 1, SIDE, SIDE)
    output = {"name": "logits", "datatype": "FP32", "shape": [1, 1, SIDE, SIDE]}
    text = json.dumps({"outputs": [output]}).encode()
    found = run_edge.answered(text + logits.tobytes(), str(len(text)), "key", SIDE)
    assert np.allclose(found, 1 / (1 + np.exp(-logits[0, 0])), atol=1e-6)
    with pytest.raises(ValueError, match="no numbers"):
        run_edge.answered(text + (logits * np.nan).tobytes(), str(len(text)), "key", SIDE)
