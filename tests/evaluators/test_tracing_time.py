"""From an architecture to its kernels on one core."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from statistics import median

import pytest
import torch

from ussearch.evaluators import trace
from ussearch.search_spaces import SearchSpace, build

LIMIT_S = 0.020
LENIENCY = 3
"""Machines that run tests are slower, and busy."""


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_an_architecture_of_median_size_is_traced_in_20_ms(capsys: pytest.CaptureFixture[str]) -> None:
    space = SearchSpace.standard(128)
    architectures = [space.sample(seed) for seed in range(22)]
    for architecture in architectures[:2]:
        trace.__wrapped__(architecture, 128)
    total, building = [], []
    for architecture in architectures[2:]:
        start = time.process_time()
        build(architecture, device="meta")
        built = time.process_time()
        trace.__wrapped__(architecture, 128)  # without the cache
        building.append(built - start)
        total.append(time.process_time() - built)
    tracing = median(whole - part for whole, part in zip(total, building, strict=True))
    figures = f"building {1e3 * median(building):.1f} ms, from there to the kernels {1e3 * tracing:.1f} ms (median)"
    with capsys.disabled():
        sys.stdout.write(f"\n  {figures}\n")
    assert tracing < LENIENCY * LIMIT_S
