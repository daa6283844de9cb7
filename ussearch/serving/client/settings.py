"""Everything that a client of the cloud can be told."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from ussearch.errors import UserError
from ussearch.runtime.postprocessing import Postprocessing
from ussearch.serving.auth import printable
from ussearch.serving.client.guards import BreakerRules
from ussearch.serving.client.transport import Address


@dataclass(frozen=True)
class CloudSettings:
    """Where the cloud is and how much of it may be used.

    ``model`` and ``version`` name the model on the server (its name there, and what goes into the idempotency key),
    ``postprocessing`` is what becomes of its probabilities where a server gives logits.
    ``concurrency`` calls run at a time and as many as ``waiting`` wait; more are refused at once. ``retries`` is per
    call and on top of it at most a tenth of all calls. ``calls_per_minute`` bounds the calls in the long run,
    ``shadow_share`` is the share of images that stay and are sent all the same, to see what the cloud would have said.
    """

    url: str
    model: str
    version: str = ""
    postprocessing: Postprocessing | None = None
    token: str | None = field(default=None, repr=False)
    authority: Path | None = None
    deadline_ms: float = 500.0
    concurrency: int = 4
    waiting: int = 4
    retries: int = 2
    calls_per_minute: float | None = None
    burst: int = 10
    shadow_share: float = 0.0
    breaker: BreakerRules = field(default_factory=BreakerRules)

    def __post_init__(self) -> None:
        Address.parse(self.url)
        if not 0 < self.deadline_ms < float("inf"):
            raise UserError(f"A deadline of {self.deadline_ms} ms is not possible: expected milliseconds above 0.")
        if not 0 <= self.shadow_share <= 1:
            raise UserError(f"Shadow share {self.shadow_share} is not possible: expected a number from 0 to 1.")
        if self.token is not None and not printable(self.token):
            raise UserError("The token cannot be sent: expected letters, digits and signs of ASCII without blanks.")

    @property
    def address(self) -> Address:
        """The server's address."""
        return Address.parse(self.url)

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def tls(self) -> ssl.SSLContext | None:
        """Return how certificates are checked, by the system's authorities or by the file ``authority`` alone."""
        if not self.address.secure:
            return None
        try:
            return ssl.create_default_context(cafile=None if self.authority is None else str(self.authority))
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"{self.authority} holds no certificates: give a PEM file of the authority.") from error
