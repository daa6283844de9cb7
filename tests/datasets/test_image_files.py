"""Which images files, folders and patterns mean, and what is left out as masks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from ussearch.datasets.image_files import find_images
from ussearch.errors import UserError


def tree(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not looked into")
    return root


@pytest.mark.parametrize(
    ("masks", "images"),
    [
        pytest.param(
            ["benign/b (1)_mask.png", "benign/b (1)_mask_1.png"], ["benign/b (1).png", "normal/n (1).png"], id="BUSI"
        ),
        pytest.param(["masks/a.png", "masks/deep/b.png"], ["images/a.png", "images/deep/b.JPG"], id="plain"),
        pytest.param(
            ["trainval-mask/0.jpg", "test-mask/1.jpg"], ["test-image/1.jpg", "trainval-image/0.jpg"], id="TN3K"
        ),
        pytest.param(["set/000_HC_Annotation.png"], ["set/000_HC.png"], id="HC18"),
        pytest.param(["1_1_mask.tif"], ["1_1.tif", "1_2.tif"], id="nerve"),
        pytest.param(["Ground Truth/1.tif"], ["Original/1.tif"], id="CVC"),
        pytest.param(["a-label.png", "a.seg.png", "a_GT.bmp"], ["a.dcm", "b_mask.png"], id="by hand"),
        pytest.param(["masks/a_mask.png", "masks/orphan.png"], ["images/a.png"], id="suffix in a folder"),
        pytest.param([], ["labels/a.png", "labels/b.png"], id="a folder's name alone says nothing"),
    ],
)
def test_masks_are_left_out_by_the_usual_names(masks: list[str], images: list[str], tmp_path: Path) -> None:
    root = tree(tmp_path, [*masks, *images])
    found = find_images([root])
    assert [path.relative_to(root).as_posix() for path in found.images.values()] == images
    assert {path.relative_to(root).as_posix() for path in found.masks} == set(masks)


def test_masks_that_the_shell_lists_are_left_out_too(tmp_path: Path) -> None:
    root = tree(tmp_path, ["a.png", "a_mask.png", "b_mask.png"])
    found = find_images([root / "a.png", root / "a_mask.png", root / "b_mask.png"])
    assert list(found.images) == ["a", "b_mask"]
    with pytest.raises(
        UserError, match=r"no image to segment in .*a_mask\.png besides what is left out \(masks: 1, its own: 0\)"
    ):
        find_images([root / "a_mask.png"])


@pytest.mark.parametrize(
    ("names", "given", "called"),
    [
        (["x.png", "y.png"], ["x.png", "y.png"], ["x", "y"]),
        (["a/x.png", "b/x.png"], ["."], ["a/x", "b/x"]),
        (["a/x.png", "b/x.png"], ["a", "b"], ["a/x", "b/x"]),
        (["a/x.png", "b/x.png"], ["*/x.png"], ["a/x", "b/x"]),
        (["a/x.png", "b/x.png"], ["a/x.png", "b/x.png"], ["a/x", "b/x"]),
        (["a/x.png", "a/deep/x.png"], ["a"], ["x", "deep/x"]),
        (["a/deep/x.png", "a/y.txt"], ["**/*"], ["deep/x"]),
        (["x.png", "x.jpg", "X.PNG", "y.png"], ["."], ["X.PNG", "x.jpg", "x.png", "y"]),
        (["a/x.png"], ["a/x.png", "a", "a/../a/x.png"], ["x"]),
        (["a[1].png"], ["a[1].png"], ["a[1]"]),
        ([".hidden.png", ".git/x.png", "DICOMDIR", "notes.txt", "x.png"], ["."], ["x"]),
    ],
)
def test_sub_folders_are_kept_and_no_two_are_called_alike(
    names: list[str], given: list[str], called: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree(tmp_path, names))
    assert list(find_images([Path(each) for each in given]).images) == called


def test_dicom_files_are_found_by_their_mark(tmp_path: Path) -> None:
    (tmp_path / "IM000001").write_bytes(bytes(128) + b"DICM" + bytes(9))
    (tmp_path / "IM000002").write_bytes(bytes(999))
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(9))
    assert list(find_images([tmp_path]).images) == ["IM000001"]


@pytest.mark.parametrize("given", ["*.bmp", "folder", "nothing/*.png"])
def test_what_means_no_image_is_refused(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no image"):
        find_images([Path(given)])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path, ["x.png"])
    with pytest.raises(UserError, match=r"missing\.png does not exist"):
        find_images([root / "x.png", root / "missing.png"])
