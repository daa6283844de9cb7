"""From a folder to a data set: which reader fits."""

from __future__ import annotations

from pathlib import Path

from ussearch.datasets.dataset import Dataset
from ussearch.datasets.files import FileSource
from ussearch.datasets.readers import READERS, Reader
from ussearch.datasets.reading import Folders
from ussearch.errors import UserError


def open_dataset(
    root: Path | str,
    reader: str | None = None,
    strict: bool = True,
    *,
    folders: Folders | None = None,
    groups: str | None = None,
) -> Dataset:
    """Recognise the layout of ``root`` and list its samples.

    Args:
        root: the folder of the data set, or one level above it.
        reader: name in ``READERS`` to use instead of recognising the layout.
        strict: raise on the first fatal problem, as training needs; False keeps all in ``Dataset.problems``.

    Raises:
        UserError: no such folder, nothing in it, a layout that is unknown or fits several readers, an
            image without its mask.
    """
    folder = Path(root).expanduser()
    _require_content(folder)
    chosen, place = _recognised(folder, [READERS[reader]] if reader else [READERS[name] for name in READERS])
    listing = chosen.read(place)
    fatal = [problem for problem in listing.problems if problem.fatal]
    if strict and fatal:
        raise UserError(fatal[0].message)
    if not listing.samples and not fatal:
        raise UserError(f"{place} holds no image: expected {chosen.layout}; give the folder that holds the images.")
    return Dataset(
        name=folder.resolve().name,
        reader=chosen.name,
        root=place,
        samples=tuple(listing.samples),
        source=FileSource(place, outlines=chosen.outlines),
        problems=tuple(listing.problems),
    )


def _require_content(folder: Path) -> None:
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
    """Return the one reader and folder that fit: ``folder`` itself, or else a folder directly inside it."""
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for places in ([folder], below):
        found = [(reader, place) for place in places for reader in readers if reader.matches(place)]
        if len(found) == 1:
            return found[0]
        if found:
            candidates = ", ".join(f"{reader.name} in {place}" for reader, place in found)
            raise UserError(
                f"{folder} fits several layouts ({candidates}): give the folder of one, or name the reader."
            )
    looked_for = _looked_for(readers)
    raise UserError(f"{folder} has no known layout: looked there and one level below for {looked_for}; arrange it so.")


def _looked_for(readers: list[Reader] | None = None) -> str:
    chosen = readers if readers is not None else [READERS[name] for name in READERS]
    return " | ".join(f"{reader.name}: {reader.layout}" for reader in chosen)
