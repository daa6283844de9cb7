"""What readers of annotation files have in common: which image an entry speaks of, and what was drawn on it."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from ussearch.datasets import tables
from ussearch.datasets.annotations import Drawing, Shape
from ussearch.datasets.annotations.drawing import NOT_DRAWN
from ussearch.datasets.dataset import Problem, Sample
from ussearch.datasets.dicom import patients_in
from ussearch.datasets.readers.base import READERS, Listing, Reader
from ussearch.datasets.readers.folder_names import folder_name, mask_cores
from ussearch.datasets.readers.found_files import FoundFile, files_below
from ussearch.datasets.readers.part_words import part_word
from ussearch.errors import UserError

LARGEST_FILE = 2**30
"""Bytes of an annotation file; a larger one would fill the memory before it is understood."""


@dataclass(frozen=True)
class Entry:
    """What an annotation file says of one image.

    Attributes:
        file: the annotation file.
        image: the image's path as the file names it.
        shapes: what was drawn, in the file's order.
        size: height and width of the image, None where the file does not tell.
        boxes: how many rectangles there are beside the shapes: they enclose a structure and do not outline it.
        part: the part of a split that the file puts the image in.
    """

    file: Path
    image: str
    shapes: tuple[Shape, ...] = ()
    size: tuple[int, int] | None = None
    boxes: int = 0
    part: str | None = None


Entries = Callable[[FoundFile], Iterable[Entry]]
"""What an annotation file says of each image."""


class DrawnReader(Reader):
    """A layout whose annotations are shapes in text files.

    An image that a file names without any shape shows nothing; one that no file names is a problem.
    """

    @abstractmethod
    def annotation_files(self, files: Sequence[FoundFile]) -> list[FoundFile]:
        """Return those of the files below the folder that hold annotations of this kind."""

    @abstractmethod
    def entries(self, root: Path, files: Sequence[FoundFile]) -> Entries:
        """Return what reads one annotation file, given all files below the folder, which are looked through once.

        What is returned raises UserError where a file cannot be read.
        """

    def matches(self, root: Path) -> bool:
        """Tell whether there are annotation files of this kind below ``root``, not all in one folder of any name."""
        if not root.is_dir():
            return False
        files = files_below(root)
        own = self.annotation_files(files)
        return bool(own) and not _is_wrapped([*own, *(file for file in files if file.is_image)])

    def gives_way(self, root: Path) -> bool:
        """Tell whether there are masks that are pictures, too: tools write both, and pictures are no less exact."""
        pictures = [file for file in files_below(root) if file.is_raster]
        stems = {file.stem for file in pictures}
        named = (core in stems for file in pictures for core in mask_cores(file.stem) if core)
        return any(file.role == "masks" for file in pictures) or any(named)

    def read(self, root: Path) -> Listing:
        """List the images that the annotation files name, and what does not fit."""
        listing, files = Listing(), files_below(root)
        own = self.annotation_files(files)
        listing.noted.update(file.path for file in own)
        images = [file for file in files if file.is_image and file.role not in ("masks", "derived")]
        entries: list[Entry] = []
        read = self.entries(root, files)
        for file in own:  # one that is damaged does not hide what the others say
            try:
                entries += read(file)
            except UserError as error:
                listing.note("unreadable file", file.place, str(error))
        found = _found_images(root, entries, images, listing)
        names = tuple(sorted({shape.label for entry, _ in found for shape in entry.shapes}))
        listing.label_names = {str(code): name for code, name in enumerate((NOT_DRAWN, *names))}
        _note_boxes(entries, listing)
        patients = patients_in(image.path for _, image in found if not image.is_raster)
        for entry, image in found:
            drawn = Drawing(entry.file, entry.shapes, names, entry.size, entry.image)
            masks, part = (drawn,) if entry.shapes else (), entry.part or image.part
            listing.samples.append(Sample(image.place, image.path, masks, patient=patients.get(image.path), part=part))
            listing.folders[image.place] = image.folders
        _refuse_twice_named(listing)
        _note_not_named(images, {image.path for _, image in found}, own, listing)
        listing.samples.sort(key=lambda sample: sample.id)
        return listing


def _is_wrapped(files: Sequence[FoundFile]) -> bool:
    """Tell whether all files lie in one folder whose name says nothing: that one is the data set's."""
    tops = {file.place.partition("/")[0] for file in files if file.folder}
    if len(tops) != 1 or not all(file.folder for file in files):
        return False
    says = folder_name(next(iter(tops)))
    return says.role is None and says.part is None


def shapes_left_out(chosen: Reader, root: Path) -> list[Problem]:
    """Return, as problems that stop nothing, the annotation files below ``root`` beside masks that are read instead."""
    if isinstance(chosen, DrawnReader) or not root.is_dir():
        return []
    files = files_below(root)
    texts = [file for file in files if file.path.suffix.lower() in (".json", ".xml", ".txt")]
    found = {reader.name: reader.annotation_files(files) for reader in _drawn_readers()} if texts else {}
    return [
        Problem(
            "left out",
            own[0].place,
            f"{_listed(own)} in {root} is not read, the pictures of masks are: --reader {name} reads it instead.",
            fatal=False,
        )
        for name, own in found.items()
        if own
    ]


def _drawn_readers() -> list[DrawnReader]:
    return [reader for name in READERS if isinstance(reader := READERS[name], DrawnReader)]


def text_of(file: Path) -> str:
    """Return the text of an annotation file; UserError where it is too large or cannot be read."""
    try:
        if (size := file.stat().st_size) > LARGEST_FILE:
            raise UserError(f"{file} has {size / 2**30:.1f} GiB, at most 1 GiB was expected: divide it.")
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): give yourself the right to read it.") from error
    return tables.text_of(file, "Annotation file")


def part_of(file: FoundFile) -> str | None:
    """Return the part of a split that an annotation file's folder or name says."""
    word = part_word(file.stem)
    return file.part or (word.part if word else None)


def _found_images(
    root: Path, entries: Iterable[Entry], images: Sequence[FoundFile], listing: Listing
) -> list[tuple[Entry, FoundFile]]:
    """Return each entry with its image: by its path below some folder, or by its name where one image has it."""
    by_name: defaultdict[str, list[FoundFile]] = defaultdict(list)
    for image in images:
        by_name[image.path.name].append(image)
    found = []
    for entry in entries:
        path = PurePosixPath(PureWindowsPath(entry.image).as_posix() if "\\" in entry.image else entry.image)
        near = _nearest(by_name[path.name], path, entry, root)
        if len(near) == 1:
            found.append((entry, near[0]))
        elif near:
            names = " and ".join(image.place for image in near[:2])
            listing.note(
                "equal names",
                near[0].place,
                f"{entry.file} names {entry.image}, and {names} in {root} may be meant: write its folder into the "
                "file, or give images names of their own.",
            )
        else:
            listing.note(
                "missing image",
                entry.file.relative_to(root).as_posix(),
                f"{entry.file} names {entry.image}, which is not below {root}: add the image, or remove the entry.",
                fatal=False,
            )
    return found


def _nearest(same: Sequence[FoundFile], path: PurePosixPath, entry: Entry, root: Path) -> list[FoundFile]:
    """Return those of the images with an entry's name whose folders agree with it most."""
    if len(same) < 2:
        return list(same)

    def agreement(image: FoundFile) -> tuple[int, int]:
        own, said = PurePosixPath(image.place).parts[::-1], path.parts[::-1]
        common = next((n for n, (a, b) in enumerate(zip(own, said, strict=False)) if a != b), min(len(own), len(said)))
        home = entry.file.parent.relative_to(root).as_posix()
        beside = image.folder == home or (entry.part is not None and image.part == entry.part)
        return common, int(beside)

    best = max(map(agreement, same))
    return [image for image in same if agreement(image) == best]


def _note_boxes(entries: Sequence[Entry], listing: Listing) -> None:
    """Refuse rectangles: they would be learnt as the structures' outlines."""
    boxed = [entry for entry in entries if entry.boxes]
    if boxed:
        count = sum(entry.boxes for entry in boxed)
        listing.note(
            "unclear masks",
            boxed[0].image,
            f"{count} annotations of {len(boxed)} images are boxes, which enclose a structure and do not outline it "
            f"(first: {boxed[0].image} in {boxed[0].file}): draw outlines, or remove the boxes.",
        )


def _note_not_named(
    images: Sequence[FoundFile], named: Collection[Path], own: Sequence[FoundFile], listing: Listing
) -> None:
    """Note images that no file names: forgotten ones, or a part of a split that was published without annotations."""
    annotated = {sample.part for sample in listing.samples}
    for image in images:
        if image.path in named:
            continue
        listing.noted.add(image.path)
        if image.part not in {None, *annotated}:
            sentence = f"Image {image.path} is left out: nothing of the part {image.part} is annotated."
            listing.note("unlabelled images", image.place, sentence, fatal=False)
        else:
            listing.note(
                "missing mask",
                image.place,
                f"Image {image.path} is not annotated: expected an entry in {_listed(own)}; annotate it (without a "
                "shape where it shows no lesion), or remove the image.",
            )


def _refuse_twice_named(listing: Listing) -> None:
    """Refuse images that several entries speak of: one may be an older version of the other."""
    counts = Counter(sample.id for sample in listing.samples)
    for place in sorted(place for place, count in counts.items() if count > 1):
        files = [str(mask) for sample in listing.samples if sample.id == place for mask in sample.masks]
        told = f" ({', '.join(files[:2])})" if files else ""
        listing.note(
            "equal names",
            place,
            f"{place} is annotated {counts[place]} times{told}, one entry for an image was expected: remove "
            "the others.",
        )
    listing.samples[:] = {sample.id: sample for sample in reversed(listing.samples)}.values()


def _listed(own: Sequence[FoundFile]) -> str:
    return own[0].place if len(own) == 1 else f"one of {len(own)} annotation files such as {own[0].place}"
