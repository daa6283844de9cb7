from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.errors import UserError
from ussearch.pairs.routing.conformal import images_needed, risk_threshold

ALPHA, BOUND = 0.02, 0.5


def population(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences that tell something of the loss, and Dice of both networks."""
    random = np.random.default_rng(seed)
    hard = random.beta(1.5, 3, count)
    cloud = np.clip(random.normal(0.85, 0.08, count), 0, 1)
    edge = np.clip(cloud - hard * random.exponential(0.18, count) + random.normal(0, 0.03, count), 0, 1)
    return 1 - hard + random.normal(0, 0.1, count), edge, cloud


@pytest.mark.parametrize("images", [150, 300])
def test_the_mean_loss_over_many_draws_is_as_promised(images: int) -> None:
    """alpha - 2B/(n+1) - 3 SE <= mean loss <= alpha + 2 SE, offload at most 10 points above the naive one."""
    confidence, edge, cloud = population(6000)
    losses, offloads, naive_offloads, random = [], [], [], np.random.default_rng(1)
    for _ in range(400):
        order = random.permutation(len(edge))
        seen, new = order[:images], order[images:]
        threshold, certificate = risk_threshold(confidence[seen], edge[seen], cloud[seen], alpha=ALPHA, bound=BOUND)
        stays = confidence[new] >= threshold
        losses.append((np.clip(cloud[new] - edge[new], 0, BOUND) * stays).mean())
        offloads.append(certificate.offload_share)
        naive_offloads.append(certificate.naive_offload_share)
    error = np.std(losses, ddof=1) / math.sqrt(len(losses))
    assert ALPHA - 2 * BOUND / (images + 1) - 3 * error <= np.mean(losses) <= ALPHA + 2 * error
    assert np.mean(offloads) <= np.mean(naive_offloads) + 0.10


@given(st.integers(1, 60), st.sampled_from([0.02, 0.05, 0.1]), st.integers(0, 99))
def test_the_lowest_threshold_that_satisfies_the_inequality_is_taken(images: int, alpha: float, seed: int) -> None:
    confidence, edge, cloud = (np.round(each, 2) for each in population(images, seed))
    if images < images_needed(alpha, BOUND):
        with pytest.raises(UserError, match=f"expected at least {images_needed(alpha, BOUND)}"):
            risk_threshold(confidence, edge, cloud, alpha=alpha, bound=BOUND)
        return

    def holds(threshold: float) -> bool:
        loss = (np.clip(cloud - edge, 0, BOUND) * (confidence >= threshold)).mean()
        return bool(images / (images + 1) * loss + BOUND / (images + 1) <= alpha + 1e-12)

    threshold, certificate = risk_threshold(confidence, edge, cloud, alpha=alpha, bound=BOUND)
    assert holds(threshold)
    lower = [each for each in [*confidence, -1e9] if (confidence < each).mean() < (confidence < threshold).mean()]
    assert not any(holds(each) for each in lower)
    assert certificate.offload_share == pytest.approx((confidence < threshold).mean())


@pytest.mark.parametrize(("alpha", "bound", "needed"), [(0.02, 0.5, 24), (0.01, 0.5, 49), (0.03, 0.5, 16)])
def test_the_number_needed_is_that_of_the_formula(alpha: float, bound: float, needed: int) -> None:
    assert images_needed(alpha, bound) == needed == math.ceil(bound / alpha) - 1
    confidence, edge, cloud = population(needed)
    risk_threshold(confidence, edge, cloud, alpha=alpha, bound=bound)
    with pytest.raises(UserError, match=f"{needed - 1} calibration images are too few.*expected at least {needed}"):
        risk_threshold(confidence[1:], edge[1:], cloud[1:], alpha=alpha, bound=bound)


def test_a_certificate_says_what_it_is_not() -> None:
    confidence, edge, cloud = population(24)
    _, few = risk_threshold(confidence, edge, cloud, alpha=ALPHA, bound=BOUND)
    assert few.vacuous
    assert few.weak
    assert "vacuous" in few.sentence
    assert "weak" in few.sentence
    _, many = risk_threshold(*population(2000), alpha=ALPHA, bound=BOUND)
    assert not many.vacuous
    assert not many.weak
    assert "weak" not in many.sentence
    assert "on average over calibration sets, not per site" in many.sentence


@pytest.mark.parametrize(("alpha", "bound"), [(0, 0.5), (0.5, 0.5), (0.02, 1.5), (float("nan"), 0.5)])
def test_impossible_risks_are_refused(alpha: float, bound: float) -> None:
    with pytest.raises(UserError, match="expected 0 < risk < bound <= 1"):
        risk_threshold(*population(300), alpha=alpha, bound=bound)
