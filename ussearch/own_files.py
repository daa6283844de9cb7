"""What this program wrote, told from what others wrote, so that nothing of the user's is overwritten.

A picture or a DICOM file carries a mark: ``ussearch sha256:`` and the SHA-256 of the rest of the file. Whoever edits
the file changes the rest, or loses the mark, and from then on it counts as theirs. PNG has a text chunk for it
(Software), DICOM its preamble, SVG a comment; other pictures have it behind their end. ``serving/board/run_edge.py``
marks the masks that it writes in the same way.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from ussearch.errors import UserError
from ussearch.files import write_atomically

MARK = b"ussearch sha256:"
_MARKED = re.compile(MARK + rb"([0-9a-f]{64})")
_BEHIND = 4  # bytes behind the digest that it does not speak of: the checksum of a PNG's chunk
_NEAR = 256  # bytes from the beginning or the end within which a mark lies
_PNG, _CHUNK = b"\x89PNG\r\n\x1a\n", 33  # signature, and where the second chunk begins
_PREAMBLE = 128  # bytes of a DICOM file that every application may use (PS3.10, 7.1)
_PAGE = b"<footer>Made by ussearch "


def marked(data: bytes) -> bytes:
    """Return the bytes of a picture or a DICOM file with the mark; all readers of its format read it still."""
    before, behind = _around_the_digest(data)
    digest = _digest(before, behind)
    if data.startswith(_PNG):
        checksum = zlib.crc32(before[_CHUNK + 4 :] + digest)
        behind = struct.pack(">I", checksum) + behind[_BEHIND:]
    return before + digest + behind


def mark(path: Path) -> None:
    """Put the mark on a file that was just written; raises UserError where it cannot be written."""
    write_atomically(path, marked(path.read_bytes()))


def is_own(path: Path) -> bool:
    """Tell whether the file is as this program wrote it: a picture or a DICOM file with its mark, or a page."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_NEAR)
        file.seek(max(0, path.stat().st_size - _NEAR))
        if MARK not in head and MARK not in file.read() and not head.startswith(b"<!DOCTYPE html>"):
            return False
    data = path.read_bytes()
    if head.startswith(b"<!DOCTYPE html>"):
        return _PAGE in data
    return any(_digest(data[: each.start(1)], data[each.end() :]) == each[1] for each in _MARKED.finditer(data))


def refuse_foreign(paths: Iterable[Path | None], remedy: str, own: Callable[[Path], bool] = is_own) -> None:
    """Raise UserError for the first of ``paths`` where something stands that this program did not write.

    A folder or a link counts as such, and so does a file where a folder is needed. ``remedy`` ends the sentence,
    ``own`` tells what this program wrote, None among the paths is nothing to be written.
    """
    fine: set[Path] = set()
    for path in filter(None, paths):
        for folder in path.parents:
            if folder in fine:
                break
            if os.path.lexists(folder) and not folder.is_dir():
                raise UserError(f"Cannot write {path}: {folder} is a file, not a folder; {remedy}.")
            fine.add(folder)
        if os.path.lexists(path) and (path.is_symlink() or not path.is_file() or not own(path)):
            raise UserError(
                f"{path} stands there already and is not what ussearch wrote: nothing is overwritten; {remedy}."
            )


def _around_the_digest(data: bytes) -> tuple[bytes, bytes]:
    if data.startswith(_PNG):
        chunk = b"Software\0" + MARK
        head = struct.pack(">I", len(chunk) + 64) + b"tEXt" + chunk
        return data[:_CHUNK] + head, bytes(_BEHIND) + data[_CHUNK:]
    if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return MARK, bytes(_PREAMBLE - len(MARK) - 64) + data[_PREAMBLE:]
    if data.rstrip().endswith(b"</svg>"):
        return data + b"<!-- " + MARK, b" -->\n"
    return data + b"\n% " + MARK, b"    \n"


def _digest(before: bytes, behind: bytes) -> bytes:
    return hashlib.sha256(before + behind[_BEHIND:]).hexdigest().encode()
