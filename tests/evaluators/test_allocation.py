"""What training frees is used again instead of being asked from the kernel anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PAGES = """
import resource, torch, ussearch.evaluators
from ussearch.process_settings import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        first, second = torch.zeros(2**24), torch.zeros(2**24)
        del first, second
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
print(faults())
keep_freed_memory()
faults()
print(faults())
"""
MAPPED = 10 * 2**24 * 4 // 4096
"""Pages of ten tensors of 64 MiB."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is told is glibc's")
def test_large_blocks_are_mapped_once() -> None:
    done = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True)
    plain, _, kept = map(int, done.stdout.split())
    if plain < MAPPED // 2:
        pytest.skip(f"this kernel needed {plain} page faults for {MAPPED} pages: nothing to save")
    assert kept < MAPPED // 50
