"""The manifest of a data set, to be corrected and read again in place of its folders."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from ussearch.datasets.annotations import Drawing
from ussearch.datasets.dataset import Dataset, Sample
from ussearch.datasets.readers import READERS
from ussearch.errors import UserError

HEAD = ("image", "mask", "patient", "class", "split", "spacing")


def manifest_text(dataset: Dataset, folder: Path | None = None) -> str:
    """Return a table with a row for each image, which the reader ``manifest`` makes the same samples of.

    Images without a mask have none: ``not_in_manifest`` counts them.

    Args:
        dataset: any that was opened from files.
        folder: where the table will lie, ``dataset.root`` or a folder above it, which then begins the ids; None is
            ``dataset.root``.

    Raises:
        UserError: ``folder`` does not hold all files; a name that such a table cannot express; masks that may be
            outlines, which only their own reader fills.
    """
    if dataset.reader in READERS and READERS[dataset.reader].outlines:
        raise UserError(
            f"Masks of the layout {dataset.reader} may be outlines, filled while they are read, which a manifest "
            f"cannot say: give {dataset.root} itself."
        )
    if any(isinstance(mask, Drawing) for sample in dataset.samples for mask in sample.masks):
        raise UserError(
            f"The annotations of {dataset.root} are shapes ({dataset.reader}), which a manifest cannot name: "
            f"give {dataset.root} itself."
        )
    base = dataset.root if folder is None else folder
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for sample in dataset.samples:
        masks = [_below(base, mask) for mask in sample.files[1:]]
        if len(masks) > 1 and any(";" in mask for mask in masks):
            raise UserError(
                f"Masks of {sample.id} have a semicolon in their names, which separates masks: rename them."
            )
        writer.writerow(
            [
                _below(base, sample.image),
                ";".join(masks),
                sample.patient or "",
                sample.label or "",
                sample.part or "",
                _spacing(sample),
            ]
        )
    return text.getvalue()


def not_in_manifest(dataset: Dataset) -> str | None:
    """Return what people are told of the images that ``manifest_text`` leaves out; None where it has all.

    Nobody can tell an image without a lesion from one whose mask was forgotten, and an empty cell would decide it.
    """
    missing = [problem.file for problem in dataset.problems if problem.kind == "missing mask"]
    if not missing:
        return None
    counted = "1 image without a mask is" if len(missing) == 1 else f"{len(missing)} images without a mask are"
    return f"{counted} not in it (first: {missing[0]}): add rows, with an empty cell for mask where no lesion is shown."


def _below(base: Path, file: Path) -> str:
    """Return the path of ``file`` below ``base``, as it is named: links are not followed."""
    place = Path(os.path.relpath(file.absolute(), base.absolute()))
    if ".." in place.parts or place.is_absolute():
        raise UserError(f"{file} lies outside of {base}, where the manifest would be: write it into a folder above.")
    return place.as_posix()


def _spacing(sample: Sample) -> str:
    return "x".join(repr(side) for side in sample.spacing_mm) if sample.spacing_mm else ""
