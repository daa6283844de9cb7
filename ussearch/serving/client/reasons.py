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

    @classmethod
    def of_staying(cls, *, routing_off: bool) -> Reason:
        """Return why an image stays that nobody wants to send: the edge is sure enough, or nothing is ever sent."""
        return cls.ROUTING_OFF if routing_off else cls.CONFIDENT


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
