"""The client on the device: the edge's mask first, the cloud's inside a deadline, a reason for every answer.

One guard a file (deadline, breaker, budget, retry); ``channel.py`` puts them before the threads that do the network's
work, ``client.py`` puts the edge before all of it.
"""

from __future__ import annotations

from ussearch.serving.client.client import (
    AsyncEdgeClient,
    EdgeClient,
    RoutedAnswer,
    Timings,
    open_async_client,
    open_client,
)
from ussearch.serving.client.cloud_channel import CloudChannel
from ussearch.serving.client.edge import Edge, EdgeAnswer, EdgeNetwork
from ussearch.serving.client.guards import BreakerRules, CircuitBreaker, Deadline, RetryBudget, TokenBucket
from ussearch.serving.client.reasons import CloudFailure, Reason
from ussearch.serving.client.settings import CloudSettings
from ussearch.serving.client.shadow import ShadowSight

__all__ = [
    "AsyncEdgeClient",
    "BreakerRules",
    "CircuitBreaker",
    "CloudChannel",
    "CloudFailure",
    "CloudSettings",
    "Deadline",
    "Edge",
    "EdgeAnswer",
    "EdgeClient",
    "EdgeNetwork",
    "Reason",
    "RetryBudget",
    "RoutedAnswer",
    "ShadowSight",
    "Timings",
    "TokenBucket",
    "open_async_client",
    "open_client",
]
