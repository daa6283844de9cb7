"""Costs of the deploy form, and evaluations as records."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluators.conftest import tiny
from ussearch.datasets import ImageSet, Split
from ussearch.evaluators import Evaluation, Recipe, TrainEvaluator, TrainingFailed, TrainingTask, costs, trace
from ussearch.evaluators.training import task
from ussearch.hardware_profiles import load_profile, profile_names
from ussearch.search_spaces import Architecture, FreeSpace, build, count, load_preset

pytestmark = pytest.mark.training

EDGE, CLOUD = load_profile("jetson-nano"), load_profile("x86-server")


def judge(images: ImageSet, split: Split, epochs: int = 2) -> TrainEvaluator:
    return TrainEvaluator(images, split, Recipe(epochs=epochs), {"edge": EDGE, "cloud": CLOUD})


@pytest.mark.parametrize("name", ["lv-unet", "cmunext-s", "bmis"])
def test_costs_agree_with_the_exact_counts(name: str) -> None:
    architecture = load_preset(name).architecture.for_task()
    found, exact = costs(architecture, 128, EDGE), count(architecture, 128)
    assert found.parameters == exact.parameters_deploy
    assert found.macs == exact.macs
    assert found.file_bytes >= 4 * found.parameters
    assert found.latency_label.startswith("predicted for jetson-nano")


def test_kernels_sum_to_the_predicted_latency() -> None:
    traced = trace(load_preset("cmunext-s").architecture.for_task(), 128)
    prediction = traced.predict(EDGE)
    assert sum(prediction.per_kernel_ms) + prediction.call_ms == pytest.approx(traced.costs(EDGE).latency_ms)


ALL_PROFILES = [
    variant
    for name in sorted({name.partition("@")[0] for name in profile_names()})
    for variant in (name, *(f"{name}@{each}" for each in load_profile(name).variants))
]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_prediction_accounts_for_every_millisecond(seed: int) -> None:
    traced = trace(FreeSpace.standard(128).sample(seed), 128)
    for name in ALL_PROFILES:
        prediction = traced.predict(load_profile(name))
        assert len(prediction.per_kernel_ms) == len(traced.kernels)
        assert all(milliseconds >= 0 for milliseconds in prediction.per_kernel_ms) and prediction.call_ms >= 0
        whole = sum(prediction.per_kernel_ms) + prediction.call_ms
        assert whole == pytest.approx(prediction.latency_ms, rel=1e-6)
        assert prediction.low_ms <= prediction.latency_ms <= prediction.high_ms
        assert prediction.extrapolated is (sum(prediction.uncovered.values()) > 0.1 * prediction.latency_ms)
        assert prediction.unpriced == ()


def test_what_lies_in_front_of_the_network_is_the_normalisation() -> None:
    names = [kernel.name for kernel in trace(load_preset("bmis").architecture.for_task(), 64).kernels]
    assert names.count("normalisation") == 1 and names[0] == "normalisation"
    assert names[1] == "network"  # a grey image is repeated outside of every module


def test_limits_and_refusals_decide_feasibility() -> None:
    assert costs(tiny(), 32, EDGE).feasible
    slow = costs(load_preset("unet").architecture.for_task(), 128, EDGE)
    assert slow.excess["latency_ms"] > 0 and not slow.feasible
    dynamic = costs(load_preset("lightawnet").architecture.for_task(), 128, EDGE)
    assert dynamic.excess["features"] > 0 and not dynamic.feasible
    assert dynamic.refused[0].startswith("dynamic_conv: ")


def test_an_image_that_does_not_divide_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no multiple of 128"):
        trace(load_preset("lv-unet").architecture.for_task(), 96)


def test_evaluation_is_a_record(discs: ImageSet, discs_split: Split) -> None:
    architecture = tiny("fusible")
    evaluation = judge(discs, discs_split).evaluate(TrainingTask(architecture, 3))
    assert evaluation.failure is None and evaluation.architecture_id == architecture.id
    assert set(evaluation.costs) == {"edge", "cloud"} and evaluation.fidelity == "trained"
    assert evaluation.objective == evaluation.metrics["objective"]
    assert evaluation.weights is not None
    build(architecture).load_state_dict(evaluation.weights)
    again = Evaluation.model_validate_json(evaluation.model_dump_json())
    assert again == evaluation.model_copy(update={"weights": None})


def test_evaluation_is_repeatable(discs: ImageSet, discs_split: Split) -> None:
    first, second = (judge(discs, discs_split).evaluate(TrainingTask(tiny(), 3)) for _ in range(2))
    assert first.metrics == second.metrics


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingFailed("the loss became nan in epoch 2"), "the loss became nan in epoch 2"),
        (torch.OutOfMemoryError("out of memory"), "OutOfMemoryError: out of memory"),
        (ValueError("Expected more than 1 value per channel"), "ValueError: Expected more than 1 value per channel"),
    ],
)
def test_failures_belong_to_the_candidate(
    discs: ImageSet, discs_split: Split, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(task, "train", fail)
    evaluation = judge(discs, discs_split).evaluate(TrainingTask(tiny(), 0))
    assert evaluation.failure == reason
    assert evaluation.objective is None and evaluation.weights is None and evaluation.costs["edge"].feasible


def test_defects_of_the_program_are_not_swallowed(
    discs: ImageSet, discs_split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "train", lambda *a, **k: {}["missing"])
    with pytest.raises(KeyError):
        judge(discs, discs_split).evaluate(TrainingTask(tiny(), 0))


def test_a_network_that_cannot_be_built_is_refused_before_training(discs: ImageSet, discs_split: Split) -> None:
    broken = Architecture.model_validate(
        {"stages": [{"blocks": [{"kind": "conv", "width": 8}, {"kind": "conv", "width": 16, "residual": True}]}]}
    )
    with pytest.raises(ValueError, match="residual"):
        judge(discs, discs_split).costs(broken)


def test_baselines_are_judged_on_the_same_part(discs: ImageSet, discs_split: Split) -> None:
    figures = judge(discs, discs_split).baselines()
    assert figures["empty"]["objective"] == 0.0
    assert all(summary["images"] == len(discs_split.validation) for summary in figures.values())
