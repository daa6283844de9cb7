"""The client against a server that behaves: what is sent, what is learnt, and the guards around it."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.pairs.client.conftest import PATIENT, Pixels, StubEdge, image
from tests.pairs.client.fault_server import SIDE, FaultServer, expected_mask
from ussearch.errors import UserError
from ussearch.runtime.frames import AnyImage, Frame
from ussearch.runtime.prediction import PredictionResult
from ussearch.serving.client import (
    AsyncEdgeClient,
    CloudChannel,
    CloudSettings,
    Deadline,
    EdgeClient,
    Reason,
    ShadowSight,
)
from ussearch.serving.client.cloud_channel import CallJob, Workers
from ussearch.serving.client.transport import Address, Transport

Maker = Callable[..., EdgeClient]


def staying(seed: int) -> Any:
    grey = image(seed)
    grey[0, 0] = 255
    return grey


def test_the_cloud_answers_and_the_request_names_its_content(server: FaultServer, client_of: Maker) -> None:
    answer = client_of(server.url).predict(image(3))
    assert (answer.source, answer.reason) == ("cloud", Reason.ANSWERED)
    assert (answer.mask == expected_mask(image(3).tobytes())).all()
    assert answer.cloud_ms > 0
    (sent,) = server.bodies
    assert sent["id"] == hashlib.sha256(b"v" + image(3).tobytes()).hexdigest()
    assert sent["inputs"][0]["shape"] == [1, 1, SIDE, SIDE]
    assert sent["inputs"][0]["datatype"] == "UINT8"


def test_what_stays_is_not_sent_and_the_edge_is_first(server: FaultServer, client_of: Maker) -> None:
    client, seen = client_of(server.url), []
    stayed = client.predict(staying(1), on_edge=lambda edge: seen.append((edge.mask.copy(), server.asked)))
    assert (stayed.source, stayed.reason, stayed.cloud_ms) == ("edge", Reason.CONFIDENT, 0)
    client.predict(image(1), on_edge=lambda edge: seen.append((edge.mask.copy(), server.asked)))
    assert [asked for _, asked in seen] == [0, 0]
    assert server.asked == 1


def named(grey: Pixels) -> Frame:
    """Return the frame of a file that does not say that no name is burned into its pixels."""
    return replace(Frame.of(grey), text_excluded=False)


def test_an_image_that_must_not_leave_stays(server: FaultServer, client_of: Maker) -> None:
    assert client_of(server.url).predict(named(image(0))).reason is Reason.WITHHELD
    assert client_of(server.url).predict(named(staying(0))).reason is Reason.CONFIDENT
    assert server.asked == 0


@pytest.mark.parametrize("status", [400, 415, 422, 500])
def test_a_server_that_refuses_binary_is_asked_in_json_from_then_on(
    status: int, server: FaultServer, client_of: Maker
) -> None:
    server.binary, server.refusal = False, status
    client = client_of(server.url)
    for seed in range(3):
        answer = client.predict(image(seed))
        assert (answer.mask == expected_mask(image(seed).tobytes())).all()
    assert server.asked == 4, "one refusal, then JSON"


def test_the_bulkhead_refuses_what_has_no_place(server: FaultServer, client_of: Maker) -> None:
    client = client_of(server.url, concurrency=1, waiting=1)
    server.delay_s = 0.3
    reasons: list[Reason] = []
    threads = [
        threading.Thread(target=lambda seed=seed: reasons.append(client.predict(image(seed)).reason))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert sorted(reasons) == sorted([Reason.ANSWERED] * 2 + [Reason.BUSY] * 2)
    assert client.predict(image(9)).reason is Reason.ANSWERED, "places are given back"


def test_the_call_budget_ends(server: FaultServer, client_of: Maker) -> None:
    client = client_of(server.url, calls_per_minute=0.001, burst=2)
    reasons = [client.predict(image(seed)).reason for seed in range(3)]
    assert reasons == [Reason.ANSWERED, Reason.ANSWERED, Reason.BUDGET]


@pytest.mark.parametrize(("fault", "tries"), [("503", 2), ("500", 1), ("400", 2)])
def test_only_what_may_be_tried_again_is(fault: str, tries: int, server: FaultServer) -> None:
    pauses: list[float] = []
    settings = CloudSettings(server.url, "m", deadline_ms=5000, breaker=PATIENT)
    with EdgeClient(StubEdge(), CloudChannel(settings, chance=random.Random(0), sleep=pauses.append)) as client:
        for seed in range(9):
            client.predict(image(seed))
        server.asked, server.fault = 0, fault
        if fault == "400":  # binary is proven: a refusal is about the request
            tries = 1
        client.predict(image(10))
    assert server.asked == tries
    assert len(pauses) == (1 if fault == "503" else 0)


def test_waiting_calls_do_not_outlive_their_deadline(server: FaultServer, client_of: Maker) -> None:
    server.delay_s = 0.2
    client = client_of(server.url, concurrency=1, waiting=5, deadline_ms=150)
    begun_s = time.perf_counter()
    threads = [threading.Thread(target=client.predict, args=(image(seed),)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.perf_counter() - begun_s < 0.3


def test_what_expired_in_the_queue_is_never_begun() -> None:
    workers: Workers[str] = Workers(1, lambda: Transport(Address.parse("http://127.0.0.1:1"), {}, None))
    gate, begun = threading.Event(), []
    running = CallJob(lambda _: str(gate.wait(5)), Deadline.after(9))
    waiting = CallJob(lambda _: begun.append(1) or "begun", Deadline.after(9))
    last = CallJob(lambda _: "last", Deadline.after(9))
    for job in (running, waiting, last):
        workers.submit(job)
    waiting.abandon()
    gate.set()
    assert last.future.result(5) == "last"
    assert begun == []
    workers.close()


def test_some_of_what_stays_is_looked_at_in_the_shadow(server: FaultServer) -> None:
    sights: list[ShadowSight] = []
    settings = CloudSettings(server.url, "m", deadline_ms=2000, shadow_share=0.5, concurrency=20)
    client = EdgeClient(StubEdge(), CloudChannel(settings), on_shadow=sights.append, chance=random.Random(4))
    answers = [client.predict(staying(seed)) for seed in range(20)]
    same_chance = random.Random(4)
    expected = sum(same_chance.random() < 0.5 for _ in range(20))
    until_s = time.monotonic() + 5
    while len(sights) < expected and time.monotonic() < until_s:
        time.sleep(0.01)
    client.close()
    assert {answer.reason for answer in answers} == {Reason.CONFIDENT}
    assert len(sights) == server.asked == expected
    assert {sight.agreement for sight in sights} == {0.0}, "an empty mask agrees with none of them"


def test_the_loop_goes_on_while_the_cloud_is_waited_for(server: FaultServer) -> None:
    server.delay_s = 0.1

    async def many() -> tuple[list[Any], int]:
        settings = CloudSettings(server.url, "m", deadline_ms=3000, concurrency=10)
        ticks = 0
        async with AsyncEdgeClient(StubEdge(), CloudChannel(settings)) as client:
            tasks = [asyncio.ensure_future(client.predict(image(seed))) for seed in range(10)]
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0.01)
                ticks += 1
            return [task.result() for task in tasks], ticks

    answers, ticks = asyncio.run(many())
    assert ticks >= 5
    for seed, answer in enumerate(answers):
        assert (answer.mask == expected_mask(image(seed).tobytes())).all()


def test_the_loop_leaves_at_the_deadline_too(server: FaultServer) -> None:
    server.fault = "slow reading"

    async def once() -> Any:
        async with AsyncEdgeClient(StubEdge(), CloudChannel(CloudSettings(server.url, "m", deadline_ms=80))) as client:
            return await client.predict(image(0)), await client.predict(staying(0))

    answer, stayed = asyncio.run(once())
    assert (answer.source, answer.reason) == ("edge", Reason.DEADLINE)
    assert 75 < answer.cloud_ms < 200
    assert stayed.reason is Reason.CONFIDENT


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://x"}, "no address of a server"),
        ({"url": "http://"}, "no address of a server"),
        ({"url": "http://x:99999"}, "no address of a server"),
        ({"deadline_ms": 0}, "deadline of 0 ms"),
        ({"deadline_ms": float("nan")}, "deadline of nan ms"),
        ({"shadow_share": 2}, "Shadow share 2"),
        ({"token": "a\r\nX: y"}, "token cannot be sent"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CloudSettings(**{"url": "http://localhost:1", "model": "m", **settings})


def test_what_is_no_image_is_refused(server: FaultServer, client_of: Maker) -> None:
    with pytest.raises(UserError, match="expected grey levels"):
        client_of(server.url).predict(np.zeros((4, 4, 4), np.uint8))


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(CloudSettings("http://localhost:1", "m", token="secret"))


class EdgeWithoutRouting(StubEdge):
    """Keeps every image because its bundle does."""

    def predict(self, image: AnyImage) -> PredictionResult:
        return replace(super().predict(image), route="edge", reason=Reason.ROUTING_OFF)


def test_an_edge_that_keeps_everything_is_not_called_confident() -> None:
    nobody = CloudChannel(CloudSettings("http://127.0.0.1:9", model="m", version="v"))
    with EdgeClient(EdgeWithoutRouting(), nobody) as client:
        assert client.predict(image(0)).reason is Reason.ROUTING_OFF
