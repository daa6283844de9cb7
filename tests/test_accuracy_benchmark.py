"""``benchmarks/accuracy.py``: its figures against independent ones, and a whole run on a made-up BUSI folder."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import jaccard_score

from ussearch.search_spaces import load_preset

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


def test_pooled_iou_is_that_of_all_pixels_of_a_batch() -> None:
    from busi.protocol import pooled_iou

    random = np.random.default_rng(0)
    predicted, truth = (random.random((11, 1, 16, 16)) > level for level in (0.6, 0.7))
    parts = [slice(0, 8), slice(8, 11)]
    expected = [jaccard_score(truth[part].ravel(), predicted[part].ravel()) for part in parts]
    assert pooled_iou(predicted, truth) == pytest.approx((8 * expected[0] + 3 * expected[1]) / 11, abs=1e-4)


def network(name: str, iou: dict[int, Any]) -> Any:
    from busi.protocol import Judged
    from busi.report import Network
    from busi.runs import Run

    def run(number: int, values: Any) -> Run:
        judged = Judged(np.asarray(values), np.asarray(values), float(np.mean(values)))
        return Run(name, number, last=judged, best=judged, best_epoch=1, epochs=1, seconds=60.0, device="CPU")

    return Network(name, 1000, 10**6, 1.0, False, {number: run(number, values) for number, values in iou.items()})


def test_a_paired_difference_sees_what_unpaired_spread_hides() -> None:
    from busi.report import paired_difference

    random = np.random.default_rng(1)
    images = {number: random.random(195) * 0.8 for number in (1, 2, 3)}
    gains = {number: 0.02 + 0.01 * random.standard_normal(195) for number in images}
    better = network("better", {number: images[number] + gains[number] for number in images})
    plain = network("plain", images)
    found = paired_difference(better, plain)
    assert found.points == pytest.approx(100 * np.mean([gain.mean() for gain in gains.values()]))
    # The interval of a mean of 3 × 195 independent gains, by the normal approximation.
    error = 100 * np.sqrt(sum(gain.var() / 195 for gain in gains.values())) / 3
    assert found.low == pytest.approx(found.points - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(found.points + 1.96 * error, abs=0.2 * error)
    assert found.evident and not paired_difference(plain, plain).evident


@pytest.fixture(scope="module")
def busi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty images with a lesion and two without, and one published split of the twenty."""
    root = tmp_path_factory.mktemp("busi")
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    names = []
    for kind, count in (("benign", 12), ("malignant", 8), ("normal", 2)):
        (root / kind).mkdir()
        for number in range(1, count + 1):
            row, column = random.uniform(20, 44, 2)
            mask = (np.hypot(rows - row, columns - column) < 12) & (kind != "normal")
            grey = np.clip(random.normal(70 + 80 * mask, 25), 0, 255).astype(np.uint8)
            Image.fromarray(grey).save(root / kind / f"{kind} ({number}).png")
            Image.fromarray(mask.astype(np.uint8) * 255).save(root / kind / f"{kind} ({number})_mask.png")
            names += [f"{kind} ({number})"] if kind != "normal" else []
    (root / "splits").mkdir()
    for part, chosen in (("train", names[6:]), ("val", [names[4], names[0], names[2]])):
        (root / "splits" / f"{part}1.txt").write_text("\n".join(chosen) + "\n")
    return root


def test_a_split_keeps_the_published_order(busi_folder: Path) -> None:
    from busi.protocol import open_busi, published_split

    found = published_split(open_busi(busi_folder, 32), busi_folder, 1)
    assert [Path(found.images.ids[index]).stem for index in found.order] == ["benign (5)", "benign (1)", "benign (3)"]
    assert set(found.order) == set(found.split.validation) and len(found.split.train) == 14
    assert not set(found.split.train) & set(found.order)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "nowhere"], "has no folder benign, malignant, splits"),
        (["--networks", "lv-unit"], "Unknown preset 'lv-unit'"),
        (["--networks", "lv-unet", "--image-size", "96"], "multiple of 128, not 96"),
        (["--networks", "laednet-s", "--image-size", "64", "--splits", "2"], "train2.txt does not exist"),
        (["--networks", "", "--architecture", "none.yaml"], "none.yaml does not exist"),
    ],
)
def test_what_is_missing_is_one_sentence(
    busi_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    program = ROOT / "benchmarks" / "accuracy.py"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program), "--data", str(busi_folder), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(program), run_name="__main__")
    errors = capsys.readouterr().err
    assert ended.value.code == 2 and sentence in errors and "Traceback" not in errors


def test_a_run_is_written_once_and_read_again(busi_folder: Path, tmp_path: Path) -> None:
    from busi.runs import Task, finished, run

    from ussearch.evaluators import Recipe

    def task(epochs: int) -> Task:
        return Task(
            name="laednet-s",
            architecture_yaml=load_preset("laednet-s").architecture.for_task().to_yaml(),
            number=1,
            data=busi_folder,
            image_size=32,
            recipe=Recipe(epochs=epochs, batch_size=8),
            seed=0,
            device="cpu",
            folder=tmp_path,
        )

    first = run(task(2), quiet=True)
    again = finished(task(2))
    assert again is not None and np.array_equal(first.last.iou, again.last.iou) and len(again.last.iou) == 3
    assert again.epochs == 2 and again.best.dice.mean() >= again.last.dice.mean() - 1e-9
    assert not list(tmp_path.glob("*.checkpoint"))
    from ussearch.errors import UserError

    with pytest.raises(UserError, match="made with other settings"):
        run(task(3), quiet=True)
