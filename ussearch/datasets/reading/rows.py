"""How the files of a data set are read, in words: for the terminal, the plan, and the pages."""

from __future__ import annotations

from collections.abc import Iterator

from ussearch.datasets.checking.report import ImageFormats
from ussearch.datasets.counts import Losses
from ussearch.datasets.reading.model import Reading


def format_row(formats: ImageFormats) -> tuple[str, str]:
    """Return what the image files are."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in formats.kinds.items()) or "none could be read"
    turned = f"; {formats.turned} turned upright (EXIF)" if formats.turned else ""
    alpha = f"; alpha of {formats.with_alpha} ignored" if formats.with_alpha else ""
    return "files", f"{kinds}; values {formats.low:g} to {formats.high:g}{turned}{alpha}"


def reading_rows(reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield how the files of a data set are read, a title and a sentence each."""
    scale = reading.grey_scale
    basis = {
        "depth": "the files' depth",
        "window": "the window that all files share",
        "percentiles": "0.1 and 99.9 % of the training part",
        "given": "--grey-scale",
    }[scale.basis]
    yield "grey scale", f"{scale.low:g} to {scale.high:g} become black to white ({basis})"
    masks = reading.masks
    for meaning in ("lesion", "background"):
        labels = [
            f"{row.title} ({row.pixels:,} pixels in {row.masks} masks)"
            for row in masks.labels
            if row.meaning == meaning
        ]
        if labels:
            yield f"labels that are {meaning}", ", ".join(labels)
    if masks.noise:
        yield (
            "noise of the masks",
            f"{_counted(masks.noise, 'level')} beside them, {_counted(masks.noise_pixels, 'pixel')}, as JPEG and soft "
            "edges leave; read as the nearest label",
        )
    if reading.fill_outlines:
        yield "outlines", "filled (--fill-outlines)"
    if masks.alpha:
        yield "alpha", "carries the masks"
    if masks.palette_colours:
        yield "palettes", "read by their colours, not by their indices"
    if reading.region != "largest":
        yield "DICOM region", reading.region
    if reading.cut_pixels:
        yield (
            "cut off by the region",
            f"{_counted(reading.cut_pixels, 'annotated pixel')} of {_counted(reading.cut_images, 'image')} (--region "
            "says otherwise)",
        )
    if reading.own_masks:
        yield (
            "not annotated",
            f"{_counted(reading.own_masks, 'mask')} as ussearch infer wrote: networks would learn from what a network "
            "said",
        )
    if reading.groups is not None:
        yield "kept together by", reading.groups


def loss_rows(losses: Losses | None) -> Iterator[tuple[str, str]]:
    """Yield what the way to the network lost, a title and a sentence each; nothing where nothing was lost."""
    if losses is not None and losses.lesions_lost:
        yield (
            "lost by the size",
            f"{losses.lesions_lost:,} of {_counted(losses.lesions, 'lesion')} vanish; "
            f"{_counted(losses.images_without, 'image')} count as without lesion: a larger --image-size keeps more",
        )
    if losses is not None and losses.clipped_values:
        values = _counted(losses.clipped_values, "value")
        yield "beyond the grey scale", f"{values} of {_counted(losses.clipped_images, 'image')}, clipped"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
