"""PNG files with chunks that Pillow does not write."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def exif(orientation: int, order: str = ">", kind: int = 3) -> bytes:
    """Return EXIF data with the orientation alone, as a number of 2 or 4 bytes (its type 3 or 4)."""
    mark = {">": b"MM\x00\x2a", "<": b"II\x2a\x00"}[order]
    value = struct.pack(order + {3: "H", 4: "I"}[kind], orientation).ljust(4, b"\x00")
    return mark + struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, 1) + value + struct.pack(order + "I", 0)


def png_of(samples: np.ndarray[Any, Any], colour: int, depth: int) -> bytes:
    """Return samples [H, W, channels] as a PNG of any colour type and depth, rows without filter."""
    height, width, channels = samples.shape
    if depth == 16:
        packed = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    else:
        bits = np.unpackbits(samples.astype(np.uint8).reshape(height, width * channels, 1), axis=2)[:, :, 8 - depth :]
        packed = np.packbits(bits.reshape(height, -1), axis=1)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_of_image(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def with_chunk(png: bytes, kind: bytes, body: bytes, last: bool = False) -> bytes:
    """Return the file with a chunk behind its header, or before its end."""
    place = len(png) - 12 if last else 33
    return png[:place] + chunk(kind, body) + png[place:]


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
