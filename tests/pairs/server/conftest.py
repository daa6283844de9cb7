"""The real server on loopback, in a thread, with the bundle of the tests above."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ussearch.pairs import Bundle
from ussearch.serving.server import CloudModel, ServerSettings
from ussearch.serving.server.embedded import _listen, uvicorn_server

TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A server and a plain HTTP client for it."""

    port: int
    model: CloudModel
    server: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def infer_path(self) -> str:
        return f"/v2/models/{self.model.name}/infer"

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


@contextmanager
def served(model: CloudModel, settings: ServerSettings) -> Iterator[Running]:
    listener = _listen(settings)
    server = uvicorn_server(model, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield Running(listener.getsockname()[1], model, server)
    server.should_exit = True
    thread.join(15)
    listener.close()
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def model(finished: Bundle) -> CloudModel:
    return CloudModel.of(finished)


@pytest.fixture(scope="session")
def running(model: CloudModel) -> Iterator[Running]:
    """One server for all tests that do not change it."""
    with served(model, ServerSettings(port=0, workers=2)) as each:
        yield each
