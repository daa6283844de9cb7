"""Whatever the network does, every image is answered, in time and with the right reason."""

from __future__ import annotations

import datetime
import itertools
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pairs.client.conftest import image
from tests.pairs.client.fault_server import FaultServer, expected_mask
from ussearch.serving.client import BreakerRules, EdgeClient, PredictionResult, Reason

Maker = Callable[..., EdgeClient]
DEADLINE_MS = 120.0
SLACK_MS = 50.0

FAULTS = {
    "500": Reason.SERVER_ERROR,
    "502": Reason.SERVER_ERROR,
    "429": Reason.OVERLOADED,
    "503": Reason.OVERLOADED,
    "401": Reason.REFUSED,
    "corrupt body": Reason.CORRUPT,
    "another id": Reason.CORRUPT,
    "oversized": Reason.CORRUPT,
    "wrong shape": Reason.WRONG_SHAPE,
    "reset mid-body": Reason.INTERRUPTED,
    "slow reading": Reason.DEADLINE,
    "dripping": Reason.DEADLINE,
    "refused": Reason.UNREACHABLE,
    "DNS failure": Reason.UNREACHABLE,
    "hanging DNS": Reason.DEADLINE,
    "black hole": Reason.DEADLINE,
    "expired certificate": Reason.CERTIFICATE,
    "clock jump": Reason.ANSWERED,
    "": Reason.ANSWERED,
}


@contextmanager
def faulty(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of a server with that fault."""
    if fault == "refused":
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    elif fault == "DNS failure":
        with monkeypatch.context() as patch:  # a real look-up takes five seconds now and then, by its resolver's mood
            patch.setattr(socket, "getaddrinfo", unknown_name)
            yield "http://no-such-host.invalid:80"
    elif fault == "black hole":
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(0)
            yield f"http://127.0.0.1:{silent.getsockname()[1]}"
    else:
        tls = expired_certificate(tmp_path) if fault == "expired certificate" else None
        server = FaultServer(fault, tls=tls)
        with monkeypatch.context() as patch:
            if fault == "hanging DNS":
                patch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(0.5) or [])
            if fault == "clock jump":
                hours = itertools.count()
                patch.setattr(time, "time", lambda: next(hours) * -3600.0)
            yield server.url
            server.stop()


def unknown_name(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def expired_certificate(folder: Path) -> ssl.SSLContext:
    """Return a server's context whose certificate for 127.0.0.1 ended long ago."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.datetime(2001, 1, 1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + datetime.timedelta(days=9))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "pair.pem").write_bytes(certificate + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return context


def answers(client: EdgeClient, count: int) -> tuple[list[PredictionResult], list[float]]:
    """Return the answers to images 0, 1, ... and the milliseconds that each took."""
    found, taken_ms = [], []
    for seed in range(count):
        begun_s = time.perf_counter()
        found.append(client.predict(image(seed)))
        taken_ms.append(1000 * (time.perf_counter() - begun_s))
    return found, taken_ms


def assert_own_masks(found: list[PredictionResult]) -> None:
    for seed, answer in enumerate(found):
        if answer.source == "cloud":
            assert (answer.mask == expected_mask(image(seed).tobytes())).all()
        else:
            assert not answer.mask.any()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("count", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_every_image_is_answered_in_time_and_says_why(
    fault: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_of: Maker
) -> None:
    with faulty(fault, tmp_path, monkeypatch) as url:
        client = client_of(url, deadline_ms=DEADLINE_MS, concurrency=count, waiting=count)
        found, taken_ms = answers(client, count)
    assert len(found) == count
    assert_own_masks(found)
    usual = Counter(answer.reason for answer in found)
    assert usual[FAULTS[fault]] >= (count if count < 10 else 0.9 * count), usual
    assert np.percentile(taken_ms, 95) <= DEADLINE_MS + SLACK_MS


@pytest.mark.parametrize("fault", ["500", "refused", "black hole"])
def test_the_breaker_opens_within_five_failures(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_of: Maker
) -> None:
    with faulty(fault, tmp_path, monkeypatch) as url:
        found, _ = answers(client_of(url, deadline_ms=60, breaker=BreakerRules(rest_s=60)), 8)
    assert [answer.reason for answer in found] == [FAULTS[fault]] * 5 + [Reason.CIRCUIT_OPEN] * 3


def test_it_recovers_with_one_probe(server: FaultServer, client_of: Maker) -> None:
    now_s = [0.0]
    client = client_of(server.url, clock=lambda: now_s[0], breaker=BreakerRules(rest_s=60))
    server.fault = "500"
    answers(client, 6)
    assert server.asked == 5
    server.fault = ""
    now_s[0] += 60
    assert client.predict(image(0)).reason is Reason.ANSWERED
    assert server.asked == 6
    assert {answer.reason for answer in answers(client, 3)[0]} == {Reason.ANSWERED}


def test_a_server_that_is_killed_and_comes_back(client_of: Maker) -> None:
    server = FaultServer()
    now_s = [0.0]
    client = client_of(server.url, clock=lambda: now_s[0], breaker=BreakerRules(rest_s=60))
    found = answers(client, 3)[0]
    server.stop()
    gone = answers(client, 7)[0]
    again = FaultServer(port=server.server_port)
    now_s[0] += 60
    back = answers(client, 3)[0]
    again.stop()
    assert {answer.reason for answer in found} == {Reason.ANSWERED} == {answer.reason for answer in back}
    assert {answer.reason for answer in gone} == {Reason.UNREACHABLE, Reason.CIRCUIT_OPEN}


def test_a_kept_connection_that_the_server_closed_costs_nothing(client_of: Maker) -> None:
    server = FaultServer()
    client = client_of(server.url)
    client.predict(image(0))
    server.stop()
    again = FaultServer(port=server.server_port)
    assert client.predict(image(1)).reason is Reason.ANSWERED
    assert again.asked == 1
    again.stop()


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_answer_is_given_for_another_image(count: int, server: FaultServer, client_of: Maker) -> None:
    client = client_of(server.url, deadline_ms=300, concurrency=8, waiting=16)
    random = np.random.default_rng(0)
    stop = threading.Event()

    def disturb() -> None:
        while not stop.wait(0.01):
            server.delay_s = float(random.choice([0, 0.002, 0.02, 0.4], p=[0.5, 0.3, 0.15, 0.05]))

    threading.Thread(target=disturb, daemon=True).start()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: client.predict(image(seed)), range(count)))
    stop.set()
    assert_own_masks(found)
    assert sum(answer.source == "cloud" for answer in found) > count / 2
