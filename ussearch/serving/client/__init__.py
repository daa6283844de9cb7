"""The client on the device: the edge's mask first, the cloud's inside a deadline, a reason for every answer.

``guards.py`` (deadline, breaker, budget, retry) stand in ``cloud_channel.py`` before the threads that do the network's
work, ``client.py`` puts the edge before all of it.
"""

from __future__ import annotations

from ussearch.runtime.prediction import PredictionResult, Reason
from ussearch.serving.client.client import (
    AsyncEdgeClient,
    CloudOptions,
    EdgeClient,
    open_async_client,
    open_client,
    open_predictor,
)
from ussearch.serving.client.cloud_channel import CloudChannel
from ussearch.serving.client.guards import BreakerRules, CircuitBreaker, Deadline, RetryBudget, TokenBucket
from ussearch.serving.client.settings import CloudSettings
from ussearch.serving.client.shadow import ShadowSight
from ussearch.serving.client.transport import CloudFailure

__all__ = [
    "AsyncEdgeClient",
    "BreakerRules",
    "CircuitBreaker",
    "CloudChannel",
    "CloudFailure",
    "CloudOptions",
    "CloudSettings",
    "Deadline",
    "EdgeClient",
    "PredictionResult",
    "Reason",
    "RetryBudget",
    "ShadowSight",
    "TokenBucket",
    "open_async_client",
    "open_client",
    "open_predictor",
]
