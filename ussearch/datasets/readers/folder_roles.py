"""What sub-folders mean, told from their names and counts: parts of a split, classes of images, or patients."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Literal, get_args

from ussearch.datasets.dataset import Sample
from ussearch.datasets.readers.base import Listing
from ussearch.datasets.reading import Folders
from ussearch.errors import Answer, Question, UserError

Meaning = Literal["classes", "patients"]
Likeness = Literal["class", "patient", "number", "word"]

FEW_FOLDERS = 10  # more of them are hardly classes
FEW_IMAGES = 10  # fewer are hardly a class
PATIENT_IMAGES = 20  # more are hardly of one patient

_PATIENT = "patients?|pat|pt|pid|p|subjects?|subj|sub|cases?|id|persons?|participants?|volunteers?|donors?|anon"
_PATIENT += "|exams?|stud(?:y|ies)|acc|mrn|animals?|mouse|rat|dog|pig|baby|fetus|phantom"
_CLASS = "class|grade|bi[ _-]?rads|ti[ _-]?rads|o[ _-]?rads|category|cat|stage|type|label|score|level|cls|lu[ _-]?rads"
_KNOWN = (
    "benign|malignant|(?:ab)?normal|(?:un)?healthy|diseased|pathological|cancer|carcinoma|tumou?rs?|nodules?|cysts?"
)
_KNOWN += "|cystic|solid|mass(?:es)?|pos(?:itive)?|neg(?:ative)?|none|background|unknown|unclear|empty|others?|lesions?"
_KNOWN += (
    "|non[ _-]?lesion|fibroadenoma|hcc|hemangioma|covid|pneumonia|breast|thyroid|liver|kidney|heart|cardiac|carotid"
)
_KNOWN += "|nerve|fetal|head|abdomen|femur|brain|lung|prostate|ovary|muscle|left|right|longitudinal|transverse|sagittal"
_KNOWN += "|axial|coronal|cc|mlo"
_CLASS_NAME = re.compile(rf"(?:(?:{_CLASS})[ _.-]*(?:\d{{1,2}}[a-c]?|[ivx]+|[a-e])|{_KNOWN})", re.IGNORECASE)
_PATIENT_NAME = re.compile(rf"(?:{_PATIENT})(?:[ _.-]*\d.*|[ _.-]+[a-z])", re.IGNORECASE)
_YEAR = re.compile(r"\D*(?:19|20)\d\d\D*")
_IDENTIFIER = re.compile(
    r"\D*(?:0\d{2,}|\d{4,}).*"  # numbers that are padded, or large
    r"|\d+(?:\.\d+){2,}|\d{2,4}[-_.]\d{1,2}[-_.]\d{1,4}.*"  # DICOM's identifiers, days
    r"|(?=.*\d)[0-9a-f-]{8,}"
)


def with_roles(listing: Listing, said: str | None = None) -> tuple[tuple[Sample, ...], Folders | None]:
    """Return the samples with what their sub-folders mean, and what these were taken for.

    Where parts of a split hold further folders, that is what these were taken for.

    Args:
        listing: as the reader listed them.
        said: ``split``, ``classes`` or ``patients`` where the user says so; it speaks of the folders that are no parts,
            and of the parts where there are no others.

    Raises:
        Question: names and counts fit several readings and the user has not said which.
        UserError: ``said`` is none of the three, a split without folders named so, or there are no such folders.
    """
    samples, folders = listing.samples, listing.folders
    if said is not None and said not in get_args(Folders):
        raise UserError(f"Sub-folders cannot be {said!r}: expected split, classes or patients.")
    has_parts = any(sample.part for sample in samples)
    if said == "split" and not has_parts:
        raise UserError("Sub-folders cannot be a split: none is named train, val or test; rename them so.")
    if not any(folders.values()):
        if said in ("classes", "patients") and not (has_parts and folders):
            raise UserError(
                f"Sub-folders cannot be {said}: there are none whose meaning is open; leave the option out."
            )
        if said not in ("classes", "patients"):
            made = _without_lone_part(samples)
            return made, "split" if any(sample.part for sample in made) and folders else None
        folders = {sample.id: (sample.part,) if sample.part else () for sample in samples}
        samples = [replace(sample, part=None) for sample in samples]
    meaning = _meanings([folders.get(sample.id, ()) for sample in samples], samples, said)
    samples = list(_without_lone_part(samples))
    made = tuple(_with_folders(sample, folders.get(sample.id, ()), meaning) for sample in samples)
    return made, "patients" if "patients" in meaning else "classes"


def _without_lone_part(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples without parts where all lie in ``train``, which divides nothing."""
    lone = {sample.part for sample in samples} == {"train"}
    return tuple(replace(sample, part=None) if lone else sample for sample in samples)


def _with_folders(sample: Sample, folders: tuple[str, ...], meaning: Sequence[Meaning]) -> Sample:
    named = list(zip(folders, meaning, strict=False))
    label = "/".join(name for name, what in named if what == "classes") or None
    patient = next((name for name, what in named if what == "patients"), None)
    return replace(sample, label=label, patient=sample.patient or patient)


def _meanings(places: Sequence[tuple[str, ...]], samples: Sequence[Sample], said: str | None) -> list[Meaning]:
    """Return what the folders of each level mean; below patients only what is named as classes counts."""
    depth = max(map(len, places))
    found: list[Meaning] = []
    for level in range(depth):
        counts = Counter(place[level] for place in places if len(place) > level)
        meaning = _likely(counts)
        if said == "classes":
            meaning = "classes"
        elif "patients" in found:
            if any(_likeness(name) != "class" for name in counts):
                break
        elif said == "patients" and (meaning is None or level == depth - 1):
            meaning = "patients"
        if meaning is None:
            raise _question(level, places, samples)
        found.append(meaning)
    return found


def _likely(counts: Mapping[str, int]) -> Meaning | None:
    """Return what folders with so many images each mean; None where two readings fit."""
    kinds = {_likeness(name) for name in counts}
    usual = median(counts.values())
    if kinds == {"class"} or (len(counts) <= FEW_FOLDERS and kinds == {"class", "word"}):
        return "classes"
    if "patient" in kinds and kinds <= {"patient", "number"}:
        return "patients"
    if len(counts) == 1:
        return "classes"
    if len(counts) > FEW_FOLDERS:
        return "patients" if usual <= PATIENT_IMAGES and "class" not in kinds else None
    if kinds == {"number"} and len(counts) > FEW_FOLDERS / 2 and usual < FEW_IMAGES:
        return "patients"
    return "classes" if kinds == {"word"} and usual > PATIENT_IMAGES and min(map(len, counts)) > 2 else None


def _likeness(name: str) -> Likeness:
    """Return what a folder's name looks like; a number may count classes or patients."""
    if _CLASS_NAME.fullmatch(name):
        return "class"
    if _PATIENT_NAME.fullmatch(name):
        return "patient"
    if not any(letter.isdigit() for letter in name):
        return "word"
    return "patient" if _IDENTIFIER.fullmatch(name.lower()) and not _YEAR.fullmatch(name) else "number"


def _question(level: int, places: Sequence[tuple[str, ...]], samples: Sequence[Sample]) -> Question:
    images: Counter[str] = Counter()
    masks: defaultdict[str, int] = defaultdict(int)
    for place, sample in zip(places, samples, strict=True):
        if len(place) > level:
            images[place[level]] += 1
            masks[place[level]] += len(sample.masks)
    return Question(
        f"{len(images)} sub-folders may be classes of images or patients, by their names and counts",
        ("folder", "images", "masks"),
        [(name, images[name], masks[name]) for name in sorted(images)],
        [
            Answer("images of one folder share a class", {"folders": "classes"}),
            Answer("images of one folder show one patient and stay together", {"folders": "patients"}),
        ],
    )
