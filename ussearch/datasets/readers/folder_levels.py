"""Which level of folders below one another means patients and which classes, told from names and counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

from ussearch.datasets.dataset import Sample
from ussearch.datasets.readers.name_kinds import is_date, is_person, is_year, likeness
from ussearch.errors import Answer, Question

Meaning = Literal["classes", "patients"]
Place = tuple[str, ...]

FEW_FOLDERS = 10  # more of them are hardly classes
FEW_IMAGES = 10  # fewer are hardly a class
PATIENT_IMAGES = 20  # more are hardly of one patient


class Levels:
    """Folders below one another.

    Attributes:
        names: for each level, its folders with how many images each has.
        dated: for each level, whether all its names are dates.
    """

    def __init__(self, places: Sequence[Place], samples: Sequence[Sample]) -> None:
        self._places, self._samples = places, samples
        depth = max(map(len, places))
        self.names = [Counter(place[level] for place in places if len(place) > level) for level in range(depth)]
        self.dated = [all(map(is_date, names)) for names in self.names]

    def meanings(self, said: str | None) -> list[Meaning | None]:
        """Return what the folders of each level mean, None where nothing; deeper levels than those told mean nothing.

        Dates are no patients where anything else can be; below patients only what is named as classes counts.

        Raises Question where two readings fit and ``said`` (``classes``, ``patients``) does not decide.
        """
        if said == "classes":
            found: list[Meaning | None] = [None if day and not all(self.dated) else "classes" for day in self.dated]
        else:
            found = []
            for level, names in enumerate(self.names):
                if "patients" in found:
                    if any(likeness(name) != "class" for name in names):
                        break
                    found.append("classes")
                else:
                    found.append(None if self.dated[level] else self._meaning(level, said))
        if "patients" not in found:
            self._by_day(found, said)
        return found

    def _meaning(self, level: int, said: str | None) -> Meaning | None:
        """Return what one level means that is no dates, below no patients; None where a deeper one names them."""
        names = self.names[level]
        meaning = likely(names)
        if any(self.dated[:level]) and all(likeness(name) in ("word", "number") for name in names):
            meaning = None  # each day may have a folder of its own for the first patient, or for the left side
        elif meaning == "classes" and len(names) > 1 and self._may_be_persons(level):
            meaning = None
        elif said == "patients" and level == len(self.names) - 1 and not any(self.dated):
            meaning = "patients"
        if meaning == "classes":
            return meaning
        if self._persons_inside(level):
            return None
        if said == "patients":
            return "patients"
        if meaning is None:
            raise self._question(level)
        inner = self._rivals(level)
        if inner is not None:
            raise self._nested_question(level, inner)
        return meaning

    def _may_be_persons(self, level: int) -> bool:
        """Tell whether plain words have dates inside, as people have who came several times."""
        return any(self.dated[level + 1 :]) and any(likeness(name) != "class" for name in self.names[level])

    def _by_day(self, found: list[Meaning | None], said: str | None) -> None:
        """Let days stand for patients where nothing else does: the outermost level of several; years hardly do."""
        several = [level for level, day in enumerate(self.dated) if day and len(self.names[level]) > 1]
        several = [level for level in several if found[level] is None]
        days = [level for level in several if not all(map(is_year, self.names[level]))]
        if several and not days and said is None:
            raise self._question(several[0])
        if said == "patients" and not several:
            several = [level for level, meaning in enumerate(found) if meaning is None]
        for level in (days or several)[:1]:
            found[level] = "patients"

    def _persons_inside(self, level: int) -> bool:
        """Tell whether a deeper level names persons that recur under folders of this one, which names none."""
        deeper = range(level + 1, len(self.names))
        return not all(map(is_person, self.names[level])) and any(
            all(map(is_person, self.names[inner])) and self._recurs(level, inner) for inner in deeper
        )

    def _rivals(self, level: int) -> int | None:
        """Return a deeper level that may name the patients just as well: identifiers that recur under this one's."""
        if all(map(is_person, self.names[level])):
            return None
        deeper = [inner for inner in range(level + 1, len(self.names)) if not self.dated[inner]]
        return next((inner for inner in deeper if self._identifies(inner) and self._recurs(level, inner)), None)

    def _identifies(self, level: int) -> bool:
        return all(likeness(name) == "patient" for name in self.names[level])

    def _recurs(self, outer: int, inner: int) -> bool:
        under: defaultdict[str, set[str]] = defaultdict(set)
        for place in self._places:
            if len(place) > inner:
                under[place[inner]].add(place[outer])
        return any(len(parents) > 1 for parents in under.values())

    def _counted(self, level: int) -> list[tuple[str, int, int]]:
        masks: Counter[str] = Counter()
        for place, sample in zip(self._places, self._samples, strict=True):
            if len(place) > level:
                masks[place[level]] += len(sample.masks)
        return [(name, count, masks[name]) for name, count in sorted(self.names[level].items())]

    def _question(self, level: int) -> Question:
        return Question(
            f"{len(self.names[level])} sub-folders may be classes of images or patients, by their names and counts",
            ("folder", "images", "masks"),
            self._counted(level),
            [
                Answer("images of one folder share a class", {"folders": "classes"}),
                Answer("images of one folder show one patient and stay together", {"folders": "patients"}),
            ],
        )

    def _nested_question(self, outer: int, inner: int) -> Question:
        behind = {
            len(sample.id.split("/")) - 1 - sample.id.split("/").index(place[inner])
            for place, sample in zip(self._places, self._samples, strict=True)
            if len(place) > inner and place[inner] in sample.id.split("/")
        }
        first, other = min(self.names[outer]), min(self.names[inner])
        answers = [Answer(f"folders such as {first} show one patient each", {"folders": "patients"})]
        if len(behind) == 1:
            pattern = f"(?P<patient>[^/]+){'/[^/]+' * behind.pop()}$"
            meaning = f"folders such as {other} do, wherever they lie"
            answers.append(Answer(meaning, {"folders": "patients", "groups": pattern}))
        return Question(
            f"Folders such as {first} and, inside of several of them, {other} may both be patients",
            ("folder", "images", "masks"),
            [*self._counted(outer), *self._counted(inner)],
            answers,
        )


def likely(counts: Mapping[str, int]) -> Meaning | None:
    """Return what folders with so many images each mean; None where two readings fit."""
    kinds = {likeness(name) for name in counts}
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
