#!/usr/bin/env python3
# ruff: noqa: B905, UP006, UP035, UP041, UP045
# NOTE: this file runs on the board: Python 3.6 syntax, standard library, numpy and onnxruntime only.
"""Segment images with the edge network of the bundle that this file lies in.

    python3 run_edge.py IMAGE... [--out DIR]     masks as PNG, in the size of each image (PNG, PGM or .npy; what has
                                                 more than 8 bits becomes grey levels as for training)
    python3 run_edge.py IMAGE... --cloud URL     ask this server where the edge is not sure enough
    python3 run_edge.py --self-test              replay the bundle's own vectors

For each image one line of JSON is printed: the mask's file, how many values lay beyond the bundle's grey scale, the
confidence, the route that the image should take, whose mask it is and why. The edge's mask is written before anything
is sent; the cloud's replaces it if it comes before the deadline.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import math
import os
import queue
import re
import socket
import ssl
import struct
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import urlsplit

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
PIXEL_LIMIT = 64000000
EVERYTHING_STAYS = -3.4e38  # a threshold that no confidence is below
LOGIT_TOLERANCE = 1e-3
PROBABILITY_MARGIN = 1e-3
FAILURES, WINDOW, REST_S = 5, 10, 5.0  # of the circuit breaker
MOST_CALLS = 4  # that hang at a time
REST_OF_ANSWER = 1 << 16  # bytes besides the logits
LENGTH = "Inference-Header-Content-Length"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MARK = b"Software\x00ussearch sha256:"  # of what ussearch writes; the package's own_files.py has the same
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
TEXT_LIMIT = 1 << 20  # bytes of a text in a PNG that are looked at
RAW_EXIF = b"Raw profile type exif"
FORMATS = (
    (128, b"DICM", "a DICOM file"),
    (0, b"II*\x00", "a TIFF file"),
    (0, b"MM\x00*", "a TIFF file"),
    (0, b"II+\x00", "a BigTIFF file"),
    (0, b"MM\x00+", "a BigTIFF file"),
    (0, b"\xff\xd8\xff", "a JPEG file"),
    (0, b"GIF8", "a GIF file"),
    (0, b"BM", "a BMP file"),
    (8, b"WEBP", "a WebP file"),
    (4, b"jP  ", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (0, b"P1", "a PBM file"),
    (0, b"P4", "a PBM file"),
    (0, b"P3", "a PPM file"),
    (0, b"P6", "a PPM file"),
)  # where a mark stands that a format is known by


class BadInput(Exception):
    """Something given cannot be used; the message is one sentence that names the mend."""


# ---------------------------------------------------------------- images


def read_grey(path: Path, scale: Any = None) -> Tuple[Any, int]:
    """Return the image at path (PNG, PGM or .npy) as grey uint8 [H, W], and how many of its values ``scale`` clips.

    ``scale`` is the bundle's grey scale, with low, high and basis; bundles of before there were any have None.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"Cannot read {path} ({error.strerror}): give the path of an image.") from error
    try:
        return levels(decoded(path, data), scale)
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error
    except (ValueError, IndexError, KeyError, OverflowError, struct.error, zlib.error, EOFError) as error:
        raise BadInput(f"{path} is truncated or damaged: give an intact copy.") from error


def decoded(path: Path, data: bytes) -> Any:
    """Return the values of an image file [H, W] as it holds them; colour and palettes become luma."""
    if data.startswith(PNG_SIGNATURE):
        return decode_png(data)
    if data[:2] in (b"P5", b"P2"):
        return decode_pgm(data)
    if data.startswith(b"\x93NUMPY"):
        return checked_array(np.load(str(path), allow_pickle=False))
    for start, mark, name in FORMATS:
        if data[start : start + len(mark)] == mark:
            raise BadInput(f"is {name}, which this runner cannot decode: convert it to PNG, PGM or .npy.")
    raise BadInput("is neither PNG, PGM nor .npy: convert it to PNG.")


def checked_array(array: Any) -> Any:
    """Return the array where it is a grey image [H, W] of integers or floats."""
    if array.dtype.kind not in "uif" or array.ndim != 2 or not array.size:
        raise BadInput(f"holds {array.dtype} {list(array.shape)}, expected integers or floats [H, W]: convert it.")
    return array


def levels(values: Any, scale: Any) -> Tuple[Any, int]:
    """Return grey levels uint8 of values [H, W], and how many of them lie beyond the two numbers of ``scale``.

    Files of 8 bits pass unchanged, unless the user gave the numbers; deeper ones are mapped as for training.
    """
    if scale is None:
        return each_by_itself(values), 0
    if values.dtype == np.uint8 and scale["basis"] != "given":
        return values, 0
    low, high = float(scale["low"]), float(scale["high"])
    if (low, high, scale["basis"]) == (0.0, 255.0, "depth"):
        refuse_depth(values)
    numbers = values.astype(np.float64)
    numbers[np.isnan(numbers)] = low
    mapped = np.clip((numbers - low) * (255.0 / max(high - low, 1e-12)), 0.0, 255.0)
    clipped = int(np.count_nonzero((numbers < low) | (numbers > high)))
    return np.floor(mapped + 0.5).astype(np.uint8), clipped


def each_by_itself(values: Any) -> Any:
    """Return grey levels as bundles of before grey scales were trained: by the depth that holds the brightest value."""
    if values.dtype == np.uint8:
        return values
    if values.dtype != np.uint16:
        raise BadInput(f"holds {values.dtype} {list(values.shape)}, expected uint8 or uint16 [H, W]: convert it.")
    top = next(scale for scale in (255, 1023, 4095, 65535) if values.max() <= scale)
    return np.floor(values * (255.0 / top) + 0.5).astype(np.uint8)


def refuse_depth(values: Any) -> None:
    """Refuse values of which a bundle that learnt from 8-bit files does not know what is black and white."""
    least, most = float(values.min()), float(values.max())
    if values.dtype.kind == "f" or least < 0 or most > 255:
        raise BadInput(
            f"holds {values.dtype} from {least:g} to {most:g} but the networks learnt from 8-bit images: convert it to "
            "8 bits in the way that the training images were."
        )


def check_size(width: int, height: int) -> None:
    """Refuse sizes that cannot be an image, before memory is taken for them."""
    if width < 1 or height < 1 or width * height > PIXEL_LIMIT:
        raise BadInput(f"is {width} x {height} pixels, expected at most {PIXEL_LIMIT} in all: reduce it.")


def decode_pgm(data: bytes) -> Any:
    """Decode a PGM, plain (P2) or raw (P5): uint8, or uint16 where it has more than 256 levels; both to full scale."""
    fields = []  # type: List[bytes]
    position = 0
    while len(fields) < 4:
        while data[position : position + 1].isspace():
            position += 1
        if data[position : position + 1] == b"#":
            position = data.index(b"\n", position)
            continue
        start = position
        while position < len(data) and not data[position : position + 1].isspace():
            position += 1
        if start == position:
            raise ValueError("header ends early")
        fields.append(data[start:position])
    width, height, top = int(fields[1]), int(fields[2]), int(fields[3])
    check_size(width, height)
    if not 0 < top < 65536:
        raise BadInput(f"is a PGM with {top + 1} grey levels, expected at most 65536: convert it to PNG.")
    if fields[0] == b"P5":
        pixels = np.frombuffer(data, ">u2" if top > 255 else np.uint8, width * height, position + 1)
    else:
        numbers = re.sub(rb"#[^\r\n]*", b" ", data[position:]).split()
        pixels = np.array(numbers[: width * height], dtype=np.int64)
        if pixels.min() < 0 or pixels.max() > top:
            raise ValueError("a value beyond the greatest")
    full, kind = (65535, np.uint16) if top > 255 else (255, np.uint8)
    scaled = np.rint(pixels.reshape(height, width) / float(top) * full)
    return np.minimum(scaled, full).astype(kind)


def decode_png(data: bytes) -> Any:
    """Decode a non-interlaced PNG of any colour type, upright: uint16 [H, W] for grey of 16 bits, else uint8.

    Transparency is ignored.
    """
    chunks = png_chunks(data)
    if int.from_bytes(chunks.get(b"acTL", b"")[:4], "big"):
        raise BadInput("is an animated PNG, which this runner cannot decode: save each frame as a file.")
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    check_size(width, height)
    if interlace:
        raise BadInput("is an interlaced PNG, which this runner cannot decode: save it without interlacing.")
    channels = PNG_CHANNELS[colour]
    line = (width * channels * depth + 7) // 8
    raw = zlib.decompressobj().decompress(chunks[b"IDAT"], (line + 1) * height)
    if len(raw) < (line + 1) * height:
        raise ValueError("too little data")
    rows = unfiltered(raw, height, line, max(1, channels * depth // 8))
    palette = np.frombuffer(chunks.get(b"PLTE", b""), np.uint8).reshape(-1, 3)
    return upright(to_grey(unpacked(rows, width, channels, depth), colour, depth, palette), orientation_of(chunks))


def png_chunks(data: bytes) -> Dict[bytes, bytes]:
    """Return the content of the chunks by kind: that of the pixels joined, of texts by keyword, of others the last."""
    chunks = {}  # type: Dict[bytes, bytes]
    pixels = []  # type: List[bytes]
    position, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        body = data[position + 8 : position + 8 + length]
        checksum = struct.unpack(">I", data[position + 8 + length : position + 12 + length])[0]
        if zlib.crc32(kind + body) & 0xFFFFFFFF != checksum:
            raise ValueError("checksum")
        if kind == b"IDAT":
            pixels.append(body)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, text = body.partition(b"\x00")
            chunks[keyword] = png_text(kind, text)
        else:
            chunks[kind] = body
        position += 12 + length
    chunks[b"IDAT"] = b"".join(pixels)
    return chunks


def png_text(kind: bytes, text: bytes) -> bytes:
    """Return the text behind the keyword of a chunk; nothing where it is compressed in an unknown way."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed = text[:1] != b"\x00"
        text = text[1:2] + text[2:].split(b"\x00", 2)[-1]
    if not packed:
        return text[1:] if kind == b"iTXt" else text
    return zlib.decompressobj().decompress(text[1:], TEXT_LIMIT)


def orientation_of(chunks: Dict[bytes, bytes]) -> int:
    """Return how the picture was held, 1 to 8, as EXIF or else XMP says; 1 where nothing does."""
    exif = chunks.get(b"eXIf", chunks.get(b"exif"))
    if exif is None and RAW_EXIF in chunks:
        exif = bytes.fromhex("".join(chunks[RAW_EXIF].decode("latin-1").split("\n")[3:]))
    found = None if exif is None else exif_orientation(exif)
    if found is None:
        match = re.search(rb'tiff:Orientation(="|>)([0-9])', chunks.get(b"XML:com.adobe.xmp", b""))
        found = int(match.group(2)) if match else 1
    return found


def exif_orientation(exif: bytes) -> Optional[int]:
    """Return the orientation in the first directory of EXIF data, None where it has none."""
    if exif.startswith(b"Exif\x00\x00"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}[exif[:2]]
    start = struct.unpack(order + "I", exif[4:8])[0]
    for entry in range(struct.unpack(order + "H", exif[start : start + 2])[0]):
        place = start + 2 + 12 * entry
        tag, kind, count = struct.unpack(order + "HHI", exif[place : place + 8])
        if tag == 0x0112 and kind in (3, 4) and count == 1:
            code = "H" if kind == 3 else "I"
            return int(struct.unpack(order + code, exif[place + 8 : place + 8 + struct.calcsize(code)])[0])
    return None


def upright(values: Any, orientation: int) -> Any:
    """Return stored rows as viewers show them (EXIF, orientation 1 to 8)."""
    if orientation in (5, 6, 7, 8):
        values = values.T
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def unfiltered(raw: bytes, height: int, line: int, step: int) -> Any:
    """Undo the filter of each row (PNG specification, section 9); returns bytes uint8 [height, line]."""
    rows = np.zeros((height, line), np.uint8)
    above = bytearray(line)
    for index in range(height):
        start = index * (line + 1)
        row = bytearray(raw[start + 1 : start + 1 + line])
        kind = raw[start]
        if kind == 1:
            for i in range(step, line):
                row[i] = (row[i] + row[i - step]) & 255
        elif kind == 2:
            row = bytearray((np.frombuffer(row, np.uint8) + np.frombuffer(above, np.uint8)).tobytes())
        elif kind == 3:
            for i in range(line):
                left = row[i - step] if i >= step else 0
                row[i] = (row[i] + (left + above[i]) // 2) & 255
        elif kind == 4:
            undo_paeth(row, above, step)
        elif kind:
            raise ValueError("unknown filter")
        rows[index] = np.frombuffer(row, np.uint8)
        above = row
    return rows


def undo_paeth(row: bytearray, above: bytearray, step: int) -> None:
    """Undo the Paeth filter of one row in place: the neighbour nearest to left + above - diagonal
    is added.
    """
    for i in range(len(row)):
        up = above[i]
        left, diagonal = (row[i - step], above[i - step]) if i >= step else (0, 0)
        by_left, by_up, by_diagonal = abs(up - diagonal), abs(left - diagonal), abs(left + up - 2 * diagonal)
        if by_left <= by_up and by_left <= by_diagonal:
            nearest = left
        elif by_up <= by_diagonal:
            nearest = up
        else:
            nearest = diagonal
        row[i] = (row[i] + nearest) & 255


def unpacked(rows: Any, width: int, channels: int, depth: int) -> Any:
    """Return the samples [H, W, channels] of packed rows: uint16 for 16 bits, else uint8."""
    height = rows.shape[0]
    if depth == 16:
        return rows.reshape(height, width, channels, 2).astype(np.uint16) @ np.array([256, 1], np.uint16)
    if depth == 8:
        return rows.reshape(height, width, channels)
    bits = np.unpackbits(rows, axis=1).reshape(height, -1, depth)
    samples = bits @ (1 << np.arange(depth - 1, -1, -1)).astype(np.uint8)
    return samples[:, :width].reshape(height, width, channels)


def to_grey(samples: Any, colour: int, depth: int, palette: Any) -> Any:
    """Return grey [H, W]: luma of ITU-R 601 for colour, in the integers that Pillow uses; 16 bits of grey stay.

    Of 16 bits in colour or beside transparency, the upper 8 count, as Pillow reads them.
    """
    if colour == 3:
        return luma(palette[samples[:, :, 0]])
    if colour in (2, 6):
        return luma(samples[:, :, :3] if depth == 8 else samples[:, :, :3] >> 8)
    grey = samples[:, :, 0]
    if depth == 16:
        return grey if colour == 0 else (grey >> 8).astype(np.uint8)
    return (grey * (255 // ((1 << min(depth, 8)) - 1))).astype(np.uint8)


def luma(pixels: Any) -> Any:
    """Return 0.299 R + 0.587 G + 0.114 B of uint8 [H, W, 3], rounded, as uint8 [H, W]."""
    weighted = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)


def encode_png(grey: Any) -> bytes:
    """Return grey uint8 [H, W] as a PNG file that says whose it is."""
    height, width = grey.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), grey], axis=1).tobytes()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 6)),
        (b"IEND", b""),
    ]
    header, pixels, end = [png_chunk(kind, body) for kind, body in chunks]
    before = PNG_SIGNATURE + header + struct.pack(">I", len(MARK) + 64) + b"tEXt" + MARK
    digest = hashlib.sha256(before + pixels + end).hexdigest().encode("ascii")
    return PNG_SIGNATURE + header + png_chunk(b"tEXt", MARK + digest) + pixels + end


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) & 0xFFFFFFFF)


def is_own(path: Path) -> bool:
    """Whether a file is a mask or an overlay as ussearch wrote it: its mark has the SHA-256 of all the rest."""
    if path.is_symlink() or not path.is_file():
        return False
    data = path.read_bytes()
    place = data.find(MARK) + len(MARK)
    rest = data[:place] + data[place + 64 + 4 :]  # without the digest and the checksum of its chunk
    return MARK in data and data[place : place + 64] == hashlib.sha256(rest).hexdigest().encode("ascii")


# ---------------------------------------------------------------- from image to answer


def triangle_weights(source: int, target: int) -> Any:
    """Return the matrix [target, source], rows summing to one, of the antialiased triangle filter."""
    scale = source / float(target)
    centres = (np.arange(target) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(source)[None, :] - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


def resize_plane(plane: Any, height: int, width: int) -> Any:
    """Resample a plane [H, W] to float64 [height, width]."""
    rows = triangle_weights(plane.shape[0], height)
    return rows @ plane.astype(np.float64) @ triangle_weights(plane.shape[1], width).T


def network_input(grey: Any, size: int) -> Any:
    """Return the image stretched to float32 [1, 1, size, size], grey levels 0..255."""
    if grey.shape != (size, size):
        grey = np.clip(np.floor(resize_plane(grey, size, size) + 0.5), 0, 255)
    return grey.astype(np.float32)[None, None]


def probabilities_of(logits: Any) -> Any:
    """Return the probabilities float32 [S, S] of logits [1, 1, S, S]."""
    return (0.5 * (1.0 + np.tanh(0.5 * logits[0, 0]))).astype(np.float32)


def soft_dice_confidence(probabilities: Any) -> float:
    """Return the Dice that the network expects of its own mask; 1 - max(p) where the mask is empty."""
    p = probabilities.astype(np.float64)
    mask = p >= 0.5
    if not mask.any():
        return float(1 - p.max())
    return float(2 * p[mask].sum() / (p.sum() + mask.sum()))


def load_manifest(folder: Path) -> Any:
    """Return the content of bundle.yaml, which is written in the JSON subset of YAML."""
    try:
        return json.loads((folder / "bundle.yaml").read_bytes().decode("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder} holds no readable bundle.yaml: keep run_edge.py in its bundle.") from error


def load_model(folder: Path, manifest: Any) -> Any:
    """Return a session for the edge network, on the GPU where this onnxruntime has one."""
    name = "edge/model.onnx"
    if not intact(folder, name, manifest["files"][name]):
        raise BadInput(f"{name} is missing or changed: copy the bundle again.")
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [provider for provider in wanted if provider in onnxruntime.get_available_providers()]
    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False  # costs up to two thirds more memory and saves no time
    try:
        return onnxruntime.InferenceSession(str(folder / name), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no other base class
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{name} cannot be loaded ({reason}): install onnxruntime 1.10 or newer.") from error


def intact(folder: Path, name: str, digest: str) -> bool:
    """Whether a file of the bundle has the SHA-256 that bundle.yaml gives."""
    path = folder.joinpath(*name.split("/"))
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def segment(session: Any, manifest: Any, grey: Any) -> Dict[str, Any]:
    """Return the input [1, 1, S, S], logits, mask uint8 {0, 1} [H, W], confidence and route of a grey image [H, W]."""
    pixels = network_input(grey, manifest["preprocessing"]["image_size"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, {session.get_inputs()[0].name: pixels})))
    logits = outputs[names[0]]
    probabilities = probabilities_of(logits)
    confidence = soft_dice_confidence(probabilities)
    if "confidence" in outputs:  # the router is in the file
        confidence = float(outputs["confidence"].reshape(-1)[0])
    return {
        "pixels": pixels,
        "logits": logits,
        "mask": edge_mask_in(probabilities, grey.shape, postprocessing_of(manifest, "edge")),
        "confidence": confidence,
        "route": "cloud" if confidence < manifest["router"]["threshold"] else "edge",
    }


def mask_in(probabilities: Any, shape: Tuple[int, int], threshold: float = 0.5) -> Any:
    """Return the mask uint8 {0, 1} in the geometry [H, W] of the image."""
    if probabilities.shape != shape:
        probabilities = resize_plane(probabilities, *shape)
    return (probabilities.astype(np.float64) >= threshold).astype(np.uint8)


def edge_mask_in(probabilities: Any, shape: Tuple[int, int], how: Any) -> Any:
    """Return the edge's mask: what is no lesion on the network's grid is none here; outlines run between its pixels."""
    if how is None:
        return mask_in(probabilities, shape)
    gone = (probabilities >= np.float32(how["threshold"])) & ~lesion_mask(probabilities, how)
    return mask_in(np.where(gone, np.float32(0), probabilities), shape, how["threshold"])


# ---------------------------------------------------------------- from probabilities to lesions


def postprocessing_of(manifest: Any, tier: str) -> Any:
    """Return what becomes of a network's probabilities; None in bundles of before there was any."""
    both = manifest.get("postprocessing")
    return None if both is None else both[tier]


def lesion_mask(probabilities: Any, how: Any) -> Any:
    """Return the mask bool [S, S] of probabilities [S, S] by the bundle's record, the same as everywhere else.

    A pixel at the threshold, a lesion of the smallest size and a presence at its threshold stay; of lesions of one size
    the one that begins first, row by row, counts as the larger.
    """
    mask = probabilities >= np.float32(how["threshold"])
    smallest, presence, most = how["smallest_lesion"], how["presence"], how["most_lesions"]
    if smallest == 1 and presence is None and most is None:
        return mask
    starts, lengths, number = lesions_in(mask, how["connectivity"])
    sizes = np.bincount(number, lengths)
    keeps = sizes >= smallest
    if presence is not None:
        keeps = present(probabilities, mask, (lengths, number), keeps, presence)
    if most is not None:
        keeps[np.argsort(-np.where(keeps, sizes, 0), kind="mergesort")[most:]] = False
    if keeps.all():
        return mask
    padded = np.zeros((mask.shape[0], mask.shape[1] + 1), bool)
    stays = keeps[number]
    fewer = 2 * np.count_nonzero(stays) <= len(stays)  # runs to draw than to erase
    if not fewer:
        padded[:, :-1] = mask
    flat = padded.ravel()
    runs = np.flatnonzero(stays if fewer else ~stays)
    for start, end in zip(starts[runs].tolist(), (starts + lengths)[runs].tolist()):
        flat[start:end] = fewer
    return padded[:, :-1]


def present(probabilities: Any, mask: Any, runs: Any, asked: Any, presence: Any) -> Any:
    """Return which of the lesions that are asked for stay; runs are the pixels and the lesion of each, row by row."""
    part, threshold = max(1, mask.size // 256), presence["threshold"]
    values, of_pixels, sizes = probabilities[mask], np.repeat(runs[1], runs[0]), np.bincount(runs[1], runs[0])
    keeps, surely = asked.copy(), surely_present(presence)
    for lesion in np.flatnonzero(asked):
        if presence_of(min(1.0, float(sizes[lesion]) / part), presence) < threshold:
            keeps[lesion] = False  # too small for any probabilities
            continue
        own = values if len(keeps) == 1 else values[of_pixels == lesion]
        if np.count_nonzero(own >= surely) < part:  # else the peak is at least that
            keeps[lesion] = presence_of(peak_of(own, part), presence) >= threshold
    return keeps


def surely_present(presence: Any) -> Any:
    """Return a probability that is enough for a lesion all of whose surest pixels have it; 2 where none is known."""
    if not 0 < presence["threshold"] < 1:
        return np.float32(2)
    odds = math.log(presence["threshold"] / (1 - presence["threshold"]))
    level = (odds - presence["intercept"]) / presence["slope"] + 1e-3  # a margin for what rounding does to sums
    return np.float32(min(max(level, 0.0), 2.0))


def presence_of(peak: float, presence: Any) -> float:
    """Return the calibrated probability that a lesion with this peak is one."""
    z = min(max(presence["slope"] * peak + presence["intercept"], -60.0), 60.0)
    return float(1.0 / (1.0 + math.exp(-z)))


def peak_of(values: Any, part: int) -> float:
    """Return the mean over the part largest values, missing ones counting 0."""
    if len(values) > part:
        values = np.partition(values, len(values) - part)[len(values) - part :]
    return float(np.sort(values).astype(np.float64).sum() / part)


def lesions_in(mask: Any, connectivity: int) -> Tuple[Any, Any, Any]:
    """Return the runs of pixels of a mask [H, W]: where each begins, its pixels, and the number of its lesion.

    Each run is tied to the first run above that it touches, which makes trees; runs that touch several join trees.
    """
    stride = mask.shape[1] + 1
    padded = np.zeros((mask.shape[0], stride), bool)  # a column apart, so that no run goes on in the next row
    padded[:, :-1] = mask
    flat = padded.ravel()
    changes = np.flatnonzero(np.concatenate([flat[:1], flat[1:] != flat[:-1]]))
    starts, ends = changes[0::2], changes[1::2]
    reach = 1 if connectivity == 8 else 0
    first = np.searchsorted(ends, starts - stride - reach, side="right")
    behind = np.searchsorted(starts, ends - stride + reach, side="left")
    root = np.where(first < behind, first, np.arange(len(starts)))
    while True:
        above = root[root]
        if np.array_equal(above, root):
            break
        root = above
    tree = (np.cumsum(root == np.arange(len(root))) - 1)[root]
    joined = list(range(int(tree.max()) + 1 if len(tree) else 0))
    for run in np.flatnonzero(behind - first > 1):
        for other in tree[first[run] + 1 : behind[run]]:
            one, two = head(joined, int(tree[run])), head(joined, int(other))
            joined[max(one, two)] = min(one, two)
    heads = np.array([head(joined, each) for each in range(len(joined))], np.int64)
    return starts, ends - starts, np.searchsorted(np.unique(heads), heads[tree])


def head(joined: List[int], tree: int) -> int:
    """Return the tree that began first of those that are joined with one."""
    while joined[tree] != tree:
        joined[tree] = joined[joined[tree]]
        tree = joined[tree]
    return tree


# ---------------------------------------------------------------- asking the cloud


class NoAnswer(Exception):
    """The cloud gave no mask; the message is the reason, in the words of ussearch.serving.client.reasons."""


class Breaker:
    """Leaves a failing server alone: FAILURES of the last WINDOW calls, a rest, then one probe that decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.failed = []  # type: List[bool]
        self.opened_s = None  # type: Optional[float]

    def require(self) -> None:
        """Raise NoAnswer where no call may be made."""
        if self.opened_s is not None and self.clock() - self.opened_s < REST_S:
            raise NoAnswer("circuit open")

    def note(self, failed: bool) -> None:
        """Note how a call went."""
        if self.opened_s is not None:
            self.opened_s = self.clock() if failed else None
            return
        self.failed = [*self.failed[1 - WINDOW :], failed]
        if sum(self.failed) >= FAILURES:
            self.failed, self.opened_s = [], self.clock()


class Call(threading.Thread):
    """One question to the server. The thread may hang where no timeout reaches (names are looked up without one);
    who asked waits for ``answer`` no longer than the deadline, and then cuts the connection.
    """

    def __init__(self, cloud: "Cloud", pixels: Any, ends_s: float) -> None:
        super().__init__(daemon=True)
        self.cloud, self.pixels, self.ends_s = cloud, pixels, ends_s
        self.connection = cloud.kept
        cloud.kept = None
        self.answer = queue.Queue()  # type: queue.Queue[Any]

    def run(self) -> None:
        """Put the probabilities [S, S], or the NoAnswer instead of them, into ``answer``."""
        try:
            found = self.cloud.converse(self)  # type: Any
        except NoAnswer as reason:
            found = reason
        except socket.timeout:
            found = NoAnswer("deadline passed")
        except Exception:  # whatever a network does, the image has its mask
            found = NoAnswer("connection lost")
        if isinstance(found, NoAnswer):
            self.cut()
        self.answer.put(found)

    def wait(self) -> Any:
        """Return what ``run`` found, or NoAnswer at the deadline."""
        try:
            found = self.answer.get(timeout=max(0.0, self.ends_s - time.monotonic()))
        except queue.Empty:
            self.cut()
            return NoAnswer("deadline passed")
        self.cloud.kept = self.connection
        return found

    def cut(self) -> None:
        """Close the connection, also under a thread that reads from it."""
        connection, self.connection = self.connection, None
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    def remaining_s(self) -> float:
        """Return the seconds that are left; raises NoAnswer where none are."""
        left = self.ends_s - time.monotonic()
        if left <= 0:
            raise NoAnswer("deadline passed")
        return left


class Cloud:
    """The server that holds the bundle's cloud network, asked by the Open Inference Protocol v2 in binary."""

    def __init__(self, url: str, manifest: Any, deadline_ms: float, token: str = "", authority: str = "") -> None:
        self.secure, self.host, self.port, self.prefix = address(url)
        self.how = postprocessing_of(manifest, "cloud")
        self.digest = served_digest(manifest["files"]["cloud/model.onnx"], self.how)
        self.path = self.prefix + "/v2/models/ussearch-" + self.digest[:12]
        self.deadline_s = deadline_ms / 1000.0
        self.headers = {"Authorization": "Bearer " + token} if token else {}
        self.tls = ssl.create_default_context(cafile=authority or None) if self.secure else None
        self.breaker = Breaker()
        self.kept = None  # type: Any
        self.output = ""
        self.calls = []  # type: List[Call]

    def probabilities(self, pixels: Any) -> Any:
        """Return the cloud's probabilities [S, S] for pixels uint8 [S, S]; raises NoAnswer at the deadline at the
        latest.
        """
        self.breaker.require()
        self.calls = [call for call in self.calls if call.is_alive()]
        if len(self.calls) >= MOST_CALLS:
            raise NoAnswer("too many calls at once")
        call = Call(self, pixels, time.monotonic() + self.deadline_s)
        call.start()
        found = call.wait()
        self.calls.append(call)
        self.breaker.note(failed=isinstance(found, NoAnswer))
        if isinstance(found, NoAnswer):
            raise found
        return found

    def converse(self, call: Call) -> Any:
        """Ask for the outputs, once, and for the mask; in the thread of ``call``."""
        if not self.output:
            outputs = json.loads(self.request(call, "GET", self.path)[0].decode("utf-8"))["outputs"]
            self.output = "mask" if any(output["name"] == "mask" for output in outputs) else outputs[0]["name"]
        side = call.pixels.shape[0]
        key = hashlib.sha256(self.digest.encode() + call.pixels.tobytes()).hexdigest()
        image = {"name": "image", "datatype": "UINT8", "shape": [1, 1, side, side]}  # type: Dict[str, Any]
        image["parameters"] = {"binary_data_size": call.pixels.size}
        output = {"name": self.output, "parameters": {"binary_data": True}}
        text = json.dumps({"id": key, "inputs": [image], "outputs": [output]}).encode()
        headers = {LENGTH: str(len(text)), "Content-Type": "application/octet-stream", "Idempotency-Key": key}
        headers["X-Deadline-Ms"] = str(max(1, int(call.remaining_s() * 1000)))
        body, length = self.request(call, "POST", self.path + "/infer", text + call.pixels.tobytes(), headers)
        try:
            return answered(body, length, key, side, self.how)
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise NoAnswer("corrupt answer") from error

    def request(
        self, call: Call, method: str, path: str, body: Optional[bytes] = None, headers: Any = None
    ) -> Tuple[bytes, str]:
        """Return the body of the answer and the length of its JSON; the server may have closed a kept connection."""
        kept = call.connection is not None
        everything = dict(self.headers, **(headers or {}))
        try:
            response = self.sent(call, method, path, body, everything)
        except (http.client.RemoteDisconnected, ConnectionError):
            if not kept:
                raise
            call.cut()
            response = self.sent(call, method, path, body, everything)
        limit = REST_OF_ANSWER + 4 * call.pixels.size
        content = response.read(limit)
        if response.status != 200:
            raise NoAnswer(refusal(response.status))
        if response.read(1) or response.length:
            raise NoAnswer("connection lost" if len(content) < limit else "corrupt answer")
        return content, response.getheader(LENGTH) or ""

    def sent(self, call: Call, method: str, path: str, body: Optional[bytes], headers: Dict[str, str]) -> Any:
        """Send a request, over the connection that is kept or a new one, and return the head of the answer."""
        if call.connection is None or call.connection.sock is None:
            call.connection = self.connected(call.remaining_s())
        call.connection.sock.settimeout(call.remaining_s())
        call.connection.request(method, path, body, headers)
        return call.connection.getresponse()

    def connected(self, seconds: float) -> Any:
        """Return a new connection."""
        if self.tls is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds)
        else:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=seconds, context=self.tls)
        try:
            connection.connect()
        except socket.timeout:
            raise
        except ssl.SSLError as error:
            raise NoAnswer("TLS refused") from error
        except (OSError, UnicodeError) as error:
            raise NoAnswer("server unreachable") from error
        return connection


def address(url: str) -> Tuple[bool, str, int, str]:
    """Return whether the URL of a server is https, its host, its port and its path."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"{url} is no address of a server: expected http://HOST:PORT.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise BadInput(f"{url} is no address of a server: expected http://HOST:PORT or https://HOST:PORT.")
    secure = parts.scheme == "https"
    return secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/")


def refusal(status: int) -> str:
    """Return the reason that stands for the status of an answer."""
    if status in (429, 503):
        return "server overloaded"
    return "server error" if status >= 500 else "request refused"


def served_digest(model: str, how: Any) -> str:
    """Return the digest by which servers name what they answer with: the model's, with what becomes of its output."""
    if how is None:
        return model
    return hashlib.sha256((model + json.dumps(how, sort_keys=True)).encode()).hexdigest()


def answered(body: bytes, length: str, key: str, side: int, how: Any = None) -> Any:
    """Return the probabilities float32 [side, side] in an answer: a mask's bits, or what becomes of logits."""
    header = json.loads(body[: int(length)].decode("utf-8"))
    if header.get("id", key) not in ("", key):
        raise ValueError("the answer is for another request")
    output = header["outputs"][0]
    bits = output["datatype"] == "UINT8"
    shape = [1, 1, side, (side + 7) // 8 if bits else side]
    if output["shape"] != shape:
        raise NoAnswer("answer of another shape")
    values = np.frombuffer(body, np.uint8 if bits else "<f4", offset=int(length))
    if bits:
        return np.unpackbits(values.reshape(shape[2:]), axis=1)[:, :side].astype(np.float32)
    logits = values.reshape(shape)
    if not np.isfinite(logits).all():
        raise ValueError("logits that are no numbers")
    probabilities = probabilities_of(logits)
    return probabilities if how is None else lesion_mask(probabilities, how).astype(np.float32)


# ---------------------------------------------------------------- self-test


def self_test(folder: Path) -> List[str]:
    """Replay every vector of the bundle; returns what differs, one sentence each."""
    manifest = load_manifest(folder)
    changed = [name for name, digest in sorted(manifest["files"].items()) if not intact(folder, name, digest)]
    if changed:
        return [f"{name} is missing or changed" for name in changed]
    session = load_model(folder, manifest)
    vectors = json.loads((folder / "vectors" / "vectors.json").read_bytes().decode("utf-8"))
    failures = []  # type: List[str]
    for vector in vectors:
        failures += replay(session, manifest, vector, folder / "vectors" / vector["name"])
    return failures


def replay(session: Any, manifest: Any, vector: Any, folder: Path) -> List[str]:
    """Compare one vector's image, logits, mask, confidence and route with what this machine computes."""
    grey = read_grey(folder / "image.png")[0]
    expected = np.load(str(folder / "edge_logits.npy"), allow_pickle=False)
    stored = np.load(str(folder / "input.npy"), allow_pickle=False)
    found = segment(session, manifest, grey)
    failures = []
    if np.abs(network_input(grey, stored.shape[-1]) - stored).max() > 1:
        failures.append(f"{vector['name']}: the resized image differs")
    if np.abs(found["logits"] - expected).max() > LOGIT_TOLERANCE * max(1.0, np.abs(expected).max()):
        failures.append(f"{vector['name']}: the logits differ")
    mask, how = read_grey(folder / "mask.png")[0] > 127, postprocessing_of(manifest, "edge")
    wrong = wrong_pixels(mask, found["mask"], expected, how)
    if wrong and not np.array_equal(found["logits"], expected):  # rounding may decide over a whole lesion
        wrong = wrong_pixels(mask, edge_mask_in(probabilities_of(expected), mask.shape, how), expected, how)
    if wrong:
        failures.append(f"{vector['name']}: {wrong} pixels of the mask differ")
    if abs(found["confidence"] - vector["confidence"]) > 1e-3:
        failures.append(f"{vector['name']}: the confidence differs")
    near = abs(vector["confidence"] - manifest["router"]["threshold"]) < 1e-4
    if found["route"] != vector["route"] and not near:
        failures.append(f"{vector['name']}: the route differs")
    return failures


def wrong_pixels(mask: Any, found: Any, logits: Any, how: Any) -> int:
    """Count the pixels that differ but those whose probability is so near to the threshold that rounding decides."""
    probabilities = probabilities_of(logits)
    if probabilities.shape != mask.shape:
        probabilities = resize_plane(probabilities, *mask.shape)
    threshold = 0.5 if how is None else how["threshold"]
    return int(((mask != found.astype(bool)) & (np.abs(probabilities - threshold) >= PROBABILITY_MARGIN)).sum())


# ---------------------------------------------------------------- command line


def main(arguments: List[str]) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Segment images with the edge network of this bundle.")
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="PNG, PGM or .npy ([H, W]), 8 or 16 bits")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the masks (masks)")
    parser.add_argument("--cloud", metavar="URL", help="server with the cloud network, such as http://10.0.0.2:8080")
    parser.add_argument("--deadline-ms", default=500.0, type=float, help="what an image waits for it at most (500)")
    parser.add_argument("--ca", default="", metavar="FILE", help="authority (PEM) of its certificate")
    parser.add_argument("--self-test", action="store_true", help="replay the bundle's own vectors")
    options = parser.parse_args(arguments)
    if not options.images and not options.self_test:
        parser.error("give an image or --self-test")
    try:
        if options.self_test:
            failures = self_test(HERE)
            show({"self_test": "failed" if failures else "passed", "differences": failures})
            return 1 if failures else 0
        cloud = open_cloud(HERE, options) if options.cloud else None
        out = options.out or default_out(options.images)
        for result in segment_files(HERE, options.images, out, cloud):
            show(result)
    except BadInput as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return 0


def default_out(paths: List[Path]) -> Path:
    """Return the folder of masks where nobody names one; refused among the images, where nothing is written unasked."""
    out = Path("masks")
    beside = [path.parent for path in paths if path.parent.resolve() in out.resolve().parents]
    foreign = [path for path in sorted(out.glob("*")) if not is_own(path)]
    if beside:
        raise BadInput(f"The folder {out} would lie among the images in {beside[0]}: name it, or another, with --out.")
    if foreign:
        raise BadInput(f"{foreign[0]} is not what ussearch wrote: name the folder {out}, or another, with --out.")
    return out


def open_cloud(folder: Path, options: Any) -> Cloud:
    """Return the server of the command line; its bearer token is read from USSEARCH_TOKEN."""
    if not 0 < options.deadline_ms < float("inf"):
        raise BadInput(f"--deadline-ms {options.deadline_ms} is not possible: give milliseconds above 0.")
    token = os.environ.get("USSEARCH_TOKEN", "").strip()
    try:
        return Cloud(options.cloud, load_manifest(folder), options.deadline_ms, token, options.ca)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"{options.ca} holds no certificates: give a PEM file with --ca.") from error


def show(result: Dict[str, Any]) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(result) + "\n")


def segment_files(
    folder: Path, paths: List[Path], out: Path, cloud: Optional[Cloud] = None
) -> Iterator[Dict[str, Any]]:
    """Write the mask of every image and yield what is to be told of it; all images are read, and all places of
    masks looked at, before the first is written: only what ussearch wrote is replaced.
    """
    if folder in (out.resolve(), *out.resolve().parents):
        raise BadInput(f"Masks cannot be written to {out} inside the bundle: choose another folder with --out.")
    if len({path.stem for path in paths}) < len(paths):
        raise BadInput("Two images have the same name: segment them one after the other with different --out.")
    manifest = load_manifest(folder)
    scale = manifest["preprocessing"].get("grey_scale")
    images = [(path, out / f"{path.stem}_mask.png", read_grey(path, scale)) for path in paths]
    for _, target, _ in images:
        if os.path.lexists(str(target)) and not is_own(target):
            raise BadInput(
                f"{target} stands there already and is not what ussearch wrote: choose another folder with --out."
            )
    session = load_model(folder, manifest)
    for path, target, (grey, clipped) in images:
        told = {"image": str(path), "mask": str(target), "clipped": clipped}
        yield dict(told, **segment_file(session, manifest, grey, target, cloud))


def segment_file(session: Any, manifest: Any, grey: Any, target: Path, cloud: Optional[Cloud]) -> Dict[str, Any]:
    """Write the edge's mask of one image, then the cloud's in its place where it is wanted and comes in time."""
    begun_s = time.monotonic()
    found = segment(session, manifest, grey)
    write(target, encode_png(found["mask"] * 255))
    ready_s = time.monotonic()
    routing_off = manifest["router"]["threshold"] <= EVERYTHING_STAYS
    source, reason = "edge", "routing is off" if routing_off else "confident"
    if found["route"] == "cloud":
        try:
            if cloud is None:
                raise NoAnswer("no server given")
            better = cloud.probabilities(found["pixels"][0, 0].astype(np.uint8))
            write(target, encode_png(mask_in(better, grey.shape) * 255))
            source, reason = "cloud", "cloud answered"
        except NoAnswer as failure:
            reason = str(failure)
    told = {"confidence": found["confidence"], "route": found["route"], "source": source, "reason": reason}
    edge_ms, cloud_ms = 1000 * (ready_s - begun_s), 1000 * (time.monotonic() - ready_s)
    return dict(told, edge_ms=round(edge_ms, 3), cloud_ms=round(cloud_ms, 3))


def write(path: Path, data: bytes) -> None:
    """Write a file so that a reader never sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise BadInput(f"Cannot write {path} ({error.strerror}): choose another folder with --out.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
