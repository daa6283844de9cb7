"""HTTP by httptools, which parses twice as fast as h11 but reads heads of any length: here they have a limit."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 1 << 16
"""Bytes of request line and headers; the piece of what arrives in which a head begins is not counted."""


class BoundedHeads(HttpToolsProtocol):
    """Ends a connection whose request line and headers do not end within ``HEAD_LIMIT`` bytes."""

    _in_head, _head_bytes = True, 0

    def data_received(self, data: bytes) -> None:
        """Parse what came; what only made a head longer is counted."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Note that a body may follow."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that another head may follow."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()
