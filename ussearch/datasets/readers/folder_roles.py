"""What sub-folders mean, told from their names and counts: parts of a split, classes of images, or patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from ussearch.datasets.dataset import Sample
from ussearch.datasets.readers.base import Listing
from ussearch.datasets.readers.folder_levels import Levels, Meaning, Place
from ussearch.datasets.readers.name_kinds import copies, is_date, without_day
from ussearch.datasets.readers.part_words import with_part_words
from ussearch.datasets.reading import Folders
from ussearch.errors import UserError

_WAY = "say who is who with --groups (a pattern, searched in the paths) or the column patient of an images.csv"


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
    if said is not None and said not in get_args(Folders):
        raise UserError(f"Sub-folders cannot be {said!r}: expected split, classes or patients.")
    samples, folders = with_part_words(listing.samples, listing.folders, said)
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
    places = {sample.id: folders.get(sample.id, ()) for sample in samples}
    levels = Levels(list(places.values()), samples)
    meaning = levels.meanings(said)
    samples = list(_without_lone_part(samples))
    persons = _persons(places, meaning, listing)
    made = tuple(_with_folders(sample, places[sample.id], meaning, persons) for sample in samples)
    if not all(sample.patient for sample in samples):
        _note_days(levels, meaning, places, listing)
    elif said is None and "patients" in meaning:  # files that name their patients count more than folders
        return made, None
    if said == "split":
        return made, "split"
    if not any(meaning):
        return made, "split" if any(sample.part for sample in made) else None
    return made, "patients" if "patients" in meaning and said != "classes" else "classes"


def _without_lone_part(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples without parts where all lie in ``train``, which divides nothing."""
    lone = {sample.part for sample in samples} == {"train"}
    return tuple(replace(sample, part=None) if lone else sample for sample in samples)


def _with_folders(
    sample: Sample, names: Place, meaning: Sequence[Meaning | None], persons: Mapping[str, str]
) -> Sample:
    named = list(zip(names, meaning, strict=False))
    label = "/".join(name for name, what in named if what == "classes") or None
    patient = next((persons.get(name, name) for name, what in named if what == "patients"), None)
    day = next((name for name in names if is_date(name)), None) if "patients" in meaning else None
    return replace(sample, label=label, patient=sample.patient or patient or day)


def _persons(places: Mapping[str, Place], meaning: Sequence[Meaning | None], listing: Listing) -> dict[str, str]:
    """Return what patients are called whose folders bear one name and the mark of a copy or a day, and tell it."""
    if "patients" not in meaning:
        return {}
    level = meaning.index("patients")
    names = {place[level] for place in places.values() if len(place) > level}
    found = copies(names)
    plain = {name: found.get(name, name) for name in names}
    persons = {name: without_day(one) or one for name, one in plain.items()}
    if len(names) > 1 and len({*persons.values()}) == 1 and persons != plain:
        persons = plain
        sentence = (
            f"{len(names)} folders such as {min(names)}/ differ in their dates alone, so that images of one patient"
        )
        listing.note("unclear patients", min(names), f"{sentence} on two days may be torn apart: {_WAY}.", fatal=False)
    counts = Counter(persons.values())
    merged = {name: one for name, one in persons.items() if counts[one] > 1 and name != one}
    if merged:
        name, one = min(merged.items())
        sentence = (
            f"{len(merged)} folders, such as {name}/, are taken for further ones of patients such as {one}: their"
        )
        remedy = "images stay together; rename the folders if they show somebody else."
        listing.note("unclear patients", name, f"{sentence} {remedy}", fatal=False)
    return persons


def _note_days(
    levels: Levels, meaning: Sequence[Meaning | None], places: Mapping[str, Place], listing: Listing
) -> None:
    """Tell where dates stand for patients, and which levels of folders mean nothing here."""
    level = meaning.index("patients") if "patients" in meaning else None
    by_day = [place for place, names in places.items() if _is_grouped_by_day(names, level)]
    if by_day:
        sentence = (
            f"{len(by_day)} images are grouped by the dates that their folders are named after (first: {by_day[0]})"
        )
        remedy = f"images of one patient on two days may be torn apart: {_WAY}."
        listing.note("unclear patients", by_day[0], f"{sentence}; {remedy}", fatal=False)
    passed = [names for number, names in enumerate(levels.names) if level and number < level and not meaning[number]]
    passed = [names for names in passed if not all(map(is_date, names))]
    if passed:
        sentence = f"Folders such as {min(passed[0])}/ are taken for neither patients nor classes, as patients' names"
        listing.note("unclear patients", min(passed[0]), f"{sentence} recur inside of them; or {_WAY}.", fatal=False)


def _is_grouped_by_day(names: Place, level: int | None) -> bool:
    if level is None:
        return False
    return is_date(names[level]) if len(names) > level else any(map(is_date, names))
