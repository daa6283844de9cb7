"""Published splits are read as nnU-Net, MONAI, spreadsheets and Windows write them."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.datasets import ImageSet, Split, split
from ussearch.errors import UserError

COUNT = 40
IDS = [f"imagesTr/us_{number:03}_0000.png" for number in range(COUNT)]
CASES = [f"us_{number:03}" for number in range(COUNT)]
PLAIN = [f"images/ward {number % 4}/scan {number}.png" for number in range(COUNT)]


def image_set(ids: list[str]) -> ImageSet:
    masks = np.ones((len(ids), 1, 1, 1), np.uint8)
    nothing = (None,) * len(ids)
    groups = np.arange(len(ids))
    return ImageSet(masks, masks, tuple(ids), nothing, nothing, groups, "f" * 64, "made", "plain", 1)


def judged(made: Split) -> set[int]:
    assert sorted(sum(made.parts().values(), ())) == list(range(COUNT))
    assert made.validation and made.calibration
    return set(made.test)


FOLDS = [{"train": [c for c in CASES if int(c[3:]) % 5 != k], "val": CASES[k::5]} for k in range(5)]


@pytest.mark.parametrize("fold", [None, 0, 2, 4])
def test_folds_of_nnunet(tmp_path: Path, fold: int | None) -> None:
    (tmp_path / "splits_final.json").write_text(json.dumps(FOLDS))
    named = tmp_path / ("splits_final.json" if fold is None else f"splits_final.json#{fold}")
    made = split(image_set(IDS), split_file=named)
    assert judged(made) == set(range(fold or 0, COUNT, 5))
    assert made.source.startswith(f"splits_final.json, fold {fold or 0} (of 0 to 4)")


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("absolute", [True, False])
def test_records_of_monai(tmp_path: Path, labelled: bool, absolute: bool) -> None:
    above = "/mnt/data/us/" if absolute else ""
    records = [{"image": f"{above}{name}", "label": f"{above}labels/{n}.png"} for n, name in enumerate(IDS)]
    testing = [{"image": f"{above}imagesTs/x_0000.png"}] if not labelled else records[30:]
    content = {"training": records[:25], "validation": records[25:30], "testing": testing, "numTest": 10}
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    made = split(image_set(IDS), split_file=tmp_path / "datalist.json")
    if labelled:
        assert made.test == tuple(range(30, 40)) and made.validation == tuple(range(25, 30))
    else:
        assert made.test == tuple(range(25, 30))


@pytest.mark.parametrize("fold", [None, 1, 3])
def test_folds_of_monai(tmp_path: Path, fold: int | None) -> None:
    records = [{"image": name, "label": "x", "fold": 1 + n % 4} for n, name in enumerate(IDS)]
    (tmp_path / "list.json").write_text(json.dumps({"training": records, "testing": [{"image": "other.png"}]}))
    made = split(image_set(IDS), split_file=tmp_path / f"list.json{'' if fold is None else f'#{fold}'}")
    assert judged(made) == set(range((fold or 1) - 1, COUNT, 4))


def written(rows: list[list[str]], delimiter: str, encoding: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode(encoding)


encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])


@given(st.data(), encodings, st.sampled_from(",;\t"), st.lists(st.booleans(), min_size=COUNT, max_size=COUNT))
def test_tables_with_heads(data: st.DataObject, encoding: str, delimiter: str, is_test: list[bool]) -> None:
    is_test = [*is_test[:30], *[False] * 9, True]
    name = data.draw(st.sampled_from(["image", "Filename", "image_path", "File", "ID"]))
    told = data.draw(st.sampled_from(["split", "Set", "subset", "part", "Partition"]))
    ways: list[Any] = [str, lambda i: i.replace("/", "\\"), lambda i: i.removesuffix(".png"), lambda i: f"C:\\us\\{i}"]
    way = data.draw(st.sampled_from(ways))
    words = data.draw(st.sampled_from([("train", "test"), ("Training", "TEST"), ("tr", "ts"), ("0", "1")]))
    rows = [["n", name, told]] + [[str(n), way(i), words[is_test[n]]] for n, i in enumerate(PLAIN)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / data.draw(st.sampled_from(["a.csv", "train_val.csv", "a.tsv", "s.txt"]))
        file.write_bytes(written(rows, delimiter, encoding))
        named = file.with_name(f"{file.name}#1") if words == ("0", "1") else file
        assert judged(split(image_set(PLAIN), split_file=named)) == {n for n in range(COUNT) if is_test[n]}


def test_a_column_for_each_part(tmp_path: Path) -> None:
    rows = [["train", "val", "test"]] + [
        [PLAIN[n], PLAIN[30 + n] if n < 4 else "", PLAIN[34 + n] if n < 6 else ""] for n in range(30)
    ]
    (tmp_path / "a.csv").write_bytes(written(rows, ",", "utf-8"))
    made = split(image_set(PLAIN), split_file=tmp_path / "a.csv")
    assert made.validation == (30, 31, 32, 33) and made.test == tuple(range(34, 40)) and made.calibration


heads = st.text("abgkrst/ -", min_size=1, max_size=6).map(str.strip).filter(lambda name: name and name != "tag")


@given(
    heads,
    st.sampled_from([("train", "test"), ("Training", "TEST"), ("tr", "ts"), ("train", "val")]),
    st.sampled_from(["image", "Bild", "Dateiname"]),
    st.sampled_from([("patient", 3), ("case", 5), ("age", 7)]),
    st.integers(1, 8),
    st.sampled_from(["cases.csv", "train_test.csv", "list.tsv"]),
)
def test_cells_tell_the_parts_whatever_the_head(
    head: str, words: tuple[str, str], image: str, other: tuple[str, int], absent: int, name: str
) -> None:
    listed = range(COUNT - absent)
    rows = [[image, other[0], head]] + [[PLAIN[n], str(n // other[1]), words[n % 4 == 0]] for n in listed]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(written(rows, ";", "utf-8"))
        made = split(image_set(PLAIN), split_file=file)
        assert set(made.test) == {n for n in listed if n % 4 == 0}
        assert sorted(sum(made.parts().values(), ())) == list(listed)


@pytest.mark.parametrize(
    ("head", "cells", "message"),
    [
        ("image;patient;cohort", "1;A", r"has no column of parts: found image, patient, cohort; add a column split"),
        ("image;cohort;Runde", "train;test", r"has several columns of parts, cohort and Runde: keep the one"),
        ("image;cohort;split", "train;test", r"has several columns of parts, split and cohort: keep the one"),
        ("Aufnahme;Patient;Gruppe", "1;train", r"has no column of images: found Aufnahme, Patient, Gruppe; call it"),
    ],
)
def test_tables_whose_columns_do_not_tell_are_refused(tmp_path: Path, head: str, cells: str, message: str) -> None:
    first, second = cells.split(";")
    rows = [f"{name};{first};{second}" for name in PLAIN[:20]]
    rows += [f"{name};{second if first == 'train' else first};train" for name in PLAIN[20:30]]
    (tmp_path / "cases.csv").write_text("\n".join([head, *rows]))
    with pytest.raises(UserError, match=message):
        split(image_set(PLAIN), split_file=tmp_path / "cases.csv")


@pytest.mark.parametrize(
    ("name", "is_list"), [("train.csv", True), ("my_Train1.csv", True), ("usTrain.csv", True), ("strain.csv", False)]
)
def test_only_the_name_of_a_part_makes_a_list_of_a_table(tmp_path: Path, name: str, is_list: bool) -> None:
    (tmp_path / name).write_text("\n".join(["image,hospital", *(f"{each},A" for each in PLAIN[:30])]))
    if is_list:
        assert judged(split(image_set(PLAIN), split_file=tmp_path / name)) == set(range(30, 40))
        return
    with pytest.raises(UserError, match="has no column of parts: found image, hospital"):
        split(image_set(PLAIN), split_file=tmp_path / name)


def test_two_columns_that_say_the_same_are_one(tmp_path: Path) -> None:
    rows = [f"{name},{'train' if n else 'test'},{'Tr' if n else 'Ts'}" for n, name in enumerate(PLAIN)]
    (tmp_path / "cases.csv").write_text("\n".join(["image,cohort,set of nnU-Net", *rows]))
    assert split(image_set(PLAIN), split_file=tmp_path / "cases.csv").test == (0,)


@pytest.mark.parametrize("given_as", ["train.csv", "test.csv"])
def test_tables_of_one_part_each_are_siblings(tmp_path: Path, given_as: str) -> None:
    for part, numbers in (("train", range(20)), ("test", range(30, 40))):
        rows = [f"{PLAIN[n]},{part}" for n in numbers]
        (tmp_path / f"{part}.csv").write_text("\n".join(["image,cohort", *rows]))
    made = split(image_set(PLAIN), split_file=tmp_path / given_as)
    assert made.test == tuple(range(30, 40)) and 25 not in sum(made.parts().values(), ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("head", ["", "filename\n", "image,mask\n"])
def test_lists_with_a_head_and_their_siblings(tmp_path: Path, encoding: str, head: str) -> None:
    for name, numbers in (("train.csv", range(30)), ("test.csv", range(30, 40))):
        lines = [PLAIN[n].replace("/", "\\") + (",masks\\x.png" if "," in head else "") for n in numbers]
        (tmp_path / name).write_bytes((head + "\n".join(lines)).encode(encoding))
    assert judged(split(image_set(PLAIN), split_file=tmp_path / "train.csv")) == set(range(30, 40))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("splits_final.json#5", FOLDS, r"has no fold 5: it has the folds 0 to 4; correct the number behind #"),
        ("a.json#1", {"train": CASES[:9], "val": CASES[9:]}, "has no fold 1: it has no folds"),
        ("a.json", [], "has no parts"),
        ("a.json", {"training": [{"image": ["a", "b"]}]}, "has a record without one image"),
        ("a.json", {"training": [{"image": IDS[0], "fold": 0}, {"image": IDS[1]}]}, "gives no number as fold for some"),
        (
            "a.json",
            {"train": [*IDS[:9], "/mnt/us/elsewhere/gone.png"]},
            r"names '/mnt/us/elsewhere/gone\.png', which is",
        ),
        ("a.csv", "image,split\nus_000,maybe\n", r"puts 'us_000' in 'maybe' \(line 2\): expected train, val or test"),
        ("a.csv", b"image,split\n\xff\xff,train", "cannot be read as text: save it in UTF-8"),
        ("a.json#1", None, r"a\.json#1 does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, name: str, content: Any, message: str) -> None:
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    if content is not None:
        (tmp_path / name.partition("#")[0]).write_bytes(data)
    with pytest.raises(UserError, match=message):
        split(image_set(IDS), split_file=tmp_path / name)


def test_ends_of_paths_tell_only_where_folders_do_not_repeat_names(tmp_path: Path) -> None:
    ids = [f"images/p{number % 2}/f{number}.png" for number in range(COUNT)]
    (tmp_path / "s.json").write_text(json.dumps({"train": ["D:\\us\\p9\\f3.png"], "test": ids[4:]}))
    with pytest.raises(UserError, match="which is not in the data set"):
        split(image_set(ids), split_file=tmp_path / "s.json")
