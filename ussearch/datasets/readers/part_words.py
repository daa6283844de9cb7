"""Parts of a split that are only one word of a folder's name, such as ``cohort_train`` beside ``cohort_test``."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ussearch.datasets.dataset import Sample
from ussearch.datasets.readers.name_kinds import is_date, likeness
from ussearch.errors import Answer, Question, UserError

Places = Mapping[str, tuple[str, ...]]

_TAIL = "(?:s|sets?|data|daten|datasets?|datensatz|satz|menge|cases|images|imgs|cohort|split|part)?"
_WORDS = {
    "train": "train(?:ing)?s?|trainval",
    "validation": "val|valid|validation|validierungs?|eval|evaluation",
    "calibration": "calib|calibration",
    "test": "test(?:ing)?|hold[ _-]?out|extern(?:al|e[rs]?)?|unseen|prüfs?|pruefs?",
}
_NOT = r"[^\W\d_]"  # a letter
_EDGE = rf"(?:(?<!{_NOT})|(?<=[a-zà-ÿ])(?=[A-Z]))"
_PART_WORDS = {
    part: re.compile(rf"{_EDGE}(?i:(?:{words}){_TAIL})(?:(?!{_NOT})|(?<=[a-zà-ÿ])(?=[A-Z]))")
    for part, words in _WORDS.items()
}
_EXTERNAL = re.compile(r"extern|unseen|hold[ _-]?out", re.IGNORECASE)
_REST = re.compile(r"development|derivation|discovery|intern(?:al|e[rs]?)?", re.IGNORECASE)  # beside a test part


@dataclass(frozen=True)
class PartWord:
    """The part of a split that a name contains, and what else the name says."""

    part: str
    rest: str


def part_word(name: str) -> PartWord | None:
    """Return the part that a word of ``name`` names; None where none does, or several do."""
    name = unicodedata.normalize("NFC", name)
    parts = [part for part, words in _PART_WORDS.items() if words.search(name)]
    if parts == ["validation", "test"] and _EXTERNAL.search(name):  # an external validation is a test
        parts = ["test"]
    if len(parts) != 1:
        return None
    return PartWord(parts[0], _PART_WORDS[parts[0]].sub("", name).strip(" _.-"))


def with_part_words(samples: Sequence[Sample], folders: Places, said: str | None) -> tuple[list[Sample], Places]:
    """Return the samples with the parts that words of their folders name, and the folders that remain.

    A level of folders is a split where the names of all contain a part, or where the user says so (``split``).

    Raises:
        Question: some names contain a part, some do not.
        UserError: ``said`` is ``split``, and a folder beside parts names none.
    """
    there = {sample.part for sample in samples if sample.part}
    open_ones = [sample for sample in samples if not sample.part]
    for level in range(max((len(folders.get(sample.id, ())) for sample in open_ones), default=0)):
        inside = [sample for sample in open_ones if len(folders[sample.id]) > level]
        names = sorted({folders[sample.id][level] for sample in inside})
        words = {name: word for name in names if (word := part_word(name))}
        parts = {word.part for word in words.values()} | there
        if said == "split" and (words or (there and level == 0)):
            words = {name: words.get(name) or _rest(name, names) for name in names}
        elif not words or len(names) + len(there) == 1:
            continue
        elif len(words) < len(names):
            if said is None:
                raise _question(level, inside, folders, words)
            continue
        elif len(parts) == 1:
            continue
        return _divided(samples, folders, level, words)
    return list(samples), folders


def _rest(name: str, names: Sequence[str]) -> PartWord:
    if _REST.search(name):
        return PartWord("train", _REST.sub("", name).strip(" _.-"))
    raise UserError(
        f"Sub-folders cannot be a split: {name}/ (of {len(names)}) names no part; rename it so that it has the word "
        "train, val or test, or name the parts in an images.csv or with --split-file."
    )


def _divided(
    samples: Sequence[Sample], folders: Places, level: int, words: Mapping[str, PartWord]
) -> tuple[list[Sample], Places]:
    """Return samples and folders where names of one level became parts; classes or patients in them are kept."""
    rests = {word.rest for word in words.values()}
    kinds = {"date" if is_date(rest) else likeness(rest) for rest in rests}
    keep = len({rest.casefold() for rest in rests}) > 1 and kinds in ({"class"}, {"patient"})
    made, left = [], dict(folders)
    for sample in samples:
        names = folders.get(sample.id, ())
        word = None if sample.part or len(names) <= level else words[names[level]]
        if word:
            left[sample.id] = (*names[:level], *([word.rest] if keep else []), *names[level + 1 :])
        made.append(replace(sample, part=word.part) if word else sample)
    return made, left


def _question(level: int, samples: Sequence[Sample], folders: Places, words: Mapping[str, PartWord]) -> Question:
    images = Counter(folders[sample.id][level] for sample in samples)
    masks: Counter[str] = Counter()
    for sample in samples:
        masks[folders[sample.id][level]] += len(sample.masks)
    unnamed = next((name for name in sorted(images) if name not in words and not _REST.search(name)), None)
    rename = f" (rename {unnamed}/ first, which names none)" if unnamed else ""
    return Question(
        f"{len(images)} sub-folders may be parts of a split, classes of images or patients, by their names",
        ("folder", "images", "masks"),
        [(name, images[name], masks[name]) for name in sorted(images)],
        [
            Answer(f"folders are parts of a split{rename}", {"folders": "split"}),
            Answer("images of one folder share a class", {"folders": "classes"}),
            Answer("images of one folder show one patient and stay together", {"folders": "patients"}),
        ],
    )
