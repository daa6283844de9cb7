"""Why an answer is what it is, in words that logs, tables and metrics share."""

from __future__ import annotations

from enum import Enum


class Reason(str, Enum):
    """The reason of an answer: the first three are the router's wish, the others why the edge's mask had to stay."""

    CONFIDENT = "confident"
    ROUTING_OFF = "routing is off"
    ANSWERED = "cloud answered"
    DEADLINE = "deadline passed"
    CIRCUIT_OPEN = "circuit open"
    BUSY = "too many calls at once"
    BUDGET = "call budget spent"
    UNREACHABLE = "server unreachable"
    CERTIFICATE = "TLS refused"
    INTERRUPTED = "connection lost"
    OVERLOADED = "server overloaded"
    SERVER_ERROR = "server error"
    REFUSED = "request refused"
    CORRUPT = "corrupt answer"
    WRONG_SHAPE = "answer of another shape"
    WITHHELD = "burned-in text not excluded"


class CloudFailure(Exception):
    """A call brought no mask.

    ``retryable`` holds for what a second try may mend without doing harm: the request was not accepted.
    ``wait_s`` is how long the server asked to be left alone.
    """

    def __init__(self, reason: Reason, detail: str, *, retryable: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.retryable = retryable
        self.wait_s = wait_s
