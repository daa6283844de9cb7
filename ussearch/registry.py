"""Named implementations of one idea, looked up by the name that users write in YAML or on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ussearch.errors import UserError

T = TypeVar("T")


def nearest_names(name: str, known: list[str]) -> str:
    """Return the part of an error sentence that offers the known names nearest to ``name``."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}."


class Registry(Generic[T]):
    """A mapping from names to implementations that explains itself when a name is unknown."""

    def __init__(self, idea: str) -> None:
        """``idea`` is the noun used in errors, such as ``block``."""
        self.idea = idea
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds an implementation under ``name``."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.idea} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise UserError(f"Unknown {self.idea} {name!r}: {nearest_names(name, self.names())}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """Return the registered names in order of registration."""
        return list(self._entries)
