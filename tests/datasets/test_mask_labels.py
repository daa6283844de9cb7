"""Masks of any kind mark what their user drew, or the question is put; whole data sets, through files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from ussearch.datasets import Dataset, ReadingOptions, open_dataset, settled
from ussearch.errors import Question, UserError
from ussearch.runtime.prediction import png

Mask = npt.NDArray[np.bool_]
HEIGHT, WIDTH = 48, 64


def drawn(seed: int, *, empty: bool = False) -> Mask:
    """One ellipse away from the borders, or nothing."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    row, column, high, wide = random.uniform([18, 24, 6, 8], [30, 40, 12, 18])
    return (((rows - row) / high) ** 2 + ((columns - column) / wide) ** 2 < 1) & (not empty)


TRUTH = [drawn(seed, empty=seed % 4 == 3) for seed in range(8)]


def written(root: Path, masks: Sequence[Image.Image], suffix: str = "png", **saved: object) -> Path:
    """Write a data set with these masks."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(masks):
        noise = np.random.default_rng(number).integers(0, 256, (mask.height, mask.width), dtype=np.uint8)
        Image.fromarray(noise).save(root / "images" / f"{number}.png")
        mask.save(root / "masks" / f"{number}.{suffix}", **saved)
    return root


def read(root: Path, lesion: str | None = None) -> list[Mask]:
    dataset = settled(open_dataset(root), ReadingOptions(lesion=lesion))
    return [dataset.source.decode(sample)[1] > 0 for sample in dataset.samples]


def same(found: Sequence[Mask], expected: Sequence[Mask] = TRUTH) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def indexed(labels: npt.NDArray[np.generic], palette: Sequence[int]) -> Image.Image:
    image = Image.fromarray(labels.astype(np.uint8))
    image = image.convert("L")
    made = Image.new("P", image.size)
    made.putdata(list(labels.astype(int).ravel()))
    made.putpalette([*palette, *([0] * (768 - len(palette)))])
    return made


colours = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))


@settings(max_examples=25, deadline=None)
@given(level=st.integers(1, 255))
def test_any_level_above_zero_is_lesion(tmp_path_factory: pytest.TempPathFactory, level: int) -> None:
    masks = [Image.fromarray(mask * np.uint8(level)) for mask in TRUTH]
    assert same(read(written(tmp_path_factory.mktemp("set"), masks)))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("level", [1, 255])
def test_modes(tmp_path: Path, mode: str, level: int) -> None:
    level = 255 if mode == "1" else level
    assert same(read(written(tmp_path, [Image.fromarray(mask * np.uint8(level)).convert(mode) for mask in TRUTH])))


@pytest.mark.parametrize(
    "values",
    [
        lambda mask: mask.astype(np.uint16) * 4095,
        lambda mask: mask.astype(np.uint16),
        lambda mask: mask.astype(np.float32),
        lambda mask: mask.astype(np.float32) * np.float32(0.5),
        lambda mask: mask.astype(np.int32) * 70000,
    ],
)
def test_deep_masks(tmp_path: Path, values: Callable[[Mask], npt.NDArray[np.generic]]) -> None:
    assert same(read(written(tmp_path, [Image.fromarray(values(mask)) for mask in TRUTH], "tif")))


@settings(max_examples=40, deadline=None)
@given(background=colours, lesion=colours)
def test_palettes_are_read_by_index(
    tmp_path_factory: pytest.TempPathFactory, background: tuple[int, ...], lesion: tuple[int, ...]
) -> None:
    """Index 0 is the background, whatever its colour; where all colours are greys, what viewers show is the label."""
    root = written(tmp_path_factory.mktemp("set"), [indexed(mask, [*background, *lesion]) for mask in TRUTH])
    greys = len({*background}) == 1 and len({*lesion}) == 1 and background != lesion
    if greys and background[0] != 0:
        with pytest.raises(Question, match="background"):
            read(root)
    else:
        assert same(read(root))


def test_palettes_that_contradict_each_other_are_read_by_colour(tmp_path: Path) -> None:
    """A tool that makes a palette for each file: the lesion is red everywhere, and index 1, 2 or 3."""
    masks = []
    for number, mask in enumerate(TRUTH):
        place = 1 + number % 3
        palette = [0, 0, 0, *([9, 9, 90] * 3)]
        palette[3 * place : 3 * place + 3] = [200, 0, 0]
        masks.append(indexed(mask.astype(int) * place, palette))
    root = written(tmp_path, masks)
    assert same(read(root))
    reading = settled(open_dataset(root)).reading
    assert reading is not None and reading.masks.palette_colours
    assert {row.label for row in reading.masks.labels if row.meaning == "lesion"} == {"#c80000"}


@settings(max_examples=25, deadline=None)
@given(shown=colours, hidden=colours, opacity=st.integers(40, 255))
def test_alpha_that_varies_is_the_mask(
    tmp_path_factory: pytest.TempPathFactory, shown: tuple[int, ...], hidden: tuple[int, ...], opacity: int
) -> None:
    masks = [
        Image.fromarray(np.where(mask[..., None], [*shown, opacity], [*hidden, 0]).astype(np.uint8), "RGBA")
        for mask in TRUTH
    ]
    assert same(read(written(tmp_path_factory.mktemp("set"), masks)))


@pytest.mark.parametrize("alpha", [0, 255])
def test_alpha_that_is_constant_is_ignored(tmp_path: Path, alpha: int) -> None:
    masks = [
        Image.fromarray(np.dstack([mask * np.uint8(255)] * 3 + [np.full_like(mask, alpha, np.uint8)])) for mask in TRUTH
    ]
    assert same(read(written(tmp_path, masks)))


@settings(max_examples=25, deadline=None)
@given(colour=colours.filter(any))
def test_a_colour_on_black_is_lesion(tmp_path_factory: pytest.TempPathFactory, colour: tuple[int, ...]) -> None:
    masks = [Image.fromarray(np.where(mask[..., None], colour, (0, 0, 0)).astype(np.uint8)) for mask in TRUTH]
    assert same(read(written(tmp_path_factory.mktemp("set"), masks)))


@settings(max_examples=20, deadline=None)
@given(quality=st.integers(50, 100), later=st.booleans(), colour=st.booleans())
def test_noise_of_jpeg_is_told_from_labels(
    tmp_path_factory: pytest.TempPathFactory, quality: int, later: bool, colour: bool
) -> None:
    """Kept as JPEG, or saved as PNG after it was one."""
    masks = []
    for mask in TRUTH:
        image, buffer = Image.fromarray(mask * np.uint8(255)), io.BytesIO()
        (image.convert("RGB") if colour else image).save(buffer, "JPEG", quality=quality)
        masks.append(Image.open(buffer))
    root = tmp_path_factory.mktemp("set")
    found = read(written(root, masks) if later else written(root, masks, "jpg", quality="keep"))
    assert all(
        (one ^ other).sum() <= 0.02 * other.size * (1 + other.any()) for one, other in zip(found, TRUTH, strict=True)
    )
    assert not any(one.any() for one, other in zip(found, TRUTH, strict=True) if not other.any())
    reading = settled(open_dataset(root)).reading
    assert reading is not None and reading.masks.noise > 0
    darker, brighter = (int(row.label) for row in reading.masks.labels)
    assert darker < 16 and brighter > 239


def test_soft_edges_are_cut_at_their_middle(tmp_path: Path) -> None:
    fine = [np.kron(mask, np.ones((3, 3), bool)) for mask in TRUTH]
    soft = [Image.fromarray(mask * np.uint8(255)).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR) for mask in fine]
    assert same(read(written(tmp_path, soft)), [np.asarray(mask) > 127 for mask in soft])


@settings(max_examples=25, deadline=None)
@given(
    levels=st.lists(st.integers(1, 255), min_size=2, max_size=5, unique=True).filter(
        lambda each: set(each) != {1, 255}
    ),
    data=st.data(),
)
def test_several_structures_are_a_question(
    tmp_path_factory: pytest.TempPathFactory, levels: list[int], data: st.DataObject
) -> None:
    plane = [mask.astype(np.uint8) * levels[0] for mask in TRUTH]
    for number, labels in enumerate(plane):  # a smaller structure inside, of another label in each mask
        rows, columns = np.nonzero(TRUTH[number])
        if len(rows):
            row, column = int(rows.mean()), int(columns.mean())
            labels[row - 3 : row + 3, column - 3 : column + 3] = levels[1 + number % (len(levels) - 1)]
    root = written(tmp_path_factory.mktemp("set"), [Image.fromarray(each) for each in plane])
    present = sorted({int(level) for labels in plane for level in np.unique(labels)} - {0})
    with pytest.raises(Question) as asked:
        read(root)
    assert [row[0] for row in asked.value.rows] == ["0", *map(str, present)]
    assert [row[1] for row in asked.value.rows] == [f"{sum((p == v).sum() for p in plane):,}" for v in [0, *present]]
    assert asked.value.answers[-1].options == {"lesion": ",".join(map(str, present))}
    chosen = data.draw(st.sets(st.sampled_from(present), min_size=1))
    assert same(read(root, ",".join(map(str, chosen))), [np.isin(labels, list(chosen)) for labels in plane])


NNUNET = {"channel_names": {"0": "US"}, "labels": {"background": 0, "cyst": 1, "solid": 2}, "file_ending": ".png"}
OLDER = {"modality": {"0": "US"}, "labels": {"0": "background", "1": "cyst", "2": "solid"}}


@pytest.mark.parametrize("content", [NNUNET, OLDER])
def test_nnunet_names_its_labels(tmp_path: Path, content: dict[str, object]) -> None:
    masks = [Image.fromarray(mask.astype(np.uint8) + np.roll(mask, 8, 1) * mask) for mask in TRUTH]
    root = written(tmp_path, masks)
    for folder, name in (("images", "imagesTr"), ("masks", "labelsTr")):
        (root / folder).rename(root / name)
    (root / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(Question, match="2 labels besides the background, and") as caught:
        read(root)
    assert [answer.options["lesion"] for answer in caught.value.answers] == ["cyst", "solid", "cyst,solid"]
    assert all(map(np.array_equal, read(root, "cyst,solid"), TRUTH))
    assert all(map(np.array_equal, read(root, "solid"), read(root, "2")))
    (root / "dataset.json").write_text("{")
    with pytest.raises(Question, match="2 labels besides the background 0"):
        read(root)


def test_cvat_names_its_colours(tmp_path: Path) -> None:
    red = [Image.fromarray(np.where(mask[..., None], [250, 50, 83], 0).astype(np.uint8)) for mask in TRUTH]
    root = written(tmp_path, red)
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nlesion:250,50,83::\n")
    reading = settled(open_dataset(root)).reading
    assert reading is not None
    assert [(row.label, row.name) for row in reading.masks.labels] == [("0", "background"), ("#fa3253", "lesion")]


@pytest.mark.parametrize("levels", [(255, 0), (2, 1), (255, 128)])
def test_inverted_masks_are_a_question(tmp_path: Path, levels: tuple[int, int]) -> None:
    background, lesion = levels
    root = written(tmp_path, [Image.fromarray(np.where(mask, lesion, background).astype(np.uint8)) for mask in TRUTH])
    with pytest.raises(Question, match="background") as asked:
        read(root)
    assert {"lesion": str(lesion)} in [answer.options for answer in asked.value.answers]
    assert same(read(root, str(lesion)))


def test_zero_and_one_beside_zero_and_255_are_the_same(tmp_path: Path) -> None:
    """Two tools wrote one set; no mask holds both, and both write "annotated" so."""
    masks = [Image.fromarray(mask * np.uint8(255 if number % 2 else 1)) for number, mask in enumerate(TRUTH)]
    assert same(read(written(tmp_path, masks)))


def test_an_outlying_pixel_near_a_level_is_noise_and_elsewhere_a_question(tmp_path: Path) -> None:
    near, far = (np.where(TRUTH[0], 255, 0).astype(np.uint8) for _ in range(2))
    near[2, 3], far[2, 3] = 5, 90
    rest = [Image.fromarray(mask * np.uint8(255)) for mask in TRUTH[1:]]
    assert same(read(written(tmp_path / "near", [Image.fromarray(near), *rest])))
    with pytest.raises(Question) as asked:
        read(written(tmp_path / "far", [Image.fromarray(far), *rest]))
    assert [asked.value.rows[1][place] for place in (0, 1, 3)] == ["90", "1", "1"]


def test_photographs_are_refused_as_masks(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)) for _ in TRUTH]
    with pytest.raises(UserError, match="as photographs do"):
        read(written(tmp_path, pictures))


@pytest.mark.parametrize(
    ("lesion", "message"),
    [("7", "no mask holds a label '7', expected some of 0, 255"), ("0,255", "leaves no background"), ("x", "'x'")],
)
def test_labels_that_cannot_be_meant(tmp_path: Path, lesion: str, message: str) -> None:
    root = written(tmp_path, [Image.fromarray(mask * np.uint8(255)) for mask in TRUTH])
    with pytest.raises(UserError, match=message):
        read(root, lesion)


def test_what_was_decided_is_remembered_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = written(tmp_path, [Image.fromarray(mask * np.uint8(3)) for mask in TRUTH])
    first = settled(open_dataset(root)).reading

    def never(*_: object) -> Dataset:
        raise AssertionError("looked again")

    monkeypatch.setattr("ussearch.datasets.reading.decide.survey", never)
    assert settled(open_dataset(root)).reading == first


def test_a_mask_of_several_pages_is_refused(tmp_path: Path) -> None:
    masks = [Image.fromarray(mask * np.uint8(255)) for mask in TRUTH]
    root = written(tmp_path, masks, "tif")
    masks[0].save(root / "masks" / "0.tif", save_all=True, append_images=masks[1:3])
    dataset = settled(open_dataset(root))
    with pytest.raises(UserError, match=r"Mask .*0\.tif holds 3 frames"):
        dataset.source.decode(dataset.samples[0])


def test_masks_that_infer_wrote_are_counted_until_they_are_edited(tmp_path: Path) -> None:
    root = written(tmp_path, [Image.fromarray(mask * np.uint8(255)) for mask in TRUTH])
    for number in range(3):
        (root / "masks" / f"{number}.png").write_bytes(png(TRUTH[number] * np.uint8(255)))
    Image.open(root / "masks" / "2.png").save(root / "masks" / "2.png")
    reading = settled(open_dataset(root)).reading
    assert reading is not None and reading.own_masks == 2


def test_some_inverted_masks_among_others_are_a_question(tmp_path: Path) -> None:
    masks = [Image.fromarray((mask ^ (number == 2)) * np.uint8(255)) for number, mask in enumerate(TRUTH)]
    root = written(tmp_path, masks)
    with pytest.raises(Question, match=r"but 1 of 8 the lesion, as inverted masks do \(first: .*2\.png\)") as asked:
        read(root)
    assert [answer.options for answer in asked.value.answers] == [{"lesion": "255"}]
    assert same(read(root, "255"), [np.asarray(mask) > 0 for mask in masks])


@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 3))
def test_outlines_are_a_question_and_can_be_filled(tmp_path_factory: pytest.TempPathFactory, width: int) -> None:
    lines = [mask & ~ndimage.binary_erosion(mask, iterations=width) for mask in TRUTH]
    root = written(tmp_path_factory.mktemp("set"), [Image.fromarray(line * np.uint8(255)) for line in lines])
    with pytest.raises(Question, match="are outlines with nothing inside") as asked:
        read(root)
    assert [answer.options for answer in asked.value.answers] == [{"fill_outlines": True}, {"lesion": "255"}]
    assert same(read(root, "255"), lines)
    dataset = settled(open_dataset(root), ReadingOptions(fill_outlines=True))
    assert same([dataset.source.decode(sample)[1] > 0 for sample in dataset.samples])


def test_an_opaque_and_a_transparent_background_are_asked_with_the_right_answer_first(tmp_path: Path) -> None:
    masks = []
    for number, mask in enumerate(TRUTH):
        pixels = np.zeros((*mask.shape, 4), np.uint8)
        pixels[mask] = 255
        pixels[..., 3] = 255 if number % 2 else mask * 255
        masks.append(Image.fromarray(pixels))
    root = written(tmp_path, masks)
    with pytest.raises(Question) as asked:
        read(root)
    assert asked.value.answers[0].options == {"lesion": "255"}
    assert same(read(root, "255"))
