"""Patients as tables name them: numbers that spreadsheets rewrote, and DICOM files that say otherwise."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from ussearch.datasets.dataset import Sample
from ussearch.datasets.dicom import patients_in
from ussearch.runtime.frames import RASTER_SUFFIXES

_WHOLE = re.compile(r"(\d+)[.,]0+")


def plain_number(cell: str) -> str:
    """Return a cell without the decimals that spreadsheets give whole numbers: ``7`` of ``7.0``."""
    match = _WHOLE.fullmatch(cell)
    return match[1] if match else cell


def written_in_two_ways(patients: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the numbers that are written differently though they are equal, such as ``7`` and ``007``."""
    spellings: defaultdict[int, set[str]] = defaultdict(set)
    for patient in patients:
        if patient.isdecimal():
            spellings[int(patient)].add(patient)
    return [tuple(sorted(own, key=len)) for _, own in sorted(spellings.items()) if len(own) > 1]


def contradiction(samples: Sequence[Sample]) -> str | None:
    """Return in which numbers the patients of a table and of its DICOM files contradict each other; None if not.

    Names of patients are not compared, only which images they hold together.
    """
    found = patients_in(each.image for each in samples if each.image.suffix.lower() not in RASTER_SUFFIXES)
    joined: defaultdict[str, set[str]] = defaultdict(set)
    divided: defaultdict[str, set[str]] = defaultdict(set)
    for sample in samples:
        own = found.get(sample.image)
        if own is not None and sample.patient is not None:
            joined[sample.patient].add(own)
            divided[own].add(sample.patient)
    several = sum(len(each) > 1 for each in joined.values())
    apart = sum(len(each) > 1 for each in divided.values())
    if not several and not apart:
        return None
    return (
        f"of its patients {several} hold several Patient IDs, and {apart} Patient IDs are divided among several of them"
    )
