"""What all tests share: one thread, and where the real data lies if it is there."""

from __future__ import annotations

import os
import signal
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_COLOR", "1")
os.environ["COLUMNS"] = "200"  # whatever the runner sets: tables are compared as text

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from ussearch.process_settings import settle

torch.set_num_threads(1)
settle()
# A shell starts what it puts in the background with SIGINT ignored, and so would be what tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("ussearch", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", parent=settings.get_profile("ussearch"), derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ussearch"))

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that ask for it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data beside the checkout (../shared)")
    return SHARED


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache, profiles and weights out of tests; one cache a session, so that data is decoded once."""
    folder = tmp_path_factory.getbasetemp() / "ussearch-cache"
    monkeypatch.setenv("USSEARCH_CACHE_DIR", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))
    monkeypatch.setenv("USSEARCH_WEIGHTS_DIR", str(tmp_path_factory.getbasetemp() / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.getbasetemp() / "torch"))


@pytest.fixture(scope="module")
def benchmarks_importable() -> Iterator[None]:
    """Let a module of tests import the programs in ``benchmarks``, which are no package."""
    folder = str(Path(__file__).resolve().parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)
