"""The same application under Ray Serve: the client sees no difference, and what is too much is sent away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.pairs.server.conftest import Running
from tests.pairs.server.test_server import binary_request, pixels
from ussearch.datasets import read_image
from ussearch.pairs import Bundle
from ussearch.serving.client import Reason, open_client
from ussearch.serving.server import CloudModel

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def ray_running(finished: Bundle) -> Iterator[Running]:
    pytest.importorskip("ray.serve", reason="needs the extra ray")
    port = free_port()
    command = [sys.executable, "-m", "ussearch", "serve", str(finished.folder), "--engine", "ray"]
    command += ["--port", str(port), "--workers", "1", "--waiting", "1", "--replicas", "1"]
    own = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own)
    assert process.stdout is not None
    line = next((line for line in process.stdout if "Serving" in line), "")
    try:
        assert line, process.stderr.read() if process.stderr else ""
        yield Running(port, CloudModel.of(finished), process)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_same_client_gets_the_same_masks(ray_running: Running, finished: Bundle, data_folder: Path) -> None:
    sources = Counter[str]()
    with open_client(finished, ray_running.url, deadline_ms=20000) as client:
        for path in sorted((data_folder / "images").iterdir())[:16]:
            grey = read_image(path)
            answer = client.predict(grey)
            assert answer.reason in {Reason.ANSWERED, Reason.CONFIDENT}
            sources[answer.source] += 1
            if answer.source == "cloud":
                assert (finished.predictor().predict(grey).mask != answer.mask).mean() < 0.02
    assert set(sources) == {"edge", "cloud"}


def test_what_is_too_much_is_sent_away(ray_running: Running) -> None:
    statuses = Counter[int]()

    def ask(seed: int) -> None:
        for number in range(10):
            body, headers = binary_request(pixels(100 * seed + number))
            statuses[ray_running.call("POST", ray_running.infer_path, body, headers).status] += 1

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 503}, statuses
    assert sum(statuses.values()) == 160
    body, headers = binary_request(np.zeros((1, 1, 32, 32), np.uint8))
    assert ray_running.call("POST", ray_running.infer_path, body, headers).status == 200
