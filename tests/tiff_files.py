"""Uncompressed TIFF files with tags that Pillow does not write."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Page:
    """One page: ``stored`` is what its rows hold, uint8, uint16, int16, uint32, int32 or float32 [H, W]."""

    stored: np.ndarray[Any, Any]
    bits: int = 0
    """Bits of a value where they are not those of the type: 12 packs two values into three bytes."""
    photometric: int = 1
    orientation: int = 1
    subfile: int = 0


def tiff_of(*pages: Page, order: str = "<") -> bytes:
    content = bytearray((b"II\x2a\x00" if order == "<" else b"MM\x00\x2a") + bytes(4))
    link = 4
    for page in pages:
        strip = _strip(page, order)
        place = len(content)
        content += strip + bytes(len(strip) % 2)
        struct.pack_into(order + "I", content, link, len(content))
        height, width = page.stored.shape
        sample_format = {"u": 1, "i": 2, "f": 3}[page.stored.dtype.kind]
        entries = [
            (254, page.subfile), (256, width), (257, height), (258, page.bits or 8 * page.stored.dtype.itemsize),
            (259, 1), (262, page.photometric), (273, place), (274, page.orientation), (277, 1), (278, height),
            (279, len(strip)), (339, sample_format),
        ]  # fmt: skip
        content += struct.pack(order + "H", len(entries))
        for tag, value in entries:
            content += struct.pack(order + "HHII", tag, 4, 1, value)
        link = len(content)
        content += bytes(4)
    return bytes(content)


def _strip(page: Page, order: str) -> bytes:
    if page.bits != 12:
        return page.stored.astype(page.stored.dtype.newbyteorder(order)).tobytes()
    pairs = page.stored.astype(np.uint32).reshape(-1, 2)
    packed = pairs[:, 0] << 12 | pairs[:, 1]
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8).tobytes()
