"""What a network's file shows of images, what both networks score on them, and how that is kept."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from ussearch.datasets import ImageSet
from ussearch.errors import UserError
from ussearch.evaluators import THRESHOLD
from ussearch.files import write_atomically
from ussearch.hardware_profiles import load_onnx
from ussearch.pairs.routing.graph import FEATURES, with_features
from ussearch.runtime.decision import soft_dice_confidence
from ussearch.runtime.masks import dice_of
from ussearch.runtime.onnx_network import OnnxNetwork, sigmoid
from ussearch.runtime.postprocessing import Postprocessing, dice_of_masks

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BOUND = 0.5
"""Largest gain that counts, in Dice: of an image on which only one network finds the lesion, more teaches nothing."""
ARRAYS = ("groups", "networks", "edge_dice", "cloud_dice", "sdc", "mean_entropy", "flip", "features")
COLUMNS = ("id", "group", "network", "edge_dice", "cloud_dice", "sdc", "mean_entropy", "flip")


@dataclass(frozen=True)
class Samples:
    """N images; Dice is that of the masks that users get, and counts 1 where prediction and truth are both empty.

    ``groups`` [N] are equal for images of one patient and for near-duplicates. ``networks`` [N] numbers the edge
    network that predicted each. ``sdc`` [N] is the Soft Dice Confidence, ``mean_entropy`` [N] in bits,
    ``flip`` [N] the Dice of the mask with that of the mirrored image; ``features`` [N, F] has the columns ``names``.
    """

    ids: tuple[str, ...]
    groups: Integers
    networks: Integers
    edge_dice: Floats
    cloud_dice: Floats
    sdc: Floats
    mean_entropy: Floats
    flip: Floats
    features: Floats
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def gain(self) -> Floats:
        """Dice of the cloud less that of the edge [N], within ``BOUND`` either way: what a router learns."""
        return np.clip(self.cloud_dice - self.edge_dice, -BOUND, BOUND)

    def column(self, name: str) -> Floats:
        """Return one feature [N]."""
        return self.features[:, self.names.index(name)]

    def chosen(self, indices: Integers | npt.NDArray[np.bool_]) -> Samples:
        """Return some of the images."""
        numbers = np.arange(len(self))[indices]
        arrays = {name: getattr(self, name)[numbers] for name in ARRAYS}
        return Samples(ids=tuple(self.ids[number] for number in numbers), names=self.names, **arrays)

    def write(self, path: Path) -> None:
        """Write one line an image to the CSV file at ``path``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*COLUMNS, *self.names])
        columns = [getattr(self, name) for name in ARRAYS[:-1]]
        for number, name in enumerate(self.ids):
            figures = [column[number].item() for column in columns] + self.features[number].tolist()
            writer.writerow([name, *(f"{each:.7g}" if isinstance(each, float) else each for each in figures)])
        write_atomically(path, text.getvalue())

    @classmethod
    def read(cls, path: Path) -> Samples:
        """Read what ``write`` wrote; raises UserError."""
        try:
            head, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
            if tuple(head[: len(COLUMNS)]) != COLUMNS:
                raise ValueError("other columns")
            values = np.array([[float(value) for value in row[1:]] for row in rows]).reshape(len(rows), len(head) - 1)
        except (OSError, ValueError, IndexError) as error:
            raise UserError(
                f"{path} is no table of routed images ({error}): expected {', '.join(COLUMNS)} and features; delete "
                "it, and the same command makes it again."
            ) from error
        plain = len(COLUMNS) - 1
        arrays = dict(zip(ARRAYS, values[:, :plain].T, strict=False)) | {"features": values[:, plain:]}
        for name in ("groups", "networks"):
            arrays[name] = arrays[name].astype(np.int64)
        return cls(ids=tuple(row[0] for row in rows), names=tuple(head[len(COLUMNS) :]), **arrays)


def pooled(parts: Sequence[Samples]) -> Samples:
    """Return all images of ``parts``, which have the same features."""
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    return Samples(ids=tuple(name for part in parts for name in part.ids), names=parts[0].names, **arrays)


Pixels = npt.NDArray[np.uint8]


def collect_features(
    edge_file: Path,
    cloud_dice: Floats,
    images: ImageSet,
    chosen: Sequence[int],
    *,
    network: int = 0,
    postprocessing: Postprocessing | None = None,
) -> Samples:
    """Run the edge network's file on the images ``chosen``, whose Dice by the cloud network is ``cloud_dice`` [N].

    ``postprocessing`` is that of the edge network, of whose masks its Dice is. Features and the other scores are those
    of its logits, which is what the router sees on the device.
    """
    model, names = with_features(load_onnx(edge_file))
    pixels: Pixels = np.asarray(images.images[list(chosen)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        runner = OnnxNetwork(path)
        logits, features = runner.run(pixels, runner.outputs[0], FEATURES)
        mirrored = runner.probabilities(np.ascontiguousarray(pixels[..., ::-1]))
    probabilities = sigmoid(logits)
    return Samples(
        ids=tuple(images.ids[index] for index in chosen),
        groups=np.asarray(images.groups[list(chosen)], np.int64),
        networks=np.full(len(chosen), network, np.int64),
        edge_dice=dice_of_masks(probabilities, images.masks[list(chosen)], postprocessing),
        cloud_dice=cloud_dice,
        sdc=soft_dice_confidence(probabilities),
        mean_entropy=mean_entropy(probabilities),
        flip=flip_agreement(probabilities, mirrored),
        features=features.reshape(len(chosen), len(names)).astype(np.float64),
        names=names,
    )


def mean_entropy(probabilities: npt.NDArray[np.float32]) -> Floats:
    """Return the mean over pixels of the binary entropy in bits [N] of ``probabilities`` [N, 1, H, W]."""
    flat = probabilities.reshape(len(probabilities), int(np.prod(probabilities.shape[1:]))).astype(np.float64)
    inner = np.clip(flat, 1e-12, 1 - 1e-12)
    return np.asarray(-(inner * np.log2(inner) + (1 - inner) * np.log2(1 - inner)).mean(axis=1))


def flip_agreement(probabilities: npt.NDArray[np.float32], mirrored: npt.NDArray[np.float32]) -> Floats:
    """Return the Dice [N] of the masks of ``probabilities`` [N, 1, H, W] with those of the ``mirrored`` images.

    ``mirrored`` are the probabilities of the images flipped from left to right; 1 where both masks are empty.
    """
    return dice_of(probabilities, (mirrored[..., ::-1] >= THRESHOLD).astype(np.uint8))
