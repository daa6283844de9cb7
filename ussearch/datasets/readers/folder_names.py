"""What the names of folders and files say: images or masks, the part of a split, whose mask a file is."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Literal

Role = Literal["images", "masks", "derived"]

_IMAGES = "images image imgs img pictures pics frames frame scans scan original originals raw input inputs"
_IMAGES += " jpegimages pngimages us ultrasound bmode sonograms photos"
_MASKS = "masks mask labels label annotations annotation ann anns anno gt gts groundtruth groundtruths manual"
_MASKS += " segmentationclass segmentation segmentations seg segs target targets roi rois"
_DERIVED = "overlay overlays visualization visualizations visualisation visualisations vis viz preview previews"
_DERIVED += " prediction predictions predicted pred preds heatmap heatmaps thumbnail thumbnails thumbs blended"
_DERIVED += " segmentationobject"  # of PASCAL VOC: the instances of what SegmentationClass shows
_COMPOUND = "images image imgs img jpegimages masks mask labels label annotations annotation gt groundtruth"
_COMPOUND += " segmentation segmentations seg segmentationclass"  # meant so in longer names, too
_FILLERS = "set data dataset datasets all png jpg jpeg tif tiff bmp dcm dicom folder dir files final"
_WORDS: dict[str, Role] = dict.fromkeys(_MASKS.split(), "masks")
_WORDS |= dict.fromkeys(_IMAGES.split(), "images")
_WORDS |= dict.fromkeys(_DERIVED.split(), "derived")

PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "calibration": ("calibration", "cal"),
    "test": ("test", "testing"),
}
"""Usual spellings of a split's parts; the first ones are the program's own."""
PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}
PART_OF |= {"trainval": "train", "tr": "train", "trn": "train", "dev": "validation", "va": "validation"}
PART_OF |= {"ts": "test", "tst": "test", "te": "test", "calib": "calibration"}
"""The part that a spelling means, in small letters."""

_MASK_WORDS = "masks?|segmentations?|segm?|labels?|lbl|annotations?|ann|gts?|manual|ground[ _.-]?truth"
_BEHIND = re.compile(rf"(?:(?P<image>.+?)[ _.-]+)?(?P<word>{_MASK_WORDS})(?:[ _.-]*\(?\d+\)?)?", re.IGNORECASE)
_BEFORE = re.compile(rf"(?P<word>{_MASK_WORDS})(?:[ _.-]+(?:of[ _.-]+)?|(?=\d))(?P<image>.+)", re.IGNORECASE)
_IMAGE_WORDS = "images?|imgs?|frame|scan|us|original|orig|raw"
_IMAGE_BEHIND = re.compile(rf"(?:(?P<image>.+?)[ _.-]+)?(?:{_IMAGE_WORDS})", re.IGNORECASE)
_IMAGE_BEFORE = re.compile(rf"(?:{_IMAGE_WORDS})(?:[ _.-]+|(?=\d))(?P<image>.+)", re.IGNORECASE)
_DERIVED_BEHIND = re.compile(rf"(?P<image>.+)[ _.-](?:{'|'.join(_DERIVED.split())})(?:[ _.-]?\d+)?", re.IGNORECASE)
_CHANNEL = re.compile(r"(?P<image>.+)_(?P<channel>\d{4})")
_WORD_ENDS = re.compile(r"(?<=[a-z])(?=[A-Z])|[ _.\-]+")


@dataclass(frozen=True)
class FolderName:
    """What a folder's name says.

    Attributes:
        role: whether images, masks, or pictures made of both are below it; None where the name does not tell.
        part: the part of a split that it names, None where it names none.
        rest: what else it says, such as a class or a patient; empty where nothing is left.
        plain: whether it is one of the plainest words for its role and nothing else, which no class is called.
    """

    role: Role | None
    part: str | None
    rest: str
    plain: bool


@cache
def folder_name(name: str) -> FolderName:
    """Return what ``name`` says, such as images and train of ``train_images`` or masks and test of ``labelsTs``."""
    words = [word for word in _WORD_ENDS.split(unicodedata.normalize("NFC", name)) if word]
    telling = [word for word in words if word.lower() not in _FILLERS.split()] or words
    role, others = _role(telling)
    parts = [PART_OF[word.lower()] for word in others if word.lower() in PART_OF]
    rest = [word for word in others if word.lower() not in PART_OF]
    numbered = bool(rest) and rest[0].isdigit() and not any(word.lower().endswith("s") for word in telling)
    if len(parts) > 1 or len(rest) > 1 or (rest and role is None) or numbered:  # scan_01 is no folder of scans
        return FolderName(None, None, name, False)
    plain = not others and "".join(telling).lower() in _COMPOUND.split()
    return FolderName(role, parts[0] if parts else None, "".join(rest), plain)


def _role(words: list[str]) -> tuple[Role | None, list[str]]:
    """Return the role that words name, if any, and the other words; masks count more than images."""
    small = [word.lower() for word in words]
    whole = _WORDS.get("".join(small))
    if whole is not None:
        return whole, []
    found: dict[Role, None] = {}
    used: set[int] = set()
    for first in range(len(words)):
        for last in range(len(words), first, -1):
            word = "".join(small[first:last])
            role = _WORDS.get(word)
            if role is not None and (word in _COMPOUND.split() or role == "derived"):
                found[role] = None
                used |= set(range(first, last))
                break
    if list(found) == ["derived"] and len(used) < len(words):
        return None, words  # such as a class that is called so
    others = [word for place, word in enumerate(words) if place not in used]
    return next((role for role in ("derived", "masks", "images") if role in found), None), others


def plain_name(stem: str) -> str:
    """Return a stem as it is compared: one spelling of letters with accents."""
    return unicodedata.normalize("NFC", stem)


def mask_readings(stem: str) -> list[tuple[str, str]]:
    """Return what the mask's stem may have in common with its image's, the longest first, and how it is named.

    ``x`` of ``x_mask``, ``x_seg_1`` and ``mask_x``; an empty text of ``mask``; nothing of any other stem.
    """
    patterns = (("before", _BEFORE), ("behind", _BEHIND))
    found = [
        (match["image"] or "", f"{place} {match['word'].lower()}")
        for place, pattern in patterns
        if (match := pattern.fullmatch(stem))
    ]
    return sorted(found, key=lambda reading: -len(reading[0]))


def mask_cores(stem: str) -> list[str]:
    """Return what the mask's stem may have in common with its image's, the longest first."""
    return [core for core, _ in mask_readings(stem)]


def image_cores(stem: str) -> list[str]:
    """Return what the image's stem may have in common with its mask's, besides the whole of it."""
    patterns = (_CHANNEL, _IMAGE_BEHIND, _IMAGE_BEFORE)
    return list(dict.fromkeys(match["image"] or "" for each in patterns if (match := each.fullmatch(stem))))


def derived_from(stem: str) -> str | None:
    """Return the image's stem in the stem of a picture that shows what was found in it (``x_overlay``), or None."""
    match = _DERIVED_BEHIND.fullmatch(stem)
    return match["image"] if match else None


def channel(stem: str) -> tuple[str, str] | None:
    """Return the case and the channel of a stem as nnU-Net names images (``us_012_0000``); None for any other."""
    match = _CHANNEL.fullmatch(stem)
    return (match["image"], match["channel"]) if match else None
