"""What lies among images and masks and is no longer meant: folders named ``Old`` or ``backup``, copies of files."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from ussearch.datasets.readers.base import Listing
from ussearch.datasets.readers.folder_names import folder_name
from ussearch.datasets.readers.found_files import FoundFile
from ussearch.datasets.readers.name_kinds import copies, is_person, original
from ussearch.datasets.readers.pairing import mask_names, paired

_ASIDE = "old older alt archive archived archives archiv backup backups bak kopie kopien copy copies trash papierkorb"
_ASIDE += " tmp temp thumbnails thumbnail thumbs unused rejected rejects discarded deleted obsolete deprecated"
_NEUTRAL = "of von version versions data files image images mask masks label labels annotations scans frames stuff"
_OPPOSITE = {"young", "younger", "accepted"}  # beside these, such words tell classes
_LETTERS = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r" \(\d+\)")


def without_old(root: Path, files: Sequence[FoundFile], listing: Listing) -> list[FoundFile]:
    """Return the files without those in folders that are no longer meant and without copies; both are told.

    Nothing is left out where no image would keep its mask.
    """
    old = _aside({folder for file in files for folder in _above(file)})
    current = [file for file in files if old.isdisjoint(_above(file))]
    copied = _copied(current)
    kept = [file for file in current if file.place not in copied]
    if len(kept) == len(files) or not paired(kept).masks_of:
        return list(files)
    there = {file.place for file in current}
    _note(root, [file for file in files if file.place not in there], "in folders named as old or unused", listing)
    _note(root, [file for file in current if file.place in copied], "named as copies of others beside them", listing)
    return kept


def _above(file: FoundFile) -> list[str]:
    parts = file.place.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _aside(folders: Collection[str]) -> set[str]:
    """Return those of the folders whose names say that they are not meant, or that they are copies of others."""
    beside: defaultdict[str, list[str]] = defaultdict(list)
    for folder in folders:
        above, _, name = folder.rpartition("/")
        beside[above].append(name)
    found = set()
    for above, names in beside.items():
        first = {name: one for name, one in copies(names).items() if not is_person(one) and not name.endswith(")")}
        classes = any(name.casefold() in _OPPOSITE for name in names)
        aside = [name for name in names if name in first or (is_aside(name) and not classes)]
        found |= {f"{above}/{name}" if above else name for name in aside}
    return found


def is_aside(name: str) -> bool:
    """Tell whether a folder's name says that what it holds is no longer meant, such as ``Old`` or ``masks_backup``."""
    words = set(_LETTERS.findall(unicodedata.normalize("NFC", name).casefold())) - set(_NEUTRAL.split())
    return bool(words) and words <= set(_ASIDE.split())


def _copied(files: Sequence[FoundFile]) -> set[str]:
    """Return the places of files whose originals lie beside them, and of the masks that belong to such images.

    A number in brackets tells a copy only where the bytes are the same: series of images are numbered so, too.
    """
    beside: defaultdict[str, dict[str, FoundFile]] = defaultdict(dict)
    for file in files:
        if file.is_image:
            beside[file.folder][file.stem.casefold()] = file
    found = {
        file.place: file
        for file in files
        if file.is_image
        and (first := beside[file.folder].get((original(file.stem) or "").casefold()))
        and (original(_NUMBER.sub("", file.stem)) or _same_bytes(file.path, first.path))
    }
    if not found:
        return set()
    images = {(file.folder, file.stem.casefold()) for file in found.values() if file.role != "masks"}
    lone = {(file.part, file.folders, file.stem.casefold()) for file in found.values() if file.role != "masks"}
    for file in files:
        names = {name.casefold() for name in mask_names(file)}
        apart = file.role == "masks" and any((file.part, file.folders, name) in lone for name in names)
        if apart or (file.is_raster and any((file.folder, name) in images for name in names)):
            found[file.place] = file
    return set(found)


def _same_bytes(path: Path, other: Path) -> bool:
    try:
        return path.stat().st_size == other.stat().st_size and path.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _note(root: Path, files: Sequence[FoundFile], where: str, listing: Listing) -> None:
    files = [file for file in files if file.is_image and folder_name(file.folder).role != "derived"]
    if not files:
        return
    kinds = Counter(file.path.suffix.lower() or "no suffix" for file in files)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))
    first = files[0].place
    listing.noted.update(file.path for file in files)
    sentence = f"{len(files)} images and masks {where} in {root} are left out ({counted}; first: {first})"
    listing.note("left out", first, f"{sentence}: rename what belongs to the data set.", fatal=False)
