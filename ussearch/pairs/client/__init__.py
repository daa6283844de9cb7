"""The client on the device: the edge's mask first, the cloud's inside a deadline, a reason for every answer.

One guard a file (deadline, breaker, budget, retry); ``link.py`` puts them before the threads that do the network's
work, ``client.py`` puts the edge before all of it.
"""

from ussearch.pairs.client.breaker import BreakerRules, CircuitBreaker
from ussearch.pairs.client.budget import TokenBucket
from ussearch.pairs.client.client import AsyncEdgeClient, EdgeClient, RoutedAnswer, Timings
from ussearch.pairs.client.deadline import Deadline
from ussearch.pairs.client.edge import Edge, EdgeAnswer, EdgeNetwork
from ussearch.pairs.client.link import CloudLink
from ussearch.pairs.client.opening import open_async_client, open_client
from ussearch.pairs.client.reasons import CloudFailure, Reason
from ussearch.pairs.client.retry import RetryBudget
from ussearch.pairs.client.settings import CloudSettings
from ussearch.pairs.client.shadow import ShadowSight

__all__ = [
    "AsyncEdgeClient",
    "BreakerRules",
    "CircuitBreaker",
    "CloudFailure",
    "CloudLink",
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
