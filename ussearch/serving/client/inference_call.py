"""What is said to the server: how it wants to be asked, the image, and its answer as probabilities."""

from __future__ import annotations

import hashlib
import itertools
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from ussearch.runtime.postprocessing import Postprocessing
from ussearch.runtime.prediction import Reason
from ussearch.serving.client.guards import Deadline, RetryBudget, backoff_s
from ussearch.serving.client.server_capabilities import (
    ServerCapabilities,
    capabilities_of,
    declares_binary,
    probabilities_of,
)
from ussearch.serving.client.transport import CloudFailure, Request, Response, Transport
from ussearch.serving.protocol import DEADLINE_MS, HEADER_LENGTH, Message, ProtocolError, Tensor, decode, encode

Pixels = npt.NDArray[np.uint8]
METADATA_LIMIT = 1 << 16
BYTES_A_PIXEL = 24  # of the longest answer: one logit as text
REFUSES_BINARY = frozenset({400, 415, 422})
OVERLOADED = frozenset({429, 503})
RETRYABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Reply:
    """The cloud's probabilities float32 [S, S], 0 or 1 where they are a mask, and how many tries they took."""

    probabilities: npt.NDArray[np.float32]
    tries: int


def idempotency_key(version: str, pixels: Pixels) -> str:
    """Return sha256(model version || pixels) in hexadecimal: the same question has the same name."""
    digest = hashlib.sha256(version.encode())
    digest.update(np.ascontiguousarray(pixels).ravel().data)
    return digest.hexdigest()


class InferenceCall:
    """Asks one model on one server; what it learns about the server holds for all threads."""

    def __init__(
        self,
        model: str,
        version: str,
        retries: int = 2,
        chance: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
        *,
        postprocessing: Postprocessing | None = None,
    ) -> None:
        """``postprocessing`` is that of the model, for servers that give its logits."""
        self._model, self._version = f"/v2/models/{quote(model, safe='')}", version
        self._most_retries, self._retries = retries, RetryBudget()
        self._chance = chance or random.Random()
        self._sleep = sleep
        self._capabilities: ServerCapabilities | None = None
        self._postprocessing = postprocessing

    def ask(self, transport: Transport, pixels: Pixels, deadline: Deadline) -> Reply:
        """Return the model's reply to pixels uint8 [1, 1, S, S]; raises CloudFailure where none comes in time."""
        self._retries.earn()
        for attempt in itertools.count():
            try:
                return Reply(self._once(transport, pixels, deadline), attempt + 1)
            except CloudFailure as failure:
                pause = max(backoff_s(attempt, self._chance), failure.wait_s)
                hopeless = not failure.retryable or attempt >= self._most_retries or pause >= deadline.remaining_s
                if hopeless or not self._retries.take():
                    raise
            self._sleep(pause)
        raise AssertionError("unreachable")

    def _once(self, transport: Transport, pixels: Pixels, deadline: Deadline) -> npt.NDArray[np.float32]:
        capabilities = self._capabilities or self._learn(transport, deadline)
        key = idempotency_key(self._version, pixels)
        response = self._infer(transport, pixels, key, deadline, capabilities)
        if capabilities.binary and not capabilities.proven and self._refuses_binary(transport, response, deadline):
            capabilities = replace(capabilities, binary=False)
            response = self._infer(transport, pixels, key, deadline, capabilities)
        refuse_status(response)
        message = _understood(response, key)
        found = probabilities_of(message, capabilities, pixels.shape[-1], self._postprocessing)
        if not capabilities.proven:
            self._capabilities = replace(capabilities, proven=True)
        return found

    def _refuses_binary(self, transport: Transport, response: Response, deadline: Deadline) -> bool:
        """Whether an answer may be about the form of the request: MLServer fails over the bytes that it would quote."""
        if response.status != 500:
            return response.status in REFUSES_BINARY
        server = transport.request(Request("GET", "/v2", METADATA_LIMIT), deadline)
        return server.status == 200 and not declares_binary(server.body)

    def _learn(self, transport: Transport, deadline: Deadline) -> ServerCapabilities:
        response = transport.request(Request("GET", self._model, METADATA_LIMIT), deadline)
        refuse_status(response)
        try:
            self._capabilities = capabilities_of(response.body)
        except ProtocolError as error:
            raise CloudFailure(Reason.CORRUPT, str(error)) from error
        return self._capabilities

    def _infer(
        self, transport: Transport, pixels: Pixels, key: str, deadline: Deadline, capabilities: ServerCapabilities
    ) -> Response:
        image = Tensor(capabilities.input, pixels.astype(capabilities.dtype, copy=False))
        message = encode(capabilities.request_header(key), "inputs", [image], capabilities.binary)
        own = {"Idempotency-Key": key, DEADLINE_MS: str(max(1, int(deadline.remaining_s * 1000)))}
        limit = METADATA_LIMIT + BYTES_A_PIXEL * pixels.size
        headers = {**message.headers, **own}
        request = Request("POST", f"{self._model}/infer", limit, message.body, headers)
        return transport.request(request, deadline)


def refuse_status(response: Response) -> None:
    """Raise the CloudFailure that the status of an answer stands for; 200 stands for none."""
    status = response.status
    if status == 200:
        return
    failed = Reason.SERVER_ERROR if status >= 500 else Reason.REFUSED
    reason = Reason.OVERLOADED if status in OVERLOADED else failed
    wait_s = _retry_after_s(response.headers)
    raise CloudFailure(reason, f"status {status}", retryable=status in RETRYABLE, wait_s=wait_s)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the seconds of Retry-After; dates would need a clock that both sides share, and count as none."""
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0


def _understood(response: Response, key: str) -> Message:
    try:
        message = decode(response.body, response.headers.get(HEADER_LENGTH.lower()), "outputs")
    except ProtocolError as error:
        raise CloudFailure(Reason.CORRUPT, str(error)) from error
    if message.header.get("id") not in {None, "", key}:
        raise CloudFailure(Reason.CORRUPT, "the answer is for another request")
    return message
