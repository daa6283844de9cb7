"""Short lines that replace each other on a terminal and follow each other elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.status import Status

from ussearch.cli.console import console


class Lines:
    """Called with what happens now; use it as a context."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status: Status | None = console.status("…") if console.is_terminal and not quiet else None

    def __enter__(self) -> Lines:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, text: str) -> None:
        """Show ``text``."""
        if self._status:
            self._status.update(text)
        elif not self._quiet:
            console.print(text, soft_wrap=True)
