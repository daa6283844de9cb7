"""Everything that the server can be told."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from ussearch.errors import UserError
from ussearch.serving.auth import TOKEN_VARIABLE


@dataclass(frozen=True)
class ServerSettings:
    """``workers`` inferences run at a time (the number of cores where 0) and ``waiting`` more wait; what comes then is
    told to come again. Under Ray both hold for each of up to ``replicas`` replicas. Requests under way have ``grace_s``
    seconds when the server is ended.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None
    workers: int = 0
    waiting: int = 32
    grace_s: int = 10
    replicas: int = 4

    def __post_init__(self) -> None:
        if self.token is None and not _loopback(self.host):
            raise UserError(
                f"{self.host} can be reached by other machines and no token is set: give --token-file, "
                f"set {TOKEN_VARIABLE}, or listen on 127.0.0.1."
            )
        if (self.certificate is None) != (self.key is None):
            raise UserError(
                "A certificate and its key belong together: give both --tls-cert and --tls-key, or neither."
            )
        for path in (self.certificate, self.key):
            if path is not None and not path.is_file():
                raise UserError(f"{path} is no file: give a PEM file for --tls-cert and --tls-key.")

    @property
    def threads(self) -> int:
        """How many inferences run at a time."""
        return self.workers or os.cpu_count() or 1

    @property
    def url(self) -> str:
        """Where clients find the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.certificate is None else 'https'}://{host}:{self.port}"


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
