"""Which images stay together, where the user says so: by folder, by a pattern in their names, or by a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ussearch.datasets.dataset import Sample
from ussearch.datasets.readers.base import Listing
from ussearch.datasets.tables import spelling
from ussearch.errors import UserError

FOLDER = "folder"
NAMED = "patient"
_EXPECTED = f"expected {FOLDER!r}, a pattern with one group such as '(?P<{NAMED}>\\d+)_', or a column of images.csv"


def with_groups(samples: Sequence[Sample], listing: Listing, said: str) -> tuple[Sample, ...]:
    """Return ``samples`` with the group that the user named as their patient.

    Args:
        samples: in any order.
        listing: what the reader found.
        said: ``folder``, the one that an image lies in; a regular expression, searched in the id, whose group
            (``patient``, or its only one) is the patient; or the name of a column of the manifest.

    Raises:
        UserError: none of these, a pattern that is wrong or does not match an image, one group for all images.
    """
    name = _by_folder(listing) if said == FOLDER else _by_column(listing, said) or _by_pattern(said)
    made = tuple(replace(sample, patient=name(sample) or None) for sample in samples)
    if len(made) > 1 and len({sample.patient for sample in made}) == 1:
        raise UserError(f"Groups {said!r} put all {len(made)} images into one: {_EXPECTED} that tells them apart.")
    return made


def _by_folder(listing: Listing) -> Callable[[Sample], str]:
    def name(sample: Sample) -> str:
        return "/".join(listing.folders.get(sample.id, ())) or PurePosixPath(sample.id).parent.as_posix()

    return name


def _by_column(listing: Listing, said: str) -> Callable[[Sample], str] | None:
    names = {name for row in listing.columns.values() for name in row}
    fitting = [name for name in sorted(names) if name == said] or [
        name for name in sorted(names) if spelling(name) == spelling(said) and "(" not in said
    ]
    return (lambda sample: listing.columns[sample.id].get(fitting[0], "")) if fitting else None


def _by_pattern(said: str) -> Callable[[Sample], str]:
    try:
        pattern = re.compile(said)
    except re.error as error:
        raise UserError(f"Groups {said!r} are no pattern ({error}): {_EXPECTED}.") from error
    if NAMED not in pattern.groupindex and pattern.groups != 1:
        raise UserError(f"Groups {said!r} name {pattern.groups} groups of a pattern: {_EXPECTED}.")
    group = NAMED if NAMED in pattern.groupindex else 1

    def name(sample: Sample) -> str:
        match = pattern.search(sample.id)
        if not match or not match[group]:
            raise UserError(f"Groups {said!r} do not match the image {sample.id}: {_EXPECTED} that fits all.")
        return match[group]

    return name
