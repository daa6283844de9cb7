"""One's own data: pairs of images and masks in any of the usual arrangements of folders and names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ussearch.datasets.dataset import Sample
from ussearch.datasets.dicom import patients_in
from ussearch.datasets.readers.base import Listing, Rank, Reader, add_reader
from ussearch.datasets.readers.folder_names import folder_name
from ussearch.datasets.readers.found_files import FoundFile, files_below
from ussearch.datasets.readers.not_current import without_old
from ussearch.datasets.readers.other_names import header_of, paired_by_any_name
from ussearch.datasets.readers.pairing import Pairing
from ussearch.datasets.readers.part_words import part_word
from ussearch.datasets.readers.unnamed_images import with_image_folders


@add_reader
class Plain(Reader):
    """PNG, JPEG, TIFF, BMP or single-frame DICOM, with raster masks of the same size.

    Masks lie in a folder of their own or beside the images, named after these; sub-folders mean parts of a split,
    classes or patients. Of a DICOM file the tissue region is used, if the file tells one; the mask is drawn on the
    whole frame.
    """

    name = "plain"
    layout = "images/ (PNG, JPEG, TIFF, BMP, DICOM) masks/ with equal stems, or 'a_mask.png' beside 'a.png'"
    rank = Rank.GENERAL

    def matches(self, root: Path) -> bool:
        """Tell whether a folder of images and one of masks lie directly in ``root``."""
        roles = {folder_name(path.name).role for path in root.iterdir() if path.is_dir()} if root.is_dir() else set()
        return {"images", "masks"} <= roles

    def read(self, root: Path) -> Listing:
        """List the pairs anywhere below ``root``."""
        return listing_of(root, _top(with_image_folders(files_below(root))))


def listing_of(root: Path, files: Sequence[FoundFile]) -> Listing:
    """Return the pairs among the files below ``root``, and what does not fit."""
    listing = Listing()
    found = paired_by_any_name(without_old(root, files, listing))
    _leave_out_texts(root, found, listing)
    for group in found.equal:
        listing.equal_names(root, [file.path for file in group])
    _note_rivals(root, found, listing)
    patients = patients_in(file.path for file in found.images if not file.is_raster)
    _note_unknown_patients(root, patients, listing)
    asides = {file.aside for file in found.images}
    for file in found.images:
        if masks := found.masks_of.get(file.place):
            paths = tuple(mask.path for mask in masks)
            listing.samples.append(
                Sample(file.place, file.path, paths, patient=patients.get(file.path), part=file.part)
            )
            aside = (file.aside,) if file.aside and len(asides) > 1 else ()
            listing.folders[file.place] = (*aside, *file.folders)
    _note_missing(root, found, listing)
    for file in found.orphans:
        listing.missing_image(root, file.path)
    listing.samples.sort(key=lambda sample: sample.id)
    return listing


def _top(files: list[FoundFile]) -> list[FoundFile]:
    """Return the files in folders of images and of masks at the top where both are there, or all of them."""
    top = [file for file in files if file.folder and folder_name(file.folder.partition("/")[0]).role]
    images, masks = (any(file.role == role and file.is_image for file in top) for role in ("images", "masks"))
    return top if images and masks else files


def _leave_out_texts(root: Path, found: Pairing, listing: Listing) -> None:
    """Leave out DICOM objects that hold no image, such as structured reports, and tell it."""
    lone = [file for file in found.images if not file.is_raster and file.place not in found.masks_of]
    headers = {file.place: header_of(file.path, "SOPClassUID", "Rows") for file in lone}
    texts = [file for file in lone if "SOPClassUID" in headers[file.place] and "Rows" not in headers[file.place]]
    if texts:
        found.images = [file for file in found.images if file not in texts]
        listing.noted.update(file.path for file in texts)
        sentence = f"{len(texts)} DICOM files in {root} hold no image, such as reports, and are left out"
        listing.note("left out", texts[0].place, f"{sentence} (first: {texts[0].place}).", fatal=False)


def _note_unknown_patients(root: Path, patients: Mapping[Path, str | None], listing: Listing) -> None:
    """Tell where only some DICOM files name their patients."""
    unknown = [path for path, patient in patients.items() if patient is None]
    if 0 < len(unknown) < len(patients):
        first = unknown[0].relative_to(root).as_posix()
        listing.note(
            "unclear patients",
            first,
            f"{len(unknown)} of {len(patients)} DICOM files in {root} have no Patient ID (first: {first}), so that "
            "images of one patient may be torn apart: say who is who with --groups or an images.csv.",
            fatal=False,
        )


def _note_rivals(root: Path, found: Pairing, listing: Listing) -> None:
    if found.rivals:
        masks = found.rivals[0]
        names = " and ".join(file.place for file in masks)
        listing.note(
            "several masks",
            masks[0].place,
            f"{names} in {root} fit one image ({len(found.rivals)} images have such masks), masks of one kind were "
            "expected (x_mask.png, x_mask_1.png): move away what is not meant, or name the masks in an images.csv.",
        )
    if found.channels:
        images = found.channels[0]
        names = " and ".join(file.place for file in images)
        listing.note(
            "several channels",
            images[0].place,
            f"{names} in {root} are channels of one image ({len(found.channels)} images have several), one channel was "
            "expected (…_0000): move the others away.",
        )
    listing.noted.update(file.path for group in (*found.rivals, *found.channels) for file in group)


def _note_missing(root: Path, found: Pairing, listing: Listing) -> None:
    """Note images without masks; those of a split are left out, as a published test part often has none."""
    excused = {file.place for group in found.channels for file in group}
    missing = [file for file in found.images if file.place not in found.masks_of and file.place not in excused]
    part_of = {file.place: file.part or _part_word(file) for file in found.images}
    is_split = len({*part_of.values()}) > 1 and any(sample.part in (None, "train") for sample in listing.samples)
    without: defaultdict[str, list[FoundFile]] = defaultdict(list)
    for file in missing:
        part = part_of[file.place]
        if part and is_split:
            without[part].append(file)
        else:
            listing.missing_mask(root, file.path, _expected(file, found))
    for part, files in sorted(without.items()):
        listing.noted.update(file.path for file in files)
        listing.note(
            "unlabelled images",
            files[0].place,
            f"{len(files)} images of the part {part} in {root} have no masks and are left out (first: "
            f"{files[0].place}): add their masks if they are to count.",
            fatal=False,
        )


def _part_word(file: FoundFile) -> str | None:
    """Return the part, other than the training part, that a word of the file's folders names."""
    parts = [word.part for name in file.folders if (word := part_word(name))]
    return next((part for part in parts if part != "train"), None)


def _expected(image: FoundFile, found: Pairing) -> str:
    """Return where the mask of an image was looked for."""
    if not found.apart:
        return f"'{image.stem}_mask.png' beside it"
    masks = [mask for own in found.masks_of.values() for mask in own]
    near = [mask for mask in masks if (mask.part, mask.folders) == (image.part, image.folders)] or masks
    folders = Counter(mask.folder for mask in near or found.orphans)
    place = f"{folders.most_common(1)[0][0]}/" if folders else "a folder of masks"
    return f"a PNG or another raster image named '{image.stem}' in {place} (or '{image.stem}_mask')"
