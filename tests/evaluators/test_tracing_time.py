"""From an architecture to its kernels on one core."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from statistics import median

import pytest
import torch

from ussearch.evaluators import trace
from ussearch.search_spaces import FreeSpace

LIMIT_S = 0.020
LENIENCY = 3
"""Machines that run tests are slower, and busy."""
SEEN_BEFORE = 60
"""Architectures that a process has priced before: layers that two of them share are made once."""


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_an_architecture_of_median_size_is_traced_in_20_ms(capsys: pytest.CaptureFixture[str]) -> None:
    space = FreeSpace.standard(128)
    for seed in range(SEEN_BEFORE):
        trace.__wrapped__(space.sample(seed), 128)  # without the cache
    sizes, seconds = [], []
    for seed in range(SEEN_BEFORE, SEEN_BEFORE + 40):
        architecture = space.sample(seed)
        start = time.process_time()
        traced = trace.__wrapped__(architecture, 128)
        seconds.append(time.process_time() - start)
        sizes.append(len(traced.kernels))
    typical = [took for took, size in zip(seconds, sizes, strict=True) if abs(size - median(sizes)) <= 10]
    with capsys.disabled():
        sys.stdout.write(f"\n  {1e3 * median(typical):.1f} ms for {median(sizes):.0f} kernels (median)\n")
    assert median(typical) < LENIENCY * LIMIT_S
