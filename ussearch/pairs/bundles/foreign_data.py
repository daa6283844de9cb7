"""A bundle on other data than its own: the tables of its card, and where the images are not like those of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ussearch import schema
from ussearch.datasets import ImageSet, ReadingOptions, Split, open_dataset, prepare, settled
from ussearch.datasets.anonymous import data_name
from ussearch.datasets.counts import DataCounts, counts_of
from ussearch.datasets.reading import Reading
from ussearch.errors import UserError
from ussearch.files import sha256_of, write_atomically
from ussearch.own_files import refuse_foreign
from ussearch.pairs.bundles.bundle import UNUSED, Bundle
from ussearch.pairs.bundles.data_statistics import ImageStatistics
from ussearch.pairs.bundles.evaluation import evaluate_pair
from ussearch.pairs.bundles.manifest import MetricsEntry
from ussearch.runtime.integrity import MANIFEST


class ForeignEvaluation(BaseModel):
    """What a bundle is worth on a data set: ``evaluation.json``. It names no file and no folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str = Field(description="SHA-256 of its bundle.yaml")
    data: str = Field(description="layout and fingerprint")
    fingerprint: str
    counts: DataCounts = Field(description="all images are in the part test")
    reading: Reading | None
    statistics: ImageStatistics
    own_images: dict[str, int] | None = Field(
        default=None,
        description="how many of the images the bundle was made from, by their part there; None where it does not tell",
    )
    warnings: tuple[str, ...]
    metrics: MetricsEntry


def foreign_images(
    bundle: Bundle, data: Path, asked: ReadingOptions | None = None, cache_dir: Path | None = None
) -> ImageSet:
    """Return the data set in ``data`` as the bundle's networks have to see it.

    What is lesion the files tell, or the user; grey scale and region are the bundle's, as for ``infer``, unless they
    are ``asked`` for. There may be no lesion at all. Raises UserError as ``open_dataset`` and ``settled``, and where
    the files are deeper than those that the networks learnt from.
    """
    options = asked or ReadingOptions()
    dataset = settled(open_dataset(data, options.reader, folders=options.folders, groups=options.groups), options)
    read = bundle.manifest.preprocessing
    if dataset.reading is not None:
        given: dict[str, object] = {}
        if options.grey_scale is None and read.grey_scale is not None:
            if read.grey_scale.is_plain and not dataset.reading.grey_scale.is_plain:
                raise UserError(
                    f"The files of {data} have more than 8 bits but the networks learnt from 8-bit images: give the "
                    "values that are black and white in them with --grey-scale LOW,HIGH, or convert them."
                )
            given["grey_scale"] = read.grey_scale
        if options.region is None:
            given["region"] = read.region
        dataset = dataset.read_by(dataset.reading.model_copy(update=given))
    return prepare(dataset, read.image_size, cache_dir, unmarked=True)


def evaluate_on(bundle: Bundle, images: ImageSet) -> ForeignEvaluation:
    """Return what the bundle is worth on all of ``images``, prepared by ``foreign_images``."""
    everything = tuple(range(len(images)))
    split = Split.of({"test": everything}, "all images", images.fingerprint)
    own = bundle.own_images(images)
    return ForeignEvaluation(
        bundle=sha256_of(bundle.folder / MANIFEST),
        data=data_name(images.reader, images.fingerprint),
        fingerprint=images.fingerprint,
        counts=counts_of(images, split),
        reading=images.reading,
        statistics=ImageStatistics.of(images, everything),
        own_images=own,
        warnings=tuple(_warnings(bundle, images, own)),
        metrics=evaluate_pair(bundle.predictor(), images, split),
    )


def _warnings(bundle: Bundle, images: ImageSet, own: dict[str, int] | None) -> Iterator[str]:
    """Yield what keeps the figures from saying what the bundle is worth on these images."""
    known = bundle.manifest.data
    if own:
        yield _own_told(own, len(images))
    elif images.fingerprint == known.fingerprint:
        yield "This is the data set that the bundle was made from: figures on images that it learnt from flatter."
    elif own is None:
        yield (
            "The bundle, of an older version, does not tell its images one by one: whether some of these are among "
            "them is not known."
        )
    if not images.has_lesion.any():
        yield "No image has a lesion: false positives and specificity are all that can be told."
    elif images.has_lesion.all():
        yield "No image is without a lesion: nothing is told of false positives."
    if known.statistics is None:
        yield "The bundle does not tell what its training images look like: whether these are alike is not known."
    else:
        yield from known.statistics.differences(images, range(len(images)))


def _own_told(own: dict[str, int], images: int) -> str:
    """Return what is told of images that a bundle was made from."""
    parts = ", ".join(f"{part} {count}" for part, count in own.items())
    flatter = "figures on images that it learnt from, or was chosen by, flatter"
    told = flatter if set(own) - {"test", UNUSED} else "none of them taught it, but they are no other data"
    return f"{sum(own.values())} of the {images} images are those that the bundle was made from ({parts}): {told}."


def default_record(bundle: Bundle, evaluation: ForeignEvaluation) -> Path:
    """Return where the record is written where nobody says so: beside the bundle, named by the data."""
    place = bundle.folder.resolve()
    return place.with_name(f"{place.name}-on-{evaluation.data}.json")


def require_record(bundle: Bundle, path: Path) -> None:
    """Raise UserError where no record can be written to ``path``: inside the bundle, or over somebody else's file."""
    if bundle.folder.resolve() in path.resolve().parents:
        raise UserError(f"{path} is inside the bundle, which no file may be added to: choose another place with --out.")
    refuse_foreign([path], "give the record another name with --out", _is_record)


def write_record(evaluation: ForeignEvaluation, path: Path) -> None:
    """Write the record, whole or not at all."""
    write_atomically(path, schema.EVALUATION.to_json(evaluation, indent=2) + "\n")


def read_record(path: Path) -> ForeignEvaluation:
    """Read what ``write_record`` wrote; raises OSError, ValueError and UserError."""
    return ForeignEvaluation.model_validate(schema.EVALUATION.read(path))


def _is_record(path: Path) -> bool:
    try:
        read_record(path)
    except (OSError, ValueError, UserError):
        return False
    return True
