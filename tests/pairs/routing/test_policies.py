from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ussearch.errors import UserError
from ussearch.pairs.routing.policies import (
    CalibrationScores,
    CallsPolicy,
    LatencyPolicy,
    Policy,
    RiskPolicy,
    SharePolicy,
    edge_only,
)

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.uniform(0, 1, 200)
SEEN = CalibrationScores(SCORES, np.clip(SCORES, 0, 1), np.clip(SCORES + 0.1, 0, 1))


def share(policy: Policy, seen: CalibrationScores = SEEN) -> float:
    return float(policy.decide(seen).router.offloads(seen.confidence).mean())


def test_a_share_is_met() -> None:
    assert share(SharePolicy(share=0.3)) == pytest.approx(0.3)


@given(st.integers(0, 300), st.integers(1, 300))
def test_calls_never_exceed_their_budget(calls: int, per: int) -> None:
    realised = share(CallsPolicy(calls=calls, per=per))
    assert realised <= min(1, calls / per) + 1e-9
    assert realised > min(1, calls / per) - 1 / len(SCORES) - 1e-9


@given(st.floats(5, 200), st.floats(1, 300))
def test_the_mean_latency_keeps_within_its_budget(mean_ms: float, cloud_ms: float) -> None:
    policy = LatencyPolicy(mean_ms=mean_ms, cloud_ms=cloud_ms, edge_ms=5)
    assert 5 + share(policy) * cloud_ms <= mean_ms + 1e-6


def test_an_edge_that_is_too_slow_is_refused() -> None:
    with pytest.raises(UserError, match=r"takes 5.0 ms, 4 ms on average"):
        LatencyPolicy(mean_ms=4, cloud_ms=50, edge_ms=5).decide(SEEN)


def test_a_risk_comes_with_its_certificate() -> None:
    decision = RiskPolicy(alpha=0.05).decide(SEEN)
    assert decision.certificate is not None
    assert decision.reason == decision.certificate.sentence
    assert decision.certificate.offload_share == share(RiskPolicy(alpha=0.05))


def test_edge_only_sends_nothing_however_unsure() -> None:
    decision = edge_only("because")
    assert not decision.router.offloads(np.array([-1e30, 0.0, 1.0, np.nan])).any()


@pytest.mark.parametrize(
    "policy",
    [
        SharePolicy(share=0.1),
        CallsPolicy(calls=3, per=10),
        LatencyPolicy(mean_ms=9, cloud_ms=5, edge_ms=2),
        RiskPolicy(),
    ],
)
def test_policies_are_read_as_they_were_written(policy: Policy) -> None:
    assert TypeAdapter(Policy).validate_python(policy.model_dump(mode="json")) == policy
