"""Post-processing counts against the latency limit: by a formula, and where a shipped profile's figure is from."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluators.conftest import tiny
from tests.hardware_profiles.test_profiles import EVERY, PRICES, minimal
from ussearch.errors import UserError
from ussearch.evaluators.costs import costs
from ussearch.hardware_profiles import Profile, load_profile, parse_profile
from ussearch.pairs.bundles.latency import latency_told
from ussearch.pairs.bundles.manifest import NetworkEntry

DATA = Path(__file__).resolve().parents[2] / "benchmarks" / "data"
TEN_MS = {"memory_mib": 1000, "frames_per_second": 100}
TWO_MS = {"ms": 2, "ms_per_call": 0.4}
ORIGINS = {key: {"basis": "chosen", "source": "a test"} for key in minimal()["provenance"]}


def board(network_ms: float = 1.0, **changes: Any) -> Profile:
    """Return a board with a limit of 10 ms on which every network takes ``network_ms``."""
    data = {
        "limits": TEN_MS,
        "postprocessing": TWO_MS,
        "latency": {**PRICES, "ms_per_gmac": 0, "ms_per_mib": 0, "ms_per_operator": 0, "ms_per_call": network_ms},
        "provenance": {**ORIGINS, "postprocessing": {"basis": "assumed", "source": "a test"}},
    }
    return Profile.model_validate(minimal(**data, **changes))


def without() -> Profile:
    return board().model_copy(update={"postprocessing": None})


@pytest.mark.parametrize(
    ("size", "network_ms", "fits"),
    [
        *((256, 9.0, False), (256, 7.9, True)),  # 10 - 2
        *((128, 9.3, False), (128, 9.1, True)),  # 10 - 0.4 - 1.6 / 4
        *((64, 9.6, False), (64, 9.4, True)),  # 10 - 0.4 - 1.6 / 16
    ],
)
def test_a_network_may_take_what_post_processing_leaves(size: int, network_ms: float, fits: bool) -> None:
    assert costs(tiny(), size, board(network_ms)).feasible is fits
    alone = costs(tiny(), size, board(network_ms).model_copy(update={"postprocessing": None}))
    assert alone.feasible and alone.excess["latency_ms"] == pytest.approx(network_ms - 10)


def test_the_limit_is_told_with_what_post_processing_takes_of_it() -> None:
    assert board().limits_in_words(256) == "10.0 ms, of which 2.0 ms are for post-processing, and 1000 MiB"
    assert board().latency_limit(512) == "10.0 ms, of which 6.8 ms are for post-processing"
    assert without().limits_in_words(256) == "10.0 ms (post-processing not counted) and 1000 MiB"
    assert "Post-processing counts 2.0 ms at 256×256 pixels (assumed)." in board().trust
    assert "Post-processing counts 0 ms: the profile does not say what it takes." in without().trust


def test_a_grid_that_takes_all_of_the_limit_leaves_nothing() -> None:
    assert board().network_limit_ms(1024) == pytest.approx(10 - 0.4 - 1.6 * 16)


def test_a_profile_without_it_is_what_it_was() -> None:
    profile = Profile.model_validate(minimal())
    assert profile.network_limit_ms(512) == profile.limits.latency_target_ms == 1000 / 24
    assert profile.digest == "183e935a7352bcf7"  # of before there was the field
    assert "postprocessing" not in profile.to_yaml()
    assert parse_profile(board().to_yaml(), "copy") == board()


@pytest.mark.parametrize(
    ("part", "origins", "message"),
    [
        (TWO_MS, ORIGINS, "provenance is missing for postprocessing"),
        ({"ms": 1, "ms_per_call": 2}, {"postprocessing": ORIGINS["limits"]}, "ms_per_call is 2, expected at most"),
        ({"ms": -1}, {"postprocessing": ORIGINS["limits"]}, "postprocessing.ms"),
    ],
)
def test_a_time_that_cannot_be_is_refused(part: dict[str, float], origins: dict[str, Any], message: str) -> None:
    text = json.dumps(minimal(postprocessing=part, provenance={**ORIGINS, **origins}))
    with pytest.raises(UserError, match=message):
        parse_profile(text, "my-board.yaml")


@pytest.mark.parametrize(
    ("latency_ms", "told"),
    [
        (7.9, "with 2.0 ms of post-processing 9.9 ms, within the limit of 10.0 ms"),
        (9.0, "with 2.0 ms of post-processing 11.0 ms, above the limit of 10.0 ms"),
    ],
)
def test_a_bundle_tells_whether_the_limit_holds_for_all_of_a_frame(latency_ms: float, told: str) -> None:
    entry = NetworkEntry.model_construct(costs={"latency_ms": latency_ms, "latency_label": "predicted for my-board"})
    assert latency_told(entry, board(), 256) == f"{latency_ms:.1f} ms, predicted for my-board; {told}"
    assert latency_told(entry, without(), 256).endswith("my-board; within the limit of 10.0 ms")
    assert latency_told(NetworkEntry.model_construct(costs={}), board(), 256) == ""


@pytest.mark.parametrize("name", EVERY)
def test_every_shipped_profile_says_what_it_takes(name: str) -> None:
    profile = load_profile(name)
    assert profile.postprocessing is not None
    assert profile.provenance["postprocessing"].basis in {"derived", "assumed"}
    assert profile.network_limit_ms(512) > 0.5 * profile.limits.latency_target_ms


def test_the_figures_of_boards_are_those_of_the_measurement_and_the_published_ratios() -> None:
    timing = json.loads((DATA / "false_alarms" / "timing.json").read_text(encoding="utf-8"))
    (here_ms,) = [row["post_p99_ms"] for row in timing if row["python"].startswith("3.6")]
    sizes = json.loads((DATA / "false_alarms" / "timing_sizes.json").read_text(encoding="utf-8"))
    areas, found_ms = (np.array([row[key] for row in sizes]) for key in ("side", "post_p99_ms"))
    slope, start = np.polyfit((areas / 256) ** 2, found_ms, 1, w=1 / found_ms)
    assert np.allclose(start + slope * (areas / 256) ** 2, found_ms, rtol=0.15)  # the formula's shape holds
    ncnn = json.loads((DATA / "postprocessing" / "factors.json").read_text(encoding="utf-8"))
    with (DATA / "postprocessing" / "processors.csv").open(encoding="utf-8") as file:
        processors = {row["profile"]: row for row in csv.DictReader(file)}
    assert {"jetson-nano", "raspberry-pi-4", "raspberry-pi-5", "intel-n100"} <= processors.keys()
    for name, row in processors.items():
        factor = np.sqrt(3840 / float(row["seven_zip_mips"]) * ncnn[name] * float(row["ncnn_scale"]))
        part = load_profile(name).postprocessing
        assert part is not None
        assert (part.ms, part.ms_per_call) == pytest.approx(
            (here_ms * factor, here_ms * factor * start / (start + slope)), abs=0.006
        )
