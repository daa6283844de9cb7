"""What a folder's name looks like: a class, a person, a number, a day, or a copy of another."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

Likeness = Literal["class", "patient", "number", "word"]

_PERSON = "patients?|pat|pt|pid|p|subjects?|subj|sub|cases?|persons?|participants?|volunteers?|donors?|anon|mrn"
_PERSON += "|animals?|mouse|rat|dog|pig|baby|fetus|phantom"
_PATIENT = f"{_PERSON}|id|exams?|stud(?:y|ies)|acc"
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
_NUMBERED = r"(?:[ _.-]*\(?\d.*|[ _.-]+[a-z])"
_PATIENT_NAME = re.compile(rf"(?:{_PATIENT}){_NUMBERED}", re.IGNORECASE)
_PERSON_NAME = re.compile(rf"(?:{_PERSON}){_NUMBERED}", re.IGNORECASE)
_YEAR = re.compile(r"\D*(?:19|20)\d\d\D*")
_IDENTIFIER = re.compile(
    r"\D*(?:0\d{2,}|\d{4,}).*"  # numbers that are padded, or large
    r"|\d+(?:\.\d+){2,}|\d{2,4}[-_.]\d{1,2}[-_.]\d{1,4}.*"  # DICOM's identifiers, days
    r"|(?=.*\d)[0-9a-f-]{8,}"
)
_Y, _M, _D = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_SESSION = "(?:scans?|sessions?|exams?|stud(?:y|ies)|visits?|dates?|days?|us|export|am|pm|morning|noon|evening)"
_DATE = re.compile(
    rf"(?:{_SESSION}[ _.-]*)?"
    rf"(?:{_Y}|{_Y}[-_. ]{_M}|{_Y}([-_. ]){_M}\1{_D}|{_Y}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    rf"|{_D}([-_. ]){_M}\2(?:{_Y}|\d\d)|\d\d([-_. ]){_M}\3{_D})"
    rf"(?:[ _.t-]+\(?\d{{1,2}}(?:[-_.:h]?\d\d)?(?:[-_.:]?\d\d)?\)?|[ _.-]*{_SESSION})?",  # with a time or a number
    re.IGNORECASE,
)
_DAY = re.compile(
    rf"(?<!\d)(?:{_Y}([-_. ]?){_M}\1{_D}|{_D}([-_. ]){_M}\2{_Y})(?:[ _.t-]+\d\d[-_.:h]?\d\d(?:[-_.:]?\d\d)?)?(?!\d)",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"(?: - |[ _-]+)(?:kopie|copy|copie|copia)(?:[ _]?\(?\d+\)?)?(?![^\W_])| \(\d+\)|^(?:kopie von|copy of|copie de) ",
    re.IGNORECASE,
)


def likeness(name: str) -> Likeness:
    """Return what a folder's name looks like; a number may count classes or patients."""
    if _CLASS_NAME.fullmatch(name):
        return "class"
    if _PATIENT_NAME.fullmatch(name):
        return "patient"
    if not any(letter.isdigit() for letter in name):
        return "word"
    return "patient" if _IDENTIFIER.fullmatch(name.lower()) and not _YEAR.fullmatch(name) else "number"


def is_person(name: str) -> bool:
    """Tell whether a name says that it means one person, such as ``Patient 003``."""
    return _PERSON_NAME.fullmatch(name) is not None


def is_date(name: str) -> bool:
    """Tell whether a name is a day, a month or a year, also with a word or a time (``scan_20240115_1030``)."""
    return not is_person(name) and not _CLASS_NAME.fullmatch(name) and _DATE.fullmatch(name) is not None


def is_year(name: str) -> bool:
    """Tell whether a name is a year and nothing finer."""
    return is_date(name) and sum(letter.isdigit() for letter in name) == 4


def without_day(name: str) -> str | None:
    """Return what ``name`` says besides a day, such as ``P1`` of ``P1_2024-01-15``; None where it is no such name."""
    rest = _DAY.sub("", name).strip(" _.-()")
    return rest if rest and rest != name and not is_date(name) else None


def original(name: str) -> str | None:
    """Return what ``name`` is called a copy of, such as ``a`` of ``a - Kopie`` and ``a (2)``; None for any other."""
    bare = _COPY.sub("", name)
    return bare if bare and bare != name else None


def copies(names: Collection[str]) -> dict[str, str]:
    """Return those of ``names`` that are called copies of others among them, with what these are called."""
    there = {name.casefold(): name for name in names}
    found = {name: there.get((original(name) or "").casefold()) for name in names}
    return {name: first for name, first in found.items() if first is not None}
