"""What the way to the cloud costs beside the network's own time, and how many requests a second it carries."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from served.processes import SIDE, TimedNetwork, asking, embedded_server, large_image, process
from ussearch.hardware_profiles.measuring import measure

TOGETHER = 5
"""Calls between two matrix products: a core's speed changes within tens of milliseconds."""


def network_of(wanted_ms: float, path: Path) -> float:
    """Write convolutions at full resolution that take about ``wanted_ms`` here; returns the median milliseconds."""
    for depth in range(1, 200):
        onnx.save(convolutions(depth), path)
        network, pixels = TimedNetwork(path), np.zeros((1, 1, SIDE, SIDE), np.uint8)
        for _ in range(30):
            network.logits(pixels)
        median_ms = float(np.median(network.taken_ms))
        if median_ms >= wanted_ms:
            return median_ms
    raise RuntimeError("no depth is slow enough")


def convolutions(depth: int) -> onnx.ModelProto:
    """Return a network from ``image`` to ``logits`` of ``depth`` hidden layers with 4 channels."""
    chance = np.random.default_rng(0)
    widths = [1, *[4] * depth, 1]
    weights, nodes, name = [], [], "image"
    for layer, (before, after) in enumerate(itertools.pairwise(widths)):
        values = chance.normal(0, 0.1, (after, before, 3, 3)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(values, f"w{layer}"))
        output = "logits" if layer == depth else f"c{layer}"
        nodes.append(onnx.helper.make_node("Conv", [name, f"w{layer}"], [output], pads=[1, 1, 1, 1]))
        name = output
    ends = [
        onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, [1, 1, SIDE, SIDE])
        for end in ("image", "logits")
    ]
    graph = onnx.helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], weights)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)


@dataclass(frozen=True)
class Overhead:
    """Median milliseconds of one client's calls, and of the forward passes in the same run, over ``calls``."""

    client_ms: float
    model_ms: float
    calls: int

    @property
    def extra_ms(self) -> float:
        """What the way costs beside the network."""
        return self.client_ms - self.model_ms


def overhead(model: Path, requests: int) -> tuple[Overhead, Overhead | None]:
    """Return the overhead over all calls, and over those with the core at its best; None where these are too few.

    As in ``measure.py``, a small matrix product on both sides of every few calls tells how fast the core is: on shared
    machines another tenant slows client, server and network by half, for most of the time.
    """
    asked_ms, references = [], [measure.reference(np)]
    with process(embedded_server, str(model)) as (url, pid, pipe):
        with asking(url, 5000) as client:
            for seed in range(requests):
                answer = client.answer(large_image(seed))
                assert answer.source == "cloud"
                asked_ms.append(answer.timings.cloud_ms)
                if seed % TOGETHER == TOGETHER - 1:
                    references.append(measure.reference(np))
        os.kill(pid, signal.SIGINT)
        taken_ms = pipe.recv()
    beside = [max(pair) for pair in itertools.pairwise(references)]
    best = sorted(beside)[len(beside) // measure.FASTEST_SHARE]
    quiet = np.repeat(np.array(beside) <= measure.AT_ITS_BEST * best, TOGETHER)
    asked, taken = np.array(asked_ms)[: len(quiet)], np.array(taken_ms)[: len(quiet)]
    enough = quiet.sum() >= measure.ENOUGH * TOGETHER
    return medians(asked, taken), medians(asked[quiet], taken[quiet]) if enough else None


def medians(asked_ms: npt.NDArray[np.float64], taken_ms: npt.NDArray[np.float64]) -> Overhead:
    """Return the medians of calls and of their forward passes."""
    return Overhead(float(np.median(asked_ms)), float(np.median(taken_ms)), len(asked_ms))


def throughput(model: Path, clients: int, seconds: float) -> float:
    """Return the answers a second of clients that ask without a pause."""
    counts = [0] * clients
    with process(embedded_server, str(model)) as (url, _, _):
        ends_s = time.perf_counter() + seconds

        def ask(place: int) -> None:
            grey = large_image(place)
            with asking(url, 5000, concurrency=1) as client:
                while time.perf_counter() < ends_s:
                    counts[place] += client.answer(grey).source == "cloud"

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(counts) / seconds
