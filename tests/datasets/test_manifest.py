"""A manifest says everything itself, in any usual spelling; what is wrong with a row is told with its line."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.conftest import picture
from tests.datasets.test_frames import dicom
from ussearch.datasets import Dataset, Sample, open_dataset
from ussearch.datasets.files import FileSource
from ussearch.datasets.readers.manifest_text import manifest_text, not_in_manifest
from ussearch.errors import UserError

FILES = ("a.png", "sub/b.jpg", "ünï/c d.bmp", "drawn/a.png", "drawn/a2.png", "drawn/b.png", "drawn/c.png")
HEADS = {
    "image": ["image", "Image", "filename", "image_path", "File", "IMAGE PATH", "file_name", "Bild", "Dateiname"],
    "mask": ["mask", "Masks", "mask_path", "segmentation", "mask-file", "Maske"],
    "patient": ["patient", "Patient ID", "patient_id", "case", "subject", "Pat.-Nr.", "Patientennummer", "Fall-Nr."],
    "class": ["class", "Label", "diagnosis", "Category", "Klasse"],
    "split": ["split", "Set", "subset", "part", "train/test", "Gruppe", "group", "category"],
    "spacing": ["spacing", "Pixel Spacing", "spacing_mm"],
}
EXPECTED = (
    Sample("a.png", Path("a.png"), (Path("drawn/a.png"), Path("drawn/a2.png")), "benign", "7", 0, "train", (0.1, 0.1)),
    Sample("sub/b.jpg", Path("sub/b.jpg"), (Path("drawn/b.png"),), None, "8", 0, "test", (0.1, 0.25)),
    Sample("ünï/c d.bmp", Path("ünï/c d.bmp"), (), "normal", None, 0, "validation", None),
)


def folder_of(root: Path) -> Path:
    for file in FILES:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return root


def below(dataset: Dataset) -> tuple[Sample, ...]:
    """Return the samples with paths below the root."""
    return tuple(
        Sample(
            s.id,
            s.image.relative_to(dataset.root),
            tuple(mask.relative_to(dataset.root) for mask in s.masks),
            s.label,
            s.patient,
            s.frame,
            s.part,
            s.spacing_mm,
        )
        for s in dataset.samples
    )


@settings(deadline=None)
@given(st.data())
def test_any_usual_spelling_is_read(data: st.DataObject) -> None:
    draw = data.draw
    windows = draw(st.booleans())
    order = draw(st.permutations(list(HEADS)))
    rows = [
        ["a.png", "drawn/a.png; drawn/a2.png", "7", "benign", draw(st.sampled_from(["train", "Training"])), "0.1"],
        [
            "sub/b.jpg",
            "drawn/b.png",
            "8",
            "",
            draw(st.sampled_from(["test", "TEST"])),
            draw(st.sampled_from(["0.1x0.25", "0.1 X 0.25", "0,1;0,25"])),
        ],
        ["ünï/c d.bmp", "", "", "normal", draw(st.sampled_from(["val", "valid", "dev"])), ""],
    ]
    rows = draw(st.permutations(rows))
    text = io.StringIO()
    delimiter, ending = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending)
    writer.writerow([draw(st.sampled_from(HEADS[name])) for name in order] + ["remark"])
    for row in rows:
        cells = [cell.replace("/", "\\") if windows else cell for cell in row]
        writer.writerow([cells[list(HEADS).index(name)] for name in order] + ["x"])
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    with tempfile.TemporaryDirectory() as folder:
        root = folder_of(Path(folder))
        named = root / draw(st.sampled_from(["images.csv", "mine.CSV"]))
        named.write_bytes(text.getvalue().encode(encoding))
        dataset = open_dataset(named if named.name != "images.csv" or draw(st.booleans()) else root)
        assert dataset.reader == "manifest" and dataset.root == root
        assert below(dataset) == EXPECTED
        problems = [each for each in dataset.problems if "by its cells: call it split" not in each.message]
        assert [(each.kind, each.fatal) for each in problems] == [("left out", False), ("manifest", False)]
        assert "drawn/c.png" in problems[0].message
        assert "are not used: remark; --groups COLUMN keeps" in problems[1].message


def test_it_wins_over_folders_and_its_columns_are_groups(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            (tmp_path / kind / f"{number}.png").write_bytes(b"")
    rows = [f"images/{number}.png,masks/{number}.png,{number // 2}" for number in range(3)]
    (tmp_path / "images.csv").write_text("\n".join(["image,mask,Probe No", *rows]))
    dataset = open_dataset(tmp_path, groups="probe_no")
    assert dataset.reader == "manifest"
    assert [sample.patient for sample in dataset.samples] == ["0", "0", "1"]
    with pytest.raises(UserError, match=r"name 0 groups of a pattern: expected .* a column of images\.csv"):
        open_dataset(tmp_path, groups="probe")


def test_a_table_of_something_else_is_no_manifest(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.png").write_bytes(b"")
    (tmp_path / "images.csv").write_text("key,width,height\n1,20,30\n")
    dataset = open_dataset(tmp_path)
    assert dataset.reader == "plain"
    assert [problem.message for problem in dataset.problems if "is not read as a manifest" in problem.message]
    with pytest.raises(UserError, match=r"has no column image: found key, width, height; expected image and mask"):
        open_dataset(tmp_path / "images.csv")


def test_label_holds_classes_or_masks(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "images.csv").write_text("image,label\na.png,drawn/a.png\n")
    assert [sample.masks for sample in open_dataset(tmp_path).samples] == [(tmp_path / "drawn/a.png",)]
    (tmp_path / "images.csv").write_text("image,mask,label\na.png,drawn/a.png,benign\n")
    assert [sample.label for sample in open_dataset(tmp_path).samples] == ["benign"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("gone.png,drawn/a.png,,", r"names the image 'gone\.png', which is not there: correct the path"),
        ("a.png,gone.png,,", r"names the mask 'gone\.png', which is not there"),
        ("a.png,drawn/a.png; gone.png,,", r"names the mask 'gone\.png', which is not there"),
        (",drawn/a.png,,", "names no image"),
        ("/etc/a.png,drawn/a.png,,", r"names the image '/etc/a\.png': expected a path relative to the table's folder"),
        ("C:\\data\\a.png,drawn/a.png,,", r"names the image 'C:\\\\data\\\\a\.png': expected a path relative"),
        ("\\\\server\\a.png,drawn/a.png,,", "expected a path relative"),
        ("../a.png,drawn/a.png,,", r"which leaves the table's folder"),
        ("sub\\..\\..\\a.png,drawn/a.png,,", r"which leaves the table's folder"),
        ("a.png,drawn/../../a.png,,", r"which leaves the table's folder"),
        ("b.txt,drawn/a.png,,", "a type that is not read there"),
        ("a.png,a.png,,", "as the mask of itself"),
        ("a.png,drawn/a.png,sometimes,", "puts its image in 'sometimes': expected train, val, cal or test"),
        ("a.png,drawn/a.png,,wide", "gives the spacing 'wide': expected mm such as 0.1"),
        ("a.png,drawn/a.png,,-1", "gives the spacing '-1'"),
        ("a.png,drawn/a.png,,1x2x3", "gives the spacing '1x2x3'"),
        ("sub/b.jpg,drawn/a.png,,", r"names sub/b\.jpg again, as line 2 does"),
        ("a.png,drawn/a.png,,,,more", "has 6 cells for 4 columns: quote cells"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    folder_of(tmp_path)
    (tmp_path / "b.txt").write_text("")
    (tmp_path.parent / "a.png").write_bytes(b"")
    (tmp_path / "images.csv").write_text(f"image,mask,split,spacing\nsub/b.jpg,drawn/b.png,,\n\n{row}\n")
    with pytest.raises(UserError, match=rf"^Line 4 of .*images\.csv .*{message}.*\.$"):
        open_dataset(tmp_path)
    (problem,) = open_dataset(tmp_path, strict=False).problems
    assert (problem.kind, problem.file, problem.fatal) == ("manifest", "images.csv", True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        ("image,mask\nä.png,\n".encode("latin-1"), "cannot be read as text: save it in UTF-8"),
        (b"image,mask\na.png,\nsub/b.jpg,\n", "names no mask at all, so that its empty cells cannot mean"),
        (b"image,class\na.png,x\n", "has no column mask: found image, class"),
        (b"image,mask\n", "holds no image"),
    ],
)
def test_manifests_that_say_nothing_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (folder_of(tmp_path) / "mine.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_dataset(tmp_path / "mine.csv")


def told(dataset: Dataset) -> list[str]:
    return [problem.message for problem in dataset.problems if not problem.fatal]


def pairs(root: Path, heads: str, *cells: str) -> Path:
    """Write a pair of files and a row for each of ``cells``; return the table."""
    rows = []
    for number, own in enumerate(cells):
        for kind in ("images", "masks"):
            (root / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / f"{number}.png").write_bytes(b"")
        rows.append(f"images/{number}.png;masks/{number}.png;{own}")
    (root / "images.csv").write_text("\n".join([f"image;mask;{heads}", *rows]), encoding="utf-8")
    return root / "images.csv"


def test_cells_tell_the_split_whatever_the_head_and_are_no_patients(tmp_path: Path) -> None:
    pairs(tmp_path, "Gruppe;group;Haltung", "train;train;a", "train;train;b", "test;test;c", ";;d")
    dataset = open_dataset(tmp_path)
    assert [sample.part for sample in dataset.samples] == ["train", "train", "test", None]
    assert {sample.patient for sample in dataset.samples} == {None}
    assert "has the split in its column 'Gruppe', by its cells: call it split." in told(dataset)[0]
    assert f"Columns of {tmp_path / 'images.csv'} are not used: group, Haltung; --groups" in told(dataset)[1]
    assert "Haltung" not in told(open_dataset(tmp_path, groups="haltung"))[1]


def test_two_columns_that_divide_differently_are_refused(tmp_path: Path) -> None:
    pairs(tmp_path, "split;cohort", "train;train", "train;test", "test;test")
    with pytest.raises(UserError, match="has several columns of parts, split and cohort: keep the one that is meant"):
        open_dataset(tmp_path)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.sampled_from(["{}", "{}.0", " {} ", "{},00"]))
def test_whole_numbers_of_spreadsheets_are_one_patient(numbers: list[int], form: str) -> None:
    cells = [form.format(number) if place % 2 else str(number) for place, number in enumerate(numbers)]
    with tempfile.TemporaryDirectory() as folder:
        pairs(Path(folder), "Pat-Nr", *cells)
        found = {int(Path(each.id).stem): each.patient for each in open_dataset(folder).samples}
        assert [found[place] for place in range(len(numbers))] == [str(number) for number in numbers]
        if 7 in numbers:
            pairs(Path(folder), "Pat-Nr", *cells, "007")
            with pytest.raises(UserError, match="has the patients 7 and 007, one number: write each patient in one"):
                open_dataset(folder)


def test_files_that_it_does_not_list_are_counted(tmp_path: Path) -> None:
    pairs(tmp_path, "patient", "1", "2", "3", "4")
    table = tmp_path / "images.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:3]))
    (sentence,) = told(open_dataset(tmp_path))
    assert "that images.csv does not list are left out (4; first: images/2.png)" in sentence


@pytest.mark.parametrize("above", ["D:\\us\\scans\\", "\\\\server\\us\\", "/home/me/us/", "C:"])
def test_absolute_paths_are_found_by_their_ends(tmp_path: Path, above: str) -> None:
    table = pairs(tmp_path, "patient", "1", "2", "3")
    separator = "/" if "/" in above else "\\"
    text = table.read_text().replace("/", separator)
    table.write_text(text.replace("images" + separator, f"{above}images{separator}").replace("masks", f"{above}masks"))
    dataset = open_dataset(tmp_path)
    assert [(each.id, each.masks) for each in dataset.samples] == [
        (f"images/{n}.png", (tmp_path / f"masks/{n}.png",)) for n in range(3)
    ]
    (sentence,) = told(dataset)
    assert "has 6 absolute paths, found by their ends" in sentence
    table.write_text(table.read_text().replace(f"images{separator}1.png", f"scans{separator}1.png"))
    with pytest.raises(UserError, match=r"^Line 3 .*expected a path relative to the table's folder"):
        open_dataset(tmp_path)  # images/1.png or masks/1.png


def test_a_name_alone_tells_nothing_where_folders_use_names_anew(tmp_path: Path) -> None:
    for place in ("p1/a.png", "p2/a.png", "p1/b.png", "p1/m.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"")
    (tmp_path / "images.csv").write_text("image,mask\nD:\\us\\p9\\b.png,p1/m.png\n")
    with pytest.raises(UserError, match="expected a path relative"):
        open_dataset(tmp_path)
    (tmp_path / "p2/a.png").unlink()
    assert [sample.id for sample in open_dataset(tmp_path).samples] == ["p1/b.png"]


@pytest.mark.parametrize(
    ("column", "counts"), [("1122", None), ("1111", (1, 0)), ("1222", (1, 1)), ("1234", (0, 2)), ("12  ", (0, 1))]
)
def test_patients_that_contradict_dicom_files_are_counted(
    tmp_path: Path, column: str, counts: tuple[int, int] | None
) -> None:
    cells = pairs(tmp_path, "patient", *column).read_text().replace(".png;masks", ".dcm;masks")
    (tmp_path / "images.csv").write_text(cells)
    for number in range(4):
        (tmp_path / f"images/{number}.png").unlink()
        dicom(tmp_path / f"images/{number}.dcm", picture(number)[None], PatientID="AABB"[number])
    sentences = told(open_dataset(tmp_path))
    assert len(sentences) == (counts is not None)
    if counts is not None:
        several, apart = counts
        assert f"of its patients {several} hold several Patient IDs, and {apart} Patient IDs are" in sentences[0]


words = st.text("abcÄ é,;'\"x()[]{}#&._-", min_size=1, max_size=8).map(str.strip).filter(lambda text: text.strip(". "))
places = st.lists(words, min_size=1, max_size=3).map("/".join)


@settings(deadline=None)
@given(
    st.dictionaries(
        places,
        st.tuples(
            st.integers(0, 3),
            st.none() | words,
            st.none() | words,
            st.sampled_from([None, "train", "test"]),
            st.none() | st.tuples(*[st.floats(1e-4, 10)] * 2),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["", "export/", "ä b/c"]),
)
def test_what_is_written_is_read_again_alike(
    images: dict[str, tuple[int, str | None, str | None, str | None, tuple[float, float] | None]], inner: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / inner
        samples = []
        for number, (place, (count, label, patient, part, spacing)) in enumerate(sorted(images.items())):
            image = root / "images" / f"{place}.png"
            masks = tuple(root / "masks" / f"{number} of {each}.png" for each in range(count + (number == 0)))
            for file in (image, *masks):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"")
            identity = image.relative_to(root).as_posix()
            samples.append(Sample(identity, image, masks, label, patient, 0, part, spacing))
        if {sample.part for sample in samples} == {"train"}:
            samples = [Sample(**{**vars(sample), "part": None}) for sample in samples]
        samples.sort(key=lambda sample: sample.id)
        dataset = Dataset("made", "plain", root, tuple(samples), FileSource(root))
        (root / "images.csv").write_text(manifest_text(dataset), encoding="utf-8", newline="")
        assert open_dataset(root).samples == dataset.samples
        above = Path(folder) / "all.csv"
        above.write_text(manifest_text(dataset, Path(folder)), encoding="utf-8", newline="")
        again = open_dataset(above)
        assert {s.image: s.masks for s in again.samples} == {s.image: s.masks for s in dataset.samples}


def test_a_manifest_of_any_layout_gives_the_same_samples(busi: Path) -> None:
    dataset = open_dataset(busi)
    (busi / "images.csv").write_text(manifest_text(dataset))
    again = open_dataset(busi)
    assert again.reader == "manifest" and again.samples == dataset.samples


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_images_without_a_mask_are_counted_where_a_manifest_is_written(tmp_path: Path, missing: int) -> None:
    pairs(tmp_path, "patient", *"12345").unlink()
    for number in range(missing):
        (tmp_path / f"masks/{number}.png").unlink()
    dataset = open_dataset(tmp_path, strict=False)
    assert manifest_text(dataset).count("\n") == 1 + 5 - missing
    sentence = not_in_manifest(dataset)
    if missing == 0:
        assert sentence is None
    else:
        counted = "1 image without a mask is" if missing == 1 else "3 images without a mask are"
        assert sentence is not None and sentence.startswith(f"{counted} not in it (first: images/0.png): add rows")


def test_what_a_manifest_cannot_say_is_refused(tmp_path: Path) -> None:
    def made(image: Path, *masks: Path) -> Dataset:
        return Dataset("made", "plain", tmp_path, (Sample("a", image, masks),), FileSource(tmp_path))

    with pytest.raises(UserError, match="lies outside of"):
        manifest_text(made(tmp_path / "a.png", tmp_path.parent / "m.png"))
    with pytest.raises(UserError, match="lies outside of"):
        manifest_text(made(tmp_path / "a.png"), tmp_path / "sub")
    with pytest.raises(UserError, match="semicolon"):
        manifest_text(made(tmp_path / "a.png", tmp_path / "m;1.png", tmp_path / "m2.png"))
