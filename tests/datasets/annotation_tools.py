"""Ten scenes with outlines, and the same annotations as tools write them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image, ImageDraw

HEIGHT, WIDTH = 96, 128
FINER = 8
"""How much finer the reference is drawn; a pixel belongs to a part that covers half of it."""


@dataclass(frozen=True)
class Part:
    """A drawn part: its label and the corners of its outline, [N, 2]."""

    label: str
    corners: np.ndarray

    @property
    def flat(self) -> list[float]:
        """The corners as one list."""
        return [round(float(value), 3) for value in self.corners.ravel()]


@dataclass(frozen=True)
class Scene:
    """One image; the last one of a set shows nothing."""

    name: str
    image: np.ndarray
    parts: tuple[Part, ...]

    def mask(self, *labels: str) -> np.ndarray:
        """Return what the parts cover, drawn finely and made coarse: bool [H, W]."""
        canvas = Image.new("1", (WIDTH * FINER, HEIGHT * FINER))
        for part in self.parts:
            if not labels or part.label in labels:
                corners = [(x * FINER - 0.5, y * FINER - 0.5) for x, y in part.corners]
                ImageDraw.Draw(canvas).polygon(corners, fill=1)
        fine = np.asarray(canvas, float).reshape(HEIGHT, FINER, WIDTH, FINER)
        return fine.mean(axis=(1, 3)) >= 0.5


def scenes(count: int = 10, labels: Sequence[str] = ("lesion",), seed: int = 0) -> list[Scene]:
    """Return images with a part of each label, the second inside of the first; the last image shows nothing."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        parts = []
        centre, radii = random.uniform([45, 35], [80, 60]), random.uniform([16, 13], [30, 25])
        for depth, label in enumerate(labels):
            angle = np.sort(random.uniform(0, 2 * np.pi, 24))
            shrunk = radii * 0.4**depth
            corners = centre + np.stack([np.cos(angle), np.sin(angle)], 1) * shrunk
            parts.append(Part(label, corners))
        image = random.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
        found.append(Scene(f"scan{number:02d}.png", image, tuple(parts if number < count - 1 else ())))
    return found


def write_images(folder: Path, found: Sequence[Scene]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for scene in found:
        Image.fromarray(scene.image).save(folder / scene.name, "PNG")


def runs_by_columns(mask: np.ndarray) -> list[int]:
    """Return COCO's run lengths, counted one by one."""
    return runs_of(mask.T.ravel())


def runs_of(values: np.ndarray) -> list[int]:
    runs, current = [0], False
    for value in values.tolist():
        if bool(value) != current:
            runs.append(0)
            current = bool(value)
        runs[-1] += 1
    return runs


DEFAULT = "annotations/instances_default.json"


def coco(root: Path, found: Sequence[Scene], *, rle: bool = False, name: str = DEFAULT) -> Path:
    write_images(root / "images", found)
    labels = sorted({part.label for scene in found for part in scene.parts})
    annotations = []
    for number, scene in enumerate(found):
        for part in scene.parts:
            drawn = Scene(scene.name, scene.image, (part,)).mask()
            segmentation = {"size": [HEIGHT, WIDTH], "counts": runs_by_columns(drawn)} if rle else [part.flat]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": labels.index(part.label) + 1,
                    "segmentation": segmentation,
                    "iscrowd": int(rle),
                    "bbox": [0, 0, 1, 1],
                }
            )
    content = {
        "images": [
            {"id": number, "file_name": scene.name, "height": HEIGHT, "width": WIDTH}
            for number, scene in enumerate(found)
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels, start=1)],
    }
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))
    return root


def coco_rle(root: Path, found: Sequence[Scene]) -> Path:
    return coco(root, found, rle=True)


def labelme(root: Path, found: Sequence[Scene], *, masks: bool = False) -> Path:
    write_images(root, found)
    for scene in found:
        shapes = []
        for part in scene.parts:
            shape: dict[str, object] = {"label": part.label, "shape_type": "polygon", "flags": {}}
            shape["points"] = part.corners.round(3).tolist()
            if masks:
                drawn = Scene(scene.name, scene.image, (part,)).mask()
                rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
                box = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                file = io.BytesIO()
                Image.fromarray(box.astype(np.uint8) * 255).save(file, "PNG")
                corners = [[int(columns[0]), int(rows[0])], [int(columns[-1]), int(rows[-1])]]
                shape |= {"shape_type": "mask", "points": corners, "mask": base64.b64encode(file.getvalue()).decode()}
            shapes.append(shape)
        content = {"version": "5.5.0", "imagePath": scene.name, "imageData": None, "shapes": shapes}
        content |= {"imageHeight": HEIGHT, "imageWidth": WIDTH}
        (root / scene.name).with_suffix(".json").write_text(json.dumps(content))
    return root


def labelme_masks(root: Path, found: Sequence[Scene]) -> Path:
    return labelme(root, found, masks=True)


def cvat(root: Path, found: Sequence[Scene], *, masks: bool = False) -> Path:
    write_images(root / "images", found)
    lines = ["<?xml version='1.0' encoding='utf-8'?>", "<annotations>", "<version>1.1</version>", "<meta/>"]
    for number, scene in enumerate(found):
        lines.append(f'<image id="{number}" name="{scene.name}" width="{WIDTH}" height="{HEIGHT}">')
        for part in scene.parts:
            label = quoteattr(part.label)
            if masks:
                drawn = Scene(scene.name, scene.image, (part,)).mask()
                runs = ", ".join(map(str, runs_of(drawn.ravel())))
                place = f'left="0" top="0" width="{WIDTH}" height="{HEIGHT}"'
                lines.append(f'<mask label={label} source="manual" occluded="0" rle="{runs}" {place} z_order="0"/>')
            else:
                points = ";".join(f"{x:.3f},{y:.3f}" for x, y in part.corners)
                lines.append(f'<polygon label={label} occluded="0" points="{points}" z_order="0"></polygon>')
        lines.append("</image>")
    (root / "annotations.xml").write_text("\n".join([*lines, "</annotations>"]), encoding="utf-8")
    return root


def cvat_masks(root: Path, found: Sequence[Scene]) -> Path:
    return cvat(root, found, masks=True)


def yolo(root: Path, found: Sequence[Scene]) -> Path:
    write_images(root / "images", found)
    labels = sorted({part.label for scene in found for part in scene.parts})
    (root / "labels").mkdir()
    (root / "data.yaml").write_text("names:\n" + "".join(f"  {n}: {label}\n" for n, label in enumerate(labels)))
    for scene in found:
        lines = []
        for part in scene.parts:
            shares = part.corners / [WIDTH, HEIGHT]
            lines.append(f"{labels.index(part.label)} " + " ".join(f"{value:.6f}" for value in shares.ravel()))
        (root / "labels" / scene.name).with_suffix(".txt").write_text("\n".join(lines))
    return root


Writer = Callable[[Path, Sequence[Scene]], Path]
OUTLINES: dict[str, Writer] = {"coco": coco, "labelme": labelme, "cvat": cvat, "yolo": yolo}
RASTERS: dict[str, Writer] = {"coco": coco_rle, "labelme": labelme_masks, "cvat": cvat_masks}
