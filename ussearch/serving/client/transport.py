"""HTTP over one kept connection of the standard library, for one worker thread.

``getaddrinfo`` knows no timeout and ``http.client``'s are per read, so a request may outlive its deadline here; who
waits for it does not (see ``workers.py``), and ``abort`` ends it from outside.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ussearch.errors import UserError
from ussearch.runtime.prediction import Reason
from ussearch.serving.client.guards import Deadline

CHUNK = 1 << 16
GONE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)


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


@dataclass(frozen=True)
class Address:
    """Where the server is; ``path`` is what stands before ``/v2``, with no slash at its end."""

    host: str
    port: int
    path: str
    secure: bool

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL such as https://cloud.example:8443/models; raises UserError where it is none."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment or parts.username:
            raise UserError(f"{url!r} is no address of a server: expected http://HOST:PORT or https://HOST:PORT.")
        secure = parts.scheme == "https"
        return cls(host, port or (443 if secure else 80), parts.path.rstrip("/"), secure)


@dataclass(frozen=True)
class Request:
    """What is asked; an answer of more than ``limit`` bytes is none."""

    method: str
    path: str
    limit: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """What the server answered; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """One connection, made when it is needed and kept between requests."""

    def __init__(self, address: Address, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> None:
        self._address, self._headers, self._tls = address, dict(headers), tls
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()
        self._current: Deadline | None = None

    def request(self, request: Request, deadline: Deadline) -> Response:
        """Return the answer; raises CloudFailure with the reason else."""
        with self._lock:
            self._current = deadline
        try:
            return self._answered(request, deadline)
        except CloudFailure:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise CloudFailure(Reason.DEADLINE, "no answer in time") from error
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: numbers in a broken head
            self.close()
            reason = Reason.DEADLINE if deadline.expired else Reason.INTERRUPTED
            raise CloudFailure(reason, type(error).__name__) from error
        finally:
            with self._lock:
                self._current = None

    def abort(self, deadline: Deadline) -> None:
        """End the request that runs under ``deadline``, if it still does; for other threads."""
        with self._lock:
            connection = self._connection
            if self._current is not deadline or connection is None or connection.sock is None:
                return
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _answered(self, request: Request, deadline: Deadline) -> Response:
        kept = self._connection is not None
        try:
            response = self._asked(request, deadline)
        except GONE:
            # A server may close a kept connection at any time; the request never reached it, and this is no retry.
            if not kept or deadline.expired:
                raise
            self.close()
            response = self._asked(request, deadline)
        content = _read(self._connection, response, deadline, request.limit)
        if response.will_close:
            self.close()
        return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def _asked(self, request: Request, deadline: Deadline) -> http.client.HTTPResponse:
        """Send the request and return the answer as far as its head."""
        connection = self._connected(deadline)
        path, headers = self._address.path + request.path, {**self._headers, **request.headers}
        connection.request(request.method, path, request.body or None, headers)
        _limit_time(connection, deadline)
        return connection.getresponse()

    def _connected(self, deadline: Deadline) -> http.client.HTTPConnection:
        if self._connection is None:
            connection = self._fresh(deadline)
            with self._lock:
                self._connection = connection
        _limit_time(self._connection, deadline)
        return self._connection

    def _fresh(self, deadline: Deadline) -> http.client.HTTPConnection:
        if deadline.expired:
            raise CloudFailure(Reason.DEADLINE, "no time left to connect")
        where, seconds = self._address, deadline.remaining_s
        connection = (
            http.client.HTTPSConnection(where.host, where.port, timeout=seconds, context=self._tls)
            if where.secure
            else http.client.HTTPConnection(where.host, where.port, timeout=seconds)
        )
        try:
            connection.connect()
        except ssl.SSLError as error:
            connection.close()
            raise CloudFailure(Reason.CERTIFICATE, type(error).__name__) from error
        except TimeoutError as error:
            connection.close()
            raise CloudFailure(Reason.DEADLINE, "no connection in time") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA cannot write
            connection.close()
            raise CloudFailure(Reason.UNREACHABLE, type(error).__name__, retryable=True) from error
        return connection


def _limit_time(connection: http.client.HTTPConnection | None, deadline: Deadline) -> None:
    if deadline.expired:
        raise CloudFailure(Reason.DEADLINE, "no time left")
    if connection is not None and connection.sock is not None:
        connection.sock.settimeout(deadline.remaining_s)


def _read(
    connection: http.client.HTTPConnection | None, response: http.client.HTTPResponse, deadline: Deadline, limit: int
) -> bytes:
    """Read the body piece by piece, within ``limit`` and ``deadline``."""
    if (response.length or 0) > limit:
        raise CloudFailure(Reason.CORRUPT, "the answer is larger than any mask")
    content = bytearray()
    while piece := response.read1(CHUNK):
        content += piece
        if len(content) > limit:
            raise CloudFailure(Reason.CORRUPT, "the answer is larger than any mask")
        _limit_time(connection, deadline)
    if response.length:
        raise http.client.IncompleteRead(bytes(content), response.length)
    response.close()  # read to its end, which ``read1`` does not notice: else the connection refuses the next request
    return bytes(content)
