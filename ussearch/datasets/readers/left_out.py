"""What lies in the folder of a data set and is not read: nothing is lost without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ussearch.datasets.dataset import Problem
from ussearch.datasets.readers.base import Listing
from ussearch.datasets.readers.found_files import FoundFile, files_below
from ussearch.datasets.readers.manifest import NAME, table_in
from ussearch.datasets.tables import spelling
from ussearch.errors import UserError

_TEXTS = ".txt .md .rst .csv .tsv .json .xml .yaml .yml .html .htm .pdf .log .ini .cfg .xls .xlsx .ods .doc .docx .py"
_TEXTS += " .ipynb .sh .bat .m .r .db .lnk .zip .gz .tar .7z .sha256 .md5"


def left_out(folder: Path, listing: Listing) -> list[Problem]:
    """Return, as problems that stop nothing, the images below ``folder`` that were not read, and files like images.

    A table of images says by itself which are meant.
    """
    if folder.is_file() or listing.columns:
        return []
    try:
        files = files_below(folder)
    except UserError:  # a folder beside the data set that cannot be listed
        return []
    used = {path for sample in listing.samples for path in sample.files} | listing.noted
    places = {path.parent for path in used}
    images = [file for file in files if file.path not in used and file.is_image]
    foreign = [file for file in files if file.path not in used and not file.is_image and file.path.parent in places]
    foreign = [file for file in foreign if file.path.suffix.lower() not in _TEXTS.split()]
    return [
        *_problem(folder, images, "images", "outside of the data set as it was understood", "move them into it"),
        *_problem(folder, foreign, "files", "among the images, of types that are not read", "convert them"),
        *(_no_manifest(folder, file) for file in files if file.path.name.lower() == NAME),
    ]


def unused_columns(root: Path, listing: Listing, groups: str | None) -> list[Problem]:
    """Return, as a problem that stops nothing, the columns of a table that neither the reader nor ``groups`` used."""
    names = [name for name in listing.unused_columns if name and spelling(name) != spelling(groups or "")]
    if not names:
        return []
    table = table_in(root)
    sentence = f"Columns of {table} are not used: {', '.join(names)}; --groups COLUMN keeps images together by one."
    return [Problem("manifest", table.name, sentence, fatal=False)]


def _no_manifest(folder: Path, file: FoundFile) -> Problem:
    sentence = f"{folder / file.place} is not read as a manifest: it would need the columns image and mask."
    return Problem("left out", file.place, sentence, fatal=False)


def _problem(folder: Path, files: Sequence[FoundFile], noun: str, where: str, remedy: str) -> list[Problem]:
    if not files:
        return []
    kinds = Counter(file.path.suffix.lower() or "no suffix" for file in files)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))
    first = files[0].place
    sentence = (
        f"Some {noun} in {folder} are left out, {where} ({counted}; first: {first}): {remedy} if they belong to it."
    )
    return [Problem("left out", first, sentence, fatal=False)]
