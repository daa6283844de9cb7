"""What is told of a data set to those who must not learn who is in it: numbers for images, no name of a file or folder.

Names of files and folders are often those of patients. A study keeps them; a bundle, its card and a report (without
``--names``) do not. An image is called by its index, the number that ``split.json`` has for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ussearch.datasets.splits import Split

FEWEST_IMAGES = 5
"""A label of fewer images says more of a person than of a class."""
_IDENTIFIER = re.compile(
    r"\d{3,}"  # a number given to somebody, or a year
    r"|\d{1,2}[-._ ]\d{1,2}[-._ ]\d{2}"  # a day
    r"|(?<![a-z])(patient|pat|pid|mrn|subject|subj|sub|person|proband|case)[-_ ]*\d"
    r"|(?<![a-z])(patient|subject|proband|mr|mrs|ms|miss|dr)[-._ ]+[a-z]",
    re.IGNORECASE,
)
_DIVIDED = re.compile(r", divided further with seed \d+$")
_OWN_SPLIT = re.compile(r"([\d.e-]+/){3}[\d.e-]+ %, seed \d+|fold \d+ of \d+, seed \d+")


def image_name(index: int) -> str:
    """Return what an image is called, such as ``image 17``."""
    return f"image {index}"


def data_name(reader: str, fingerprint: str) -> str:
    """Return what a data set is called instead of its folder, such as ``busi-3f9a12bcd0e1``."""
    return f"{reader}-{fingerprint[:12]}"


def looks_like_identifier(label: str) -> bool:
    """Tell whether a label may be the name of somebody rather than of a class."""
    return _IDENTIFIER.search(label) is not None


def class_names(labels: Sequence[str | None]) -> Mapping[str, str]:
    """Return by label, of all images of a data set, what its class is called.

    A label of fewer than five images, or one that looks like an identifier, becomes ``class 1``, ``class 2``, …
    """
    images = Counter(label for label in labels if label is not None)
    free = (name for name in (f"class {number}" for number in count(1)) if name not in images)
    return {
        label: next(free) if images[label] < FEWEST_IMAGES or looks_like_identifier(label) else label
        for label in sorted(images)
    }


def split_source(source: str) -> str:
    """Return how a split came about; one that somebody gave is called ``a given split``, whatever its file's name."""
    if _OWN_SPLIT.fullmatch(source):
        return source
    divided = _DIVIDED.search(source)
    return f"a given split{divided.group() if divided else ''}"


def numbered_split(split: Split, ids: Sequence[str]) -> Split:
    """Return the same split without names: torn groups are told by the indices of their images in ``ids``."""
    index = {identity: str(number) for number, identity in enumerate(ids)}
    index |= {number: number for number in index.values()}  # of a split that was numbered before
    torn = tuple(tuple(index.get(member, "?") for member in group) for group in split.leaking_groups)
    return replace(split, source=split_source(split.source), leaking_groups=torn)
