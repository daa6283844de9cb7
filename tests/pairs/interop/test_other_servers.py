"""Our client, unchanged, against other people's servers."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pairs.client.conftest import PATIENT, StubEdge, image
from tests.pairs.client.fault_server import expected_mask
from tests.pairs.interop.environments import environment
from ussearch.serving.client import CloudChannel, CloudSettings, EdgeClient, Reason

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """Run a server until its model ``m`` is ready; yields its URL."""
    own = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=own, cwd=folder)
    try:
        until_s = time.monotonic() + 120
        while not ready(port):
            assert process.poll() is None and time.monotonic() < until_s, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/models/m/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def kserve(folder: Path) -> Iterator[str]:
    python, port = environment(["kserve"], folder), free_port()
    with running([python, str(HERE / "kserve_server.py"), str(port)], port, folder) as url:
        yield url


@contextmanager
def mlserver(folder: Path) -> Iterator[str]:
    python, port = environment(["mlserver"], folder), free_port()
    settings: dict[str, Any] = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings |= {"host": "127.0.0.1", "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "m", "implementation": "mlserver_model.HashModel"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = [str(Path(python).with_name("mlserver")), "start", str(folder)]
    with running(command, port, folder) as url:
        yield url


@pytest.mark.parametrize(("server", "binary"), [(kserve, True), (mlserver, False)])
def test_the_same_client_is_understood(server: Callable[..., Any], binary: bool, tmp_path: Path) -> None:
    with server(tmp_path) as url:
        channel = CloudChannel(CloudSettings(url, "m", deadline_ms=10000, breaker=PATIENT))
        with EdgeClient(StubEdge(), channel) as client:
            for seed in range(5):
                answer = client.predict(image(seed))
                assert answer.reason is Reason.ANSWERED
                assert (answer.mask == expected_mask(image(seed).tobytes())).all()
        capabilities = channel._inference_call._capabilities
        assert capabilities is not None and capabilities.proven
        assert capabilities.binary is binary
