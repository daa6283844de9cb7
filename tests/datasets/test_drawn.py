"""Annotations that tools keep as shapes: the masks they stand for, what they are called, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.datasets import annotation_tools as tools
from tests.datasets.test_frames import dicom
from ussearch.datasets import READERS, open_dataset, prepare
from ussearch.datasets.annotations import Drawing, Ellipse, Polygon, RunLengths
from ussearch.datasets.fingerprint import fingerprint_of
from ussearch.datasets.reading import ReadingOptions
from ussearch.datasets.reading.decide import settled
from ussearch.errors import Question, UserError

SIZE = (tools.HEIGHT, tools.WIDTH)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


@pytest.mark.parametrize("name", tools.OUTLINES)
def test_outlines_become_the_masks_that_were_drawn(tmp_path: Path, name: str) -> None:
    scenes = tools.scenes()
    dataset = settled(open_dataset(tools.OUTLINES[name](tmp_path, scenes)))
    assert dataset.reader == name and not dataset.problems
    assert dataset.reading is not None and dataset.reading.masks.drawn
    assert [row.title for row in dataset.reading.masks.labels] == ["not drawn", "lesion"]
    for sample, scene in zip(dataset.samples, scenes, strict=True):
        image, mask = dataset.source.decode(sample)
        assert np.array_equal(image, scene.image)
        assert (sample.masks == ()) == (scene.parts == ()) == (not mask.any())
        assert not scene.parts or iou(mask > 0, scene.mask()) >= 0.98


@pytest.mark.parametrize("name", tools.RASTERS)
def test_masks_in_annotation_files_are_equal_pixel_for_pixel(tmp_path: Path, name: str) -> None:
    scenes = tools.scenes(seed=1)
    dataset = settled(open_dataset(tools.RASTERS[name](tmp_path, scenes)))
    assert dataset.reader == name
    for sample, scene in zip(dataset.samples, scenes, strict=True):
        assert np.array_equal(dataset.source.decode(sample)[1] > 0, scene.mask())


@pytest.mark.shared
def test_real_masks_survive_as_outlines(shared: Path, tmp_path: Path) -> None:
    """BUSI's masks as polygons along their contours, as CVAT and other tools make them of masks."""
    from contourpy import contour_generator

    dataset = settled(open_dataset(shared / "data" / "busi"))
    scenes, masks = [], []
    for number, sample in enumerate(dataset.samples[::20]):
        image, mask = dataset.source.decode(sample)
        lines = contour_generator(z=np.pad(mask, 1).astype(float)).lines(0.5)
        parts = tuple(tools.Part("lesion", np.asarray(line)[:-1] - 0.5) for line in lines)
        scenes.append(tools.Scene(f"{number:03d}.png", image, parts))
        masks.append(mask > 0)
    root = tools.coco(tmp_path, scenes)
    file = root / tools.DEFAULT
    content = json.loads(file.read_text())
    for entry, mask in zip(content["images"], masks, strict=True):
        entry |= {"height": mask.shape[0], "width": mask.shape[1]}
    file.write_text(json.dumps(content))
    found = settled(open_dataset(root))
    for sample, mask in zip(found.samples, masks, strict=True):
        drawn = found.source.decode(sample)[1] > 0
        assert iou(drawn, mask) >= 0.99 if mask.any() else not drawn.any()


@pytest.mark.parametrize("name", tools.OUTLINES)
def test_which_of_several_structures_is_the_lesion_is_asked(tmp_path: Path, name: str) -> None:
    scenes = tools.scenes(labels=("whole", "core"))
    dataset = open_dataset(tools.OUTLINES[name](tmp_path, scenes))
    with pytest.raises(Question, match=r"2 labels besides the background \(not drawn\)") as caught:
        settled(dataset)
    said = [answer.options["lesion"] for answer in caught.value.answers]
    assert said == ["core", "whole", "core,whole"]
    for lesion in said:
        read = settled(dataset, ReadingOptions(lesion=lesion))
        for sample, scene in zip(read.samples[:-1], scenes[:-1], strict=True):
            mask = read.source.decode(sample)[1] > 0
            assert iou(mask, scene.mask(*lesion.split(","))) >= (0.9 if lesion == "core" else 0.98)
    whole, both = (settled(dataset, ReadingOptions(lesion=lesion)) for lesion in ("whole", "core,whole"))
    for sample in dataset.samples:  # what is drawn inside of a structure does not take it away
        assert np.array_equal(whole.source.decode(sample)[1], both.source.decode(sample)[1])
    with pytest.raises(UserError, match=r"--lesion cyst is not possible: .* expected some of not drawn, core, whole"):
        settled(dataset, ReadingOptions(lesion="cyst"))


@pytest.mark.parametrize("name", tools.OUTLINES)
def test_one_changed_outline_changes_one_image(tmp_path: Path, name: str) -> None:
    scenes = tools.scenes()
    first = open_dataset(tools.OUTLINES[name](tmp_path / "first", scenes))
    moved = tools.Part("lesion", scenes[3].parts[0].corners + 1)
    changed = [*scenes[:3], tools.Scene(scenes[3].name, scenes[3].image, (moved,)), *scenes[4:]]
    second = open_dataset(tools.OUTLINES[name](tmp_path / "second", changed))
    assert fingerprint_of(first) != fingerprint_of(second)
    differ = [
        one.source.content_hash(a) != two.source.content_hash(b)
        for one, two, a, b in ((first, second, a, b) for a, b in zip(first.samples, second.samples, strict=True))
    ]
    assert differ == [number == 3 for number in range(len(scenes))]


def test_files_of_the_parts_of_a_split_are_the_split(tmp_path: Path) -> None:
    scenes = tools.scenes(9)
    parts = {"train": scenes[:5], "val": scenes[5:7], "test": scenes[7:]}
    for part, own in parts.items():
        tools.coco(tmp_path, own, name=f"annotations/instances_{part}.json")
    found = {Path(sample.id).name: sample.part for sample in open_dataset(tmp_path).samples}
    meant = {"train": "train", "val": "validation", "test": "test"}
    assert found == {scene.name: meant[part] for part, own in parts.items() for scene in own}


def test_as_roboflow_arranges_it(tmp_path: Path) -> None:
    for part, own in {
        "train": tools.scenes(6),
        "valid": tools.scenes(3, seed=1),
        "test": tools.scenes(3, seed=2),
    }.items():
        tools.coco(tmp_path / part, own, name="_annotations.coco.json")
        for image in (tmp_path / part / "images").iterdir():
            image.rename(tmp_path / part / image.name)
        (tmp_path / part / "images").rmdir()
    dataset = open_dataset(tmp_path)
    assert not dataset.problems and len(dataset) == 12
    assert {sample.part for sample in dataset.samples} == {"train", "validation", "test"}
    first = next(sample for sample in dataset.samples if sample.id == "valid/scan00.png")
    assert iou(dataset.source.decode(first)[1] > 0, tools.scenes(3, seed=1)[0].mask()) >= 0.98


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_mask_survives_its_run_lengths(mask: np.ndarray) -> None:
    from pycocotools import mask as reference

    size = (mask.shape[0], mask.shape[1])
    packed = reference.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(RunLengths("a", tuple(tools.runs_by_columns(mask)), size).mask(size) > 0, mask)
    assert np.array_equal(RunLengths("a", packed, size).mask(size) > 0, mask)
    rows = RunLengths("a", tuple(tools.runs_of(mask.ravel())), (0, 0), (2, 3, size[1], size[0]))
    whole = rows.mask((size[0] + 4, size[1] + 2))
    assert np.array_equal(whole[3 : 3 + size[0], 2:] > 0, mask) and whole.sum() == mask.sum()


@given(st.floats(3, 30), st.floats(3, 30), st.floats(0, 180))
def test_an_ellipse_has_its_area(across: float, along: float, degrees: float) -> None:
    covered = Ellipse("a", (64, 64), (across, along), degrees).mask((128, 128))
    assert covered.sum() == pytest.approx(np.pi * across * along, rel=0.05, abs=8)
    rows, columns = np.nonzero(covered)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((64, 64), abs=0.6)


def test_an_ellipse_turns_clockwise() -> None:
    covered = Ellipse("a", (50, 50), (40, 5), 45).mask((100, 100))
    assert covered[70, 70] and not covered[30, 70], "y grows downwards"


def edited(writer: tools.Writer, suffix: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    """Return what writes ten images and then changes the first annotation file: its JSON, or its text."""

    def made(root: Path) -> None:
        writer(root, tools.scenes())
        path = sorted(path for path in root.rglob(f"*{suffix}") if path.name != "data.yaml")[0]
        text = path.read_text()
        if suffix == ".json":
            content = json.loads(text)
            changed = change(content)
            path.write_text(json.dumps(content if changed is None else changed))
        else:
            path.write_text(str(change(text)))

    return made


def first(content: Any, **values: object) -> None:
    content["annotations"][0].update(values)


def truncated(root: Path) -> None:
    path = tools.coco(root, tools.scenes()) / "annotations" / "instances_default.json"
    text = path.read_text()
    path.write_text('{"images": [], "annotations": [' + text[len(text) // 2 :])


def twice(root: Path) -> None:
    tools.coco(root, tools.scenes())
    tools.coco(root, tools.scenes(), name="annotations/again.json")


def lost(root: Path) -> None:
    (tools.coco(root, tools.scenes()) / "images" / "scan03.png").unlink()


def unreadable_names(root: Path) -> None:
    (tools.yolo(root, tools.scenes()) / "data.yaml").write_text("names: [a")


def one_more(root: Path) -> None:
    tools.write_images(tools.coco(root, tools.scenes()) / "images", [tools.Scene("more.png", np.eye(9) > 0, ())])


XML = "annotations.xml"
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncated, r"instances_default\.json is no whole JSON file"),
    "no categories": (edited(tools.coco, ".json", lambda c: c.pop("categories") and None), "has no categories as COCO"),
    "a list": (
        edited(tools.coco, ".json", lambda c: c["annotations"].insert(0, []) or None),
        "Annotation 1 of .* is a list",
    ),
    "a text": (edited(tools.coco, ".json", lambda c: first(c, image_id="x")), "image_id of annotation 1 .* is 'x'"),
    "no such category": (edited(tools.coco, ".json", lambda c: first(c, category_id=7)), "speaks of category 7, which"),
    "no such image": (edited(tools.coco, ".json", lambda c: first(c, image_id=77)), "speaks of image 77, which"),
    "a box": (edited(tools.coco, ".json", lambda c: first(c, segmentation=[])), "1 annotations of 1 images are boxes"),
    "two corners": (
        edited(tools.coco, ".json", lambda c: first(c, segmentation=[[1, 2, 3, 4]])),
        r"Shape 1 \(lesion\) of .*: an outline has 4 numbers",
    ),
    "far away": (
        edited(tools.coco, ".json", lambda c: first(c, segmentation=[[1, 2, 3, 4, 900, 5]])),
        "a corner at 900, 5 lies far outside of 128 x 96",
    ),
    "other size": (
        edited(tools.coco, ".json", lambda c: c["images"][0].update(width=64)),
        "is 64 x 96 pixels but its image scan00.png is 128 x 96",
    ),
    "runs of another size": (
        edited(tools.coco_rle, ".json", lambda c: c["annotations"][0]["segmentation"].update(size=[9, 9])),
        "its runs are of 9 x 9 pixels",
    ),
    "too many runs": (
        edited(tools.coco_rle, ".json", lambda c: c["annotations"][0]["segmentation"].update(counts=[1, 10**9])),
        "its runs have 1,000,000,001 pixels in all, 12,288 were expected",
    ),
    "runs that are none": (
        edited(tools.coco_rle, ".json", lambda c: c["annotations"][0]["segmentation"].update(counts="zz!")),
        "its runs cannot be read",
    ),
    "twice": (twice, "scan00.png is annotated 2 times"),
    "not annotated": (
        one_more,
        r"more\.png is not annotated: expected an entry in annotations/instances_default\.json",
    ),
    "a line": (
        edited(tools.labelme, ".json", lambda c: c["shapes"][0].update(shape_type="line")),
        r"Shape 1 of .*scan00\.json \(lesion\) has no area \(line\)",
    ),
    "no picture": (
        edited(tools.labelme_masks, ".json", lambda c: c["shapes"][0].update(mask="QUJD")),
        "its mask is no PNG",
    ),
    "entities": (
        edited(tools.cvat, ".xml", lambda t: t.replace("<annotations>", "<!DOCTYPE a><annotations>")),
        "defines entities",
    ),
    "a track": (edited(tools.cvat, ".xml", lambda t: t.replace("<meta/>", "<track/>")), "holds tracks of a video"),
    "half an XML": (edited(tools.cvat, ".xml", lambda t: t[: len(t) // 2]), "is no whole XML file"),
    "no numbers": (edited(tools.cvat, ".xml", lambda t: t.replace('points="', 'points="x,', 1)), "no pairs of numbers"),
    "polyline": (edited(tools.cvat, ".xml", lambda t: t.replace("polygon", "polyline")), r"has no area \(polyline\)"),
    "an unnamed class": (edited(tools.yolo, ".txt", lambda t: "5" + t[1:]), "has the class 5, which has no name"),
    "damaged names": (unreadable_names, r"data\.yaml is no YAML file"),
    "a YOLO box": (edited(tools.yolo, ".txt", lambda t: "0 0.5 0.5 0.1 0.1"), "are boxes, which enclose a structure"),
    "an odd line": (edited(tools.yolo, ".txt", lambda t: t + " 0.5"), "numbers, three corners or more"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_meant_is_one_sentence(tmp_path: Path, name: str) -> None:
    make, sentence = BAD[name]
    make(tmp_path)
    with pytest.raises(UserError, match=sentence) as caught:
        prepare(settled(open_dataset(tmp_path)), 32)
    assert "\n" not in str(caught.value)


def test_a_part_without_annotations_is_left_out(tmp_path: Path) -> None:
    for part, own in {"train": tools.scenes(6), "test": tools.scenes(3, seed=2)}.items():
        tools.coco(tmp_path / part, own, name="_annotations.coco.json")
    (tmp_path / "test" / "_annotations.coco.json").unlink()
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 6 and {problem.kind for problem in dataset.problems} == {"unlabelled images"}


def test_dicom_images_tell_their_patients(tmp_path: Path) -> None:
    scenes = tools.scenes(4)
    tools.coco(tmp_path, [tools.Scene(s.name.replace("png", "dcm"), s.image, s.parts) for s in scenes])
    for number, scene in enumerate(scenes):
        path = tmp_path / "images" / scene.name.replace("png", "dcm")
        path.unlink(missing_ok=True)
        dicom(path, scene.image[None], PatientID=f"MRN-{number // 2}")
    dataset = open_dataset(tmp_path)
    patients = [sample.patient for sample in dataset.samples]
    assert patients[0] == patients[1] != patients[2] == patients[3] and "MRN" not in str(patients)
    assert iou(dataset.source.decode(dataset.samples[0])[1] > 0, scenes[0].mask()) >= 0.98


def test_an_entry_whose_image_is_gone_stops_nothing(tmp_path: Path) -> None:
    lost(tmp_path)
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 9
    (problem,) = dataset.problems
    assert problem.kind == "missing image" and "names scan03.png, which is not below" in problem.message


def test_pictures_of_masks_count_more_than_files_of_shapes(tmp_path: Path) -> None:
    scenes = tools.scenes()
    tools.coco(tmp_path, scenes)
    tools.write_images(tmp_path / "masks", [tools.Scene(s.name, s.mask().astype(np.uint8) * 255, ()) for s in scenes])
    assert open_dataset(tmp_path).reader == "plain"
    assert open_dataset(tmp_path, "coco").reader == "coco"


def test_a_manifest_cannot_name_shapes(tmp_path: Path) -> None:
    from ussearch.datasets.readers.manifest_text import manifest_text

    with pytest.raises(UserError, match=r"are shapes \(coco\), which a manifest cannot name"):
        manifest_text(open_dataset(tools.coco(tmp_path, tools.scenes())))


def test_layers_may_overlap() -> None:
    square = (0.0, 0.0, 8.0, 0.0, 8.0, 8.0, 0.0, 8.0)
    drawing = Drawing(Path("a"), (Polygon("b", (square,)), Polygon("a", (square[:6],))), ("a", "b"))
    layers = drawing.layers((10, 10))
    assert set(layers) == {1, 2} and layers[2].sum() == 64 and 20 < layers[1].sum() < 40
    assert np.array_equal(drawing.mask({1, 2}, (10, 10)), layers[2])


def test_every_reader_of_shapes_is_tried_here() -> None:
    from ussearch.datasets.readers.drawn import DrawnReader

    assert {name for name in READERS if isinstance(READERS[name], DrawnReader)} == set(tools.OUTLINES)
