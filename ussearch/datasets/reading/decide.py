"""From a data set as found to one whose files can be read: a survey of all of them, and one decision for the set."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ussearch.datasets.annotations import Drawing
from ussearch.datasets.cache import cache_folder
from ussearch.datasets.dataset import Dataset
from ussearch.datasets.files import FileSource
from ussearch.datasets.fingerprint import fingerprint_of
from ussearch.datasets.opening import open_dataset
from ussearch.datasets.reading.grey_decision import decide_grey_scale, given_scale, is_dark
from ussearch.datasets.reading.label_table import decide_labels
from ussearch.datasets.reading.mask_doubts import ask_about_doubtful
from ussearch.datasets.reading.model import MaskReading, Reading, ReadingOptions
from ussearch.datasets.reading.region_decision import LARGEST, crop_loss, decide_region, required_region
from ussearch.datasets.reading.survey import FileProgress, ImageFacts, SampleFacts, survey
from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.runtime.grey_scale import GreyScale

MANY_DARK = 0.1  # of all images
DECISION_VERSION = 4  # raise it whenever the same files are read otherwise


def settled(dataset: Dataset, options: ReadingOptions | None = None, progress: FileProgress | None = None) -> Dataset:
    """Return ``dataset`` with its reading decided; one that is decided, or made up, is returned as it is.

    What was decided for the same files and options is remembered in the cache.

    Raises:
        Question: files that admit several readings.
        UserError: an option that cannot be meant, masks that are none.
    """
    asked = options or ReadingOptions()
    if dataset.reading is not None or not isinstance(dataset.source, FileSource):
        return dataset
    key = hashlib.sha256(f"{DECISION_VERSION} {fingerprint_of(dataset)} {json.dumps(asdict(asked))}".encode())
    store = cache_folder() / "readings" / f"{key.hexdigest()[:32]}.json"
    try:
        reading = Reading.model_validate_json(store.read_bytes())
    except (OSError, ValueError):
        facts = surveyed(dataset, asked, progress)
        reading = decide(dataset, facts, asked)
        with contextlib.suppress(UserError):  # what cannot be remembered only costs time
            write_atomically(store, reading.model_dump_json())
    return dataset.read_by(reading)


def surveyed(dataset: Dataset, asked: ReadingOptions, progress: FileProgress | None = None) -> list[SampleFacts]:
    """Look at all files, once the options are known to mean something; raises UserError where they do not."""
    if asked.grey_scale is not None:
        given_scale(asked.grey_scale)
    region = LARGEST if asked.region is None else required_region(asked.region)
    return survey(dataset.samples, region, progress)


def decide(dataset: Dataset, facts: Sequence[SampleFacts], asked: ReadingOptions) -> Reading:
    """Return how the files of a data set are read, from what all of them hold; raises as ``settled``."""
    images = {s.id: each.image for s, each in zip(dataset.samples, facts, strict=True) if each.image is not None}
    _require_pictures(dataset, images)
    masks = _masks(dataset, facts, asked)
    scale = decide_grey_scale(list(images.values()), asked.grey_scale)
    if asked.grey_scale is None:
        _require_one_depth(images, scale)
    region = decide_region(facts, masks, asked.region)
    loss = crop_loss(facts, masks, region)
    return Reading(
        grey_scale=scale,
        masks=masks,
        region=region,
        cut_pixels=loss.pixels,
        cut_images=loss.images,
        fill_outlines=asked.fill_outlines,
        own_masks=sum(each.own_masks for each in facts),
        folders=dataset.folders,
        groups=asked.groups,
    )


def _masks(dataset: Dataset, facts: Sequence[SampleFacts], asked: ReadingOptions) -> MaskReading:
    """Decide which labels are lesion, and ask about masks that look like something else."""
    found = [mask for each in facts for mask in each.masks]
    files = [
        str(name)
        for sample, each in zip(dataset.samples, facts, strict=True)
        for name in (sample.masks or (sample.id,))[: len(each.masks)]
    ]
    drawn = any(isinstance(mask, Drawing) for each in dataset.samples for mask in each.masks)
    masks = decide_labels(found, asked.lesion, dataset.label_names, drawn=drawn)
    filled = asked.fill_outlines or (isinstance(dataset.source, FileSource) and dataset.source.outlines)
    ask_about_doubtful(files, found, masks, filled)
    return masks


def _require_pictures(dataset: Dataset, images: Mapping[str, ImageFacts]) -> None:
    if images and all(image.is_blank for image in images.values()):
        raise UserError(
            f"All {len(images)} images of {dataset.root} hold one grey level each, where pictures were expected: "
            "nothing can be learnt; export them again."
        )


def _require_one_depth(images: Mapping[str, ImageFacts], scale: GreyScale) -> None:
    """Raise UserError where many images would be black by the scale that fits the others."""
    dark = [name for name, image in images.items() if is_dark(image, scale)]
    if len(dark) > MANY_DARK * len(images):
        raise UserError(
            f"{len(dark)} of {len(images)} images lie wholly below a twelfth of the grey scale {scale.low:g} to "
            f"{scale.high:g}, as images of another depth do (first: {dark[0]}): convert all to one depth, or give "
            "--grey-scale LOW,HIGH."
        )


def fitted(dataset: Dataset, train: Collection[str]) -> Dataset:
    """Return ``dataset`` with a grey scale by percentiles fitted on the images whose ids are in ``train`` alone.

    Other scales do not depend on values, and stay.
    """
    if dataset.reading is None or dataset.reading.grey_scale.basis != "percentiles":
        return dataset
    facts = survey([replace(sample, masks=()) for sample in dataset.samples if sample.id in train])
    scale = decide_grey_scale([each.image for each in facts if each.image is not None])
    return dataset.read_by(dataset.reading.model_copy(update={"grey_scale": scale}))


def as_read(reading: Reading | None, root: Path, reader: str | None = None) -> Dataset:
    """Open the data set in ``root`` and read its files as they were read before.

    Without a ``reading``, that of a study of an older version, the files decide. Raises UserError as ``open_dataset``.
    """
    if reading is None:
        return settled(open_dataset(root, reader))
    return open_dataset(root, reader, folders=reading.folders, groups=reading.groups).read_by(reading)
