#!/usr/bin/env python3
# ruff: noqa: UP006, UP035
# NOTE: this file runs on the board: Python 3.6 syntax, standard library, numpy and onnxruntime only.
"""Segment images with the edge network of the bundle that this file lies in.

    python3 run_edge.py IMAGE... [--out DIR]     masks as PNG, in the size of each image (PNG, PGM or .npy)
    python3 run_edge.py --self-test              replay the bundle's own vectors

For each image one line of JSON is printed: the mask's file, the confidence and the route. Route "cloud"
means that the edge's mask is the answer until a better one arrives.
"""

import argparse
import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
PIXEL_LIMIT = 64000000
LOGIT_TOLERANCE = 1e-3
PROBABILITY_MARGIN = 1e-3
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


class BadInput(Exception):
    """Something given cannot be used; the message is one sentence that names the mend."""


# ---------------------------------------------------------------- images


def read_grey(path: Path) -> Any:
    """Return the image at path (PNG, PGM or .npy) as grey uint8 [H, W]."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"Cannot read {path} ({error.strerror}): give the path of an image.") from error
    try:
        if data.startswith(PNG_SIGNATURE):
            return decode_png(data)
        if data[:2] in (b"P5", b"P2"):
            return decode_pgm(data)
        if data.startswith(b"\x93NUMPY"):
            return checked_array(np.load(str(path), allow_pickle=False))
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error
    except (ValueError, IndexError, KeyError, struct.error, zlib.error, EOFError) as error:
        raise BadInput(f"{path} is truncated or damaged: give an intact copy.") from error
    raise BadInput(f"{path} is neither PNG, PGM nor .npy: convert it to PNG.")


def checked_array(array: Any) -> Any:
    """Return the array where it is a grey image uint8 [H, W]."""
    if array.dtype != np.uint8 or array.ndim != 2 or not array.size:
        raise BadInput(f"holds {array.dtype} {list(array.shape)}, expected uint8 [H, W]: convert it.")
    return array


def check_size(width: int, height: int) -> None:
    """Refuse sizes that cannot be an image, before memory is taken for them."""
    if width < 1 or height < 1 or width * height > PIXEL_LIMIT:
        raise BadInput(f"is {width} x {height} pixels, expected at most {PIXEL_LIMIT} in all: reduce it.")


def decode_pgm(data: bytes) -> Any:
    """Decode a PGM of 8 bits, plain (P2) or raw (P5)."""
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
    if not 0 < top < 256:
        raise BadInput(f"is a PGM with {top + 1} grey levels, expected at most 256: convert it to 8 bits.")
    if fields[0] == b"P5":
        pixels = np.frombuffer(data, np.uint8, width * height, position + 1)
    else:
        pixels = np.array(data[position:].split()[: width * height], dtype=np.int64)
    levels = pixels.reshape(height, width).astype(np.float64)
    return np.clip(np.floor(levels * (255.0 / top) + 0.5), 0, 255).astype(np.uint8)


def decode_png(data: bytes) -> Any:
    """Decode a non-interlaced PNG of any colour type to grey uint8 [H, W]; transparency is ignored."""
    header, palette, packed = png_chunks(data)
    width, height, depth, colour, _, _, interlace = header
    check_size(width, height)
    if interlace:
        raise BadInput("is an interlaced PNG, which this runner cannot decode: save it without interlacing.")
    channels = PNG_CHANNELS[colour]
    line = (width * channels * depth + 7) // 8
    raw = zlib.decompressobj().decompress(packed, (line + 1) * height)
    if len(raw) < (line + 1) * height:
        raise ValueError("too little data")
    rows = unfiltered(raw, height, line, max(1, channels * depth // 8))
    return to_grey(unpacked(rows, width, channels, depth), colour, depth, palette)


def png_chunks(data: bytes) -> Tuple[Any, Any, bytes]:
    """Return the header's fields, the palette uint8 [N, 3] (or None) and the compressed pixels."""
    header, palette, packed = None, None, []  # type: Any, Any, List[bytes]
    position = len(PNG_SIGNATURE)
    while True:
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        body = data[position + 8 : position + 8 + length]
        checksum = struct.unpack(">I", data[position + 8 + length : position + 12 + length])[0]
        if zlib.crc32(kind + body) & 0xFFFFFFFF != checksum:
            raise ValueError("checksum")
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"PLTE":
            palette = np.frombuffer(body, np.uint8).reshape(-1, 3)
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"IEND":
            return header, palette, b"".join(packed)
        position += 12 + length


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
    """Return grey uint8 [H, W]: luma of ITU-R 601 for colour, in the integers that Pillow uses."""
    if colour == 3:
        return luma(palette[samples[:, :, 0]])
    if colour in (2, 6):
        return luma(samples[:, :, :3] if depth == 8 else samples[:, :, :3] >> 8)
    grey = samples[:, :, 0]
    if depth == 16:
        top = next(scale for scale in (255, 1023, 4095, 65535) if grey.max() <= scale)
        return np.floor(grey * (255.0 / top) + 0.5).astype(np.uint8)
    return (grey * (255 // ((1 << min(depth, 8)) - 1))).astype(np.uint8)


def luma(pixels: Any) -> Any:
    """Return 0.299 R + 0.587 G + 0.114 B of uint8 [H, W, 3], rounded, as uint8 [H, W]."""
    weighted = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)


def encode_png(grey: Any) -> bytes:
    """Return grey uint8 [H, W] as a PNG file."""
    height, width = grey.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), grey], axis=1).tobytes()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 6)),
        (b"IEND", b""),
    ]
    parts = [PNG_SIGNATURE]
    for kind, body in chunks:
        parts += [struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(kind + body) & 0xFFFFFFFF)]
    return b"".join(parts)


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
    """Return probabilities [S, S], mask uint8 {0, 1} [H, W], confidence and route of a grey image [H, W]."""
    size = manifest["preprocessing"]["image_size"]
    logits = session.run(None, {session.get_inputs()[0].name: network_input(grey, size)})[0]
    probabilities = probabilities_of(logits)
    confidence = soft_dice_confidence(probabilities)
    return {
        "logits": logits,
        "mask": mask_in(probabilities, grey.shape),
        "confidence": confidence,
        "route": "cloud" if confidence < manifest["router"]["threshold"] else "edge",
    }


def mask_in(probabilities: Any, shape: Tuple[int, int]) -> Any:
    """Return the mask uint8 {0, 1} in the geometry [H, W] of the image."""
    if probabilities.shape != shape:
        probabilities = resize_plane(probabilities, *shape)
    return (probabilities >= 0.5).astype(np.uint8)


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
    grey = read_grey(folder / "image.png")
    expected = np.load(str(folder / "edge_logits.npy"), allow_pickle=False)
    stored = np.load(str(folder / "input.npy"), allow_pickle=False)
    found = segment(session, manifest, grey)
    failures = []
    if np.abs(network_input(grey, stored.shape[-1]) - stored).max() > 1:
        failures.append(f"{vector['name']}: the resized image differs")
    if np.abs(found["logits"] - expected).max() > LOGIT_TOLERANCE * max(1.0, np.abs(expected).max()):
        failures.append(f"{vector['name']}: the logits differ")
    mask = read_grey(folder / "mask.png") > 127
    wrong = int((mask != found["mask"].astype(bool)).sum() - undecided(expected, mask, found["mask"]))
    if wrong:
        failures.append(f"{vector['name']}: {wrong} pixels of the mask differ")
    if abs(found["confidence"] - vector["confidence"]) > 1e-3:
        failures.append(f"{vector['name']}: the confidence differs")
    near = abs(vector["confidence"] - manifest["router"]["threshold"]) < 1e-4
    if found["route"] != vector["route"] and not near:
        failures.append(f"{vector['name']}: the route differs")
    return failures


def undecided(logits: Any, mask: Any, found: Any) -> int:
    """Count the pixels that differ where the probability is so near to 0.5 that rounding decides."""
    probabilities = probabilities_of(logits)
    if probabilities.shape != mask.shape:
        probabilities = resize_plane(probabilities, *mask.shape)
    return int(((mask != found.astype(bool)) & (np.abs(probabilities - 0.5) < PROBABILITY_MARGIN)).sum())


# ---------------------------------------------------------------- command line


def main(arguments: List[str]) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Segment images with the edge network of this bundle.")
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="PNG, PGM or .npy (uint8 [H, W])")
    parser.add_argument("--out", default=Path("masks"), type=Path, metavar="DIR", help="folder of the masks")
    parser.add_argument("--self-test", action="store_true", help="replay the bundle's own vectors")
    options = parser.parse_args(arguments)
    if not options.images and not options.self_test:
        parser.error("give an image or --self-test")
    try:
        if options.self_test:
            failures = self_test(HERE)
            show({"self_test": "failed" if failures else "passed", "differences": failures})
            return 1 if failures else 0
        for result in segment_files(HERE, options.images, options.out):
            show(result)
    except BadInput as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return 0


def show(result: Dict[str, Any]) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(result) + "\n")


def segment_files(folder: Path, paths: List[Path], out: Path) -> List[Dict[str, Any]]:
    """Write the mask of every image; all images are read before the first mask is written."""
    if folder in (out.resolve(), *out.resolve().parents):
        raise BadInput(f"Masks cannot be written to {out} inside the bundle: choose another folder with --out.")
    if len({path.stem for path in paths}) < len(paths):
        raise BadInput("Two images have the same name: segment them one after the other with different --out.")
    images = [(path, read_grey(path)) for path in paths]
    manifest = load_manifest(folder)
    session = load_model(folder, manifest)
    results = []
    for path, grey in images:
        found = segment(session, manifest, grey)
        target = out / f"{path.stem}_mask.png"
        write(target, encode_png(found["mask"] * 255))
        answer = {"image": str(path), "mask": str(target)}
        answer.update(confidence=found["confidence"], route=found["route"])
        results.append(answer)
    return results


def write(path: Path, data: bytes) -> None:
    """Write a file so that a reader never sees half of it."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise BadInput(f"Cannot write {path} ({error.strerror}): choose another folder with --out.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
