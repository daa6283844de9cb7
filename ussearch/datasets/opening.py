"""From a folder to a data set: which reader fits, and what its sub-folders mean."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from ussearch.datasets.dataset import Dataset
from ussearch.datasets.files import FileSource
from ussearch.datasets.readers import READERS, Reader
from ussearch.datasets.readers.base import Rank
from ussearch.datasets.readers.drawn import shapes_left_out
from ussearch.datasets.readers.folder_names import folder_name
from ussearch.datasets.readers.folder_roles import with_roles
from ussearch.datasets.readers.found_files import files_below
from ussearch.datasets.readers.group_names import FOLDER, with_groups
from ussearch.datasets.readers.label_names import label_names_in
from ussearch.datasets.readers.left_out import left_out, unused_columns
from ussearch.datasets.readers.nearest import nearest_layout
from ussearch.datasets.splits.found import split_not_used
from ussearch.errors import UserError


def open_dataset(
    root: Path | str,
    reader: str | None = None,
    strict: bool = True,
    *,
    folders: str | None = None,
    groups: str | None = None,
) -> Dataset:
    """Recognise the layout of ``root`` and list its samples.

    Args:
        root: the folder of the data set, or one level above it.
        reader: name in ``READERS`` to use instead of recognising the layout.
        strict: raise on the first fatal problem, as training needs; False keeps all in ``Dataset.problems``.
        folders: what sub-folders mean (``split``, ``classes``, ``patients``), where the user says so.
        groups: which images stay together, where the user says so.

    Raises:
        Question: sub-folders may be classes or patients.
        UserError: no such folder, nothing in it, a layout that is unknown or fits several readers, an
            image without its mask, ``folders`` or ``groups`` that do not fit.
    """
    folder = Path(root).expanduser()
    _require_content(folder)
    chosen, place = _recognised(folder, [READERS[reader]] if reader else [READERS[name] for name in READERS])
    listing = chosen.read(place)
    outside = [*left_out(folder, listing), *(shapes_left_out(chosen, place) if reader is None else [])]
    problems = (*listing.all_problems(), *outside, *unused_columns(place, listing, groups))
    fatal = [problem for problem in problems if problem.fatal]
    if chosen.rank == Rank.GENERAL and not listing.samples and all(each.kind == "missing mask" for each in fatal):
        raise UserError(f"{place} {nearest_layout(place)}.")
    if strict and fatal:
        raise UserError(fatal[0].message)
    if not listing.samples and not fatal:
        raise UserError(f"{place} holds no image: expected {chosen.layout}; give the folder that holds the images.")
    if groups == FOLDER and any(listing.folders.values()):
        folders = folders or "patients"
    samples, meaning = with_roles(listing, folders)
    problems = (*listing.all_problems(), *outside, *unused_columns(place, listing, groups))
    if groups:  # the user says who is who
        problems = tuple(problem for problem in problems if problem.kind != "unclear patients")
    home = place.parent if place.is_file() else place
    not_used = [] if any(sample.part for sample in samples) else split_not_used(home if place.is_file() else folder)
    return Dataset(
        name=folder.resolve().stem if place.is_file() else folder.resolve().name,
        reader=chosen.name,
        root=home,
        samples=with_groups(samples, listing, groups) if groups else samples,
        source=FileSource(home, outlines=chosen.outlines),
        problems=(*problems, *not_used),
        folders=meaning,
        label_names=listing.label_names or label_names_in(home),
    )


def _require_content(folder: Path) -> None:
    if folder.is_file() and folder.suffix.lower() == ".csv":
        return
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "does not exist"
        raise UserError(f"{folder} {what}: expected a folder with images and masks; give the folder of a data set.")
    try:
        if any(True for _ in folder.iterdir()):
            return
    except OSError as error:
        raise UserError(f"{folder} cannot be listed ({error.strerror}): give yourself the right to read it.") from error
    raise UserError(f"{folder} is empty: expected images and masks ({_looked_for()}); give the folder of a data set.")


def _recognised(folder: Path, readers: list[Reader]) -> tuple[Reader, Path]:
    """Return the reader and the folder that fit: ``folder`` itself, or else a folder directly inside it.

    A published layout wins over the general one, which reads whatever else there may be below ``folder``.
    """
    if folder.is_file():
        return READERS["manifest"], folder
    general = next((reader for reader in readers if reader.rank == Rank.GENERAL), None)
    below = [path for path in sorted(folder.iterdir()) if _is_readable(path)]
    for places in ([folder], below):
        found = [(reader, place) for place in places for reader in readers if reader.matches(place)]
        found = [each for each in found if len(readers) == 1 or not each[0].gives_way(each[1])]
        found = [each for each in found if places is not below or not _holds_masks_alone(*each)]
        found = [each for each in found if each[0].rank == max(reader.rank for reader, _ in found)]
        if general and places is below and _are_one_set(found, below):
            break
        if len(found) == 1:
            return found[0]
        if found:
            candidates = ", ".join(f"{reader.name} in {place}" for reader, place in found)
            raise UserError(
                f"{folder} fits several layouts ({candidates}): give the folder of one, or name the reader."
            )
    if general:
        return general, _without_wrappers(folder)
    looked_for = _looked_for(readers)
    raise UserError(f"{folder} has no known layout: looked there and one level below for {looked_for}; arrange it so.")


def _holds_masks_alone(reader: Reader, place: Path) -> bool:
    """Tell whether what fits a reader are the masks of images beside, as ``masks/benign/1_mask.png``."""
    return folder_name(place.name).role == "masks" and not reader.read(place).samples


def _is_readable(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and os.access(path, os.R_OK | os.X_OK)


def _are_one_set(found: list[tuple[Reader, Path]], below: list[Path]) -> bool:
    """Tell whether folders that fit are parts of one data set: parts of a split, or all alike, as for each patient.

    What a reader knows besides of its layout, outlines and patients' names, would be lost to the general one.
    """
    if not found or any(reader.outlines or reader.rank == Rank.MANIFEST for reader, _ in found):
        return False
    parts = [place for _, place in found if folder_name(place.name).part is not None]
    if len(found) == 1:
        alike = [path for path in below if _pattern(path) == _pattern(found[0][1])]
        return found[0][0].rank == Rank.GENERAL and len(alike) > 1
    return len({reader.name for reader, _ in found}) == 1 and not (found[0][0].patients and parts)


def _pattern(folder: Path) -> str:
    """Return what a folder's name has in common with those of its kind: as a part of a split, or numbered."""
    if folder_name(folder.name).part is not None:
        return "part"
    numbers = re.sub(r"\d+", "#", folder.name)
    return numbers if numbers != folder.name else folder.as_posix()


def _without_wrappers(folder: Path) -> Path:
    """Return the folder below ``folder`` that holds all images, as far as its name and those above it say nothing."""
    places = [f"/{PurePosixPath(file.place).parent}" for file in files_below(folder) if file.is_raster]
    for name in PurePosixPath(os.path.commonpath(places)).parts[1:] if places else ():
        says = folder_name(name)
        if says.role or says.part:
            break
        folder /= name
    return folder


def _looked_for(readers: list[Reader] | None = None) -> str:
    chosen = readers if readers is not None else [READERS[name] for name in READERS]
    return " | ".join(f"{reader.name}: {reader.layout}" for reader in chosen)
