"""``benchmarks/pretrained.py``: its figures against independent ones, and what decides apart from what is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.evaluators.pretrained.reference import same_padded

pytestmark = pytest.mark.usefixtures("benchmarks_importable")


def run(number: int, names: list[str], groups: list[int], values: Any) -> Any:
    from busi.protocol import Judged
    from busi.runs import Run

    judged = Judged(np.asarray(values, float), np.asarray(values, float), float(np.mean(values)))
    more = {"best_epoch": 1, "epochs": 1, "seconds": 60.0, "device": "CPU"}
    return Run("net", number, judged, judged, **more, images=tuple(names), groups=tuple(groups))  # type: ignore[arg-type]


def test_an_image_of_several_splits_counts_once() -> None:
    from started.page import paired

    first = [run(1, ["a", "b"], [0, 1], [0.9, 0.5]), run(2, ["b", "c"], [1, 2], [0.7, 0.4])]
    second = [run(1, ["a", "b"], [0, 1], [0.8, 0.5]), run(2, ["b", "c"], [1, 2], [0.5, 0.4])]
    points, low, high, images = paired("iou", list(zip(first, second, strict=True)))
    assert (points, images) == (pytest.approx((10 + 10 + 0) / 3), 3)
    assert low <= points <= high


def test_groups_are_resampled_whole() -> None:
    from started.page import paired

    random = np.random.default_rng(0)
    groups = [number // 4 for number in range(200)]
    gains = random.normal(0.02, 0.05, 50)[groups]  # the four images of a group gain alike
    names = [str(number) for number in range(200)]
    better, plain = run(1, names, groups, 0.5 + gains), run(1, names, groups, np.full(200, 0.5))
    points, low, high, _ = paired("dice", [(better, plain)])
    error = 100 * gains[::4].std(ddof=1) / np.sqrt(50)  # of a mean of 50 independent groups, by the normal distribution
    assert low == pytest.approx(points - 1.96 * error, abs=0.25 * error)
    assert high == pytest.approx(points + 1.96 * error, abs=0.25 * error)


def test_what_decides_has_seen_neither_a_reported_image_nor_its_like() -> None:
    from busi.protocol import BusiSplit, within_training

    from ussearch.datasets import ImageSet, Split

    count = 60
    groups = np.arange(count) // 3
    images = ImageSet.__new__(ImageSet)
    object.__setattr__(images, "groups", groups)
    object.__setattr__(images, "fingerprint", "f" * 64)
    reported = tuple(range(0, count, 4))
    train = tuple(index for index in range(count) if index not in reported)
    busi = BusiSplit(images, Split.of({"train": train, "validation": reported}, "s", "f" * 64), reported)
    found = within_training(busi, 1).split
    parts = set(found.train), set(found.validation)
    assert parts[0] and parts[1] and not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & set(reported)
    assert not set(groups[list(found.train + found.validation)]) & set(groups[list(reported)])
    assert not set(groups[list(found.train)]) & set(groups[list(found.validation)])


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_published_padding_is_tensorflows(kernel: int) -> None:
    from busi.padding import pad_as_published

    from ussearch.search_spaces import build, load_preset

    network = build(load_preset("efficientnet-lite0-unet").architecture.for_task())
    pad_as_published(network)
    halving = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each.stride == (2, 2)]
    conv = next(each for each in halving if each.kernel_size == (kernel, kernel))
    x = torch.rand(1, conv.in_channels, 16, 16)
    expected = nn.functional.conv2d(same_padded(x, kernel, 2), conv.weight, stride=2, groups=conv.groups)
    torch.testing.assert_close(conv(x), expected)


def test_the_committed_rows_are_those_of_the_program(tmp_path: Path) -> None:
    from pretrained import done
    from started.page import page
    from started.tasks import Settings, tasks_of

    settings = Settings(data=tmp_path)
    found = {name: done(tasks) for name, tasks in tasks_of(settings).items()}
    assert found["small"], "benchmarks/data/pretrained holds finished trainings"
    text = page(found, settings)
    for task, made in found["small"]:
        assert len(made.images) == len(made.last.iou) == 195 and task.name in text
    committed = Path(__file__).resolve().parents[1] / "docs" / "results" / "pretrained.md"
    assert committed.read_text(encoding="utf-8") == text
