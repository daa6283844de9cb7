"""What full training is foretold to reach: learnt on others, and worth more than the rung alone where size matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from tests.evaluators.conftest import disc_images, disc_split, tiny
from tests.margins import above, below, reaches
from ussearch.evaluators import Recipe, TrainEvaluator, TrainingTask
from ussearch.evaluators.outlook import fit_outlook, foretold_without_itself
from ussearch.evaluators.rungs import Rung, RungEvaluator
from ussearch.evaluators.trust import measure_trust
from ussearch.hardware_profiles import load_profile

pytestmark = pytest.mark.training


def population(seed: int, count: int = 60) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return rung selections, MACs, parameters and truth: large networks end better and learn more slowly."""
    random = np.random.default_rng(seed)
    size, skill = random.normal(size=count), random.normal(size=count)
    truth = 0.5 + 0.05 * (skill + size)
    rung = np.maximum(0.0, 0.2 + 0.05 * (skill - size) + 0.01 * random.normal(size=count))
    macs, parameters = np.exp(17 + size), np.exp(12 + size + 0.5 * random.normal(size=count))
    return rung.tolist(), macs.tolist(), parameters.tolist(), truth.tolist()


@reaches(more_tau=above(0.15))
def correction(seed: int, folder: Path) -> dict[str, float]:
    """By how much Kendall's τ with the truth is above that of the best single figure."""
    rung, macs, parameters, truth = population(seed)
    foretold = foretold_without_itself(rung, macs, parameters, truth)
    alone = max(kendalltau(each, truth).statistic for each in (rung, macs, parameters))
    return {"more_tau": kendalltau(foretold, truth).statistic - alone}


@pytest.mark.parametrize("seed", range(3))
def test_what_costs_say_corrects_what_a_few_steps_favour(seed: int, tmp_path: Path) -> None:
    correction.check(seed, tmp_path)


@reaches(tau=below(0.25), trusted=below(0.5))
def trust_in_noise(seed: int, folder: Path) -> dict[str, float]:
    random = np.random.default_rng(seed)
    rung, macs, parameters, truth = (random.random(60).tolist() for _ in range(4))
    foretold = foretold_without_itself(rung, macs, parameters, truth)
    trusted = measure_trust(foretold, truth, macs).trusted
    return {"tau": kendalltau(foretold, truth).statistic, "trusted": float(trusted)}


@pytest.mark.parametrize("seed", range(4))
def test_noise_earns_no_trust(seed: int, tmp_path: Path) -> None:
    trust_in_noise.check(seed, tmp_path)


@settings(max_examples=20, deadline=None)
@given(number=st.integers(0, 59), other=st.floats(0, 1))
def test_nothing_is_learnt_from_what_is_foretold(number: int, other: float) -> None:
    rung, macs, parameters, truth = population(1)
    before = foretold_without_itself(rung, macs, parameters, truth)[number]
    truth[number] = other
    assert foretold_without_itself(rung, macs, parameters, truth)[number] == before


@settings(max_examples=40, deadline=None)
@given(objective=st.floats(-1, 1), macs=st.floats(1, 1e12), parameters=st.floats(1, 1e9), more=st.floats(0, 1))
def test_it_stays_within_what_was_seen_and_never_falls_with_the_rung(
    objective: float, macs: float, parameters: float, more: float
) -> None:
    outlook = fit_outlook(*population(2))
    low, high = (outlook.foretold(each, macs, parameters) for each in (objective, objective + more))
    assert outlook.trained[0] <= low <= high <= outlook.trained[-1]
    assert type(outlook).model_validate_json(outlook.model_dump_json()) == outlook


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="tell nothing"):
        fit_outlook([0.1] * 5, [1.0] * 5, [1.0] * 4, [0.1] * 5)


def test_a_rung_with_an_outlook_reports_both_selections() -> None:
    images = disc_images(24, 32)
    profiles = {"edge": load_profile("jetson-nano"), "cloud": load_profile("x86-server")}
    recipe = Recipe(epochs=2, batch_size=4)
    trainer = TrainEvaluator(images, disc_split(images), recipe, profiles)  # type: ignore[arg-type]  # names are ends
    outlook = fit_outlook(*population(3))
    plain = RungEvaluator(trainer, Rung(drawn=False, steps=3)).evaluate(TrainingTask(tiny(), 0))
    told = RungEvaluator(trainer, Rung(drawn=False, steps=3), outlook=outlook).evaluate(TrainingTask(tiny(), 0))
    costs = plain.costs["edge"]
    assert plain.objective is not None and told.metrics["rung_objective"] == plain.objective
    assert told.objective == outlook.foretold(plain.objective, costs.macs, costs.parameters)
    assert told.metrics["lesion_dice"] == plain.metrics["lesion_dice"]
