"""What the way to the cloud costs beside the network's own time, and how many requests a second it carries."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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


@dataclass(frozen=True)
class Stretch:
    """A few calls one after the other: milliseconds of the calls and of their forward passes.

    ``reference_ms`` is how long a small matrix product took beside them, the slower of before and after.
    """

    reference_ms: float
    asked_ms: tuple[float, ...]
    taken_ms: tuple[float, ...]


def stretches(model: Path, count: int) -> list[Stretch]:
    """Return stretches of one client's calls."""
    asked_ms, references = [], [measure.reference(np)]
    with process(embedded_server, str(model)) as (url, pid, pipe):
        with asking(url, 5000) as client:
            for seed in range(count * TOGETHER):
                answer = client.predict(large_image(seed))
                assert answer.source == "cloud"
                asked_ms.append(answer.cloud_ms)
                if seed % TOGETHER == TOGETHER - 1:
                    references.append(measure.reference(np))
        os.kill(pid, signal.SIGINT)
        taken_ms = pipe.recv()
    parts = [slice(start, start + TOGETHER) for start in range(0, len(asked_ms), TOGETHER)]
    return [
        Stretch(max(pair), tuple(asked_ms[part]), tuple(taken_ms[part]))
        for pair, part in zip(itertools.pairwise(references), parts, strict=True)
    ]


def at_its_best(found: Sequence[Stretch]) -> list[Stretch]:
    """Return the stretches with the core at its best, by the rule of ``measure.py``; none where these are too few.

    On shared machines another tenant slows client, server and network by half, for minutes on end.
    """
    best = sorted(each.reference_ms for each in found)[len(found) // measure.FASTEST_SHARE]
    quiet = [each for each in found if each.reference_ms <= measure.AT_ITS_BEST * best]
    return quiet if len(quiet) >= measure.ENOUGH else []


def overhead(found: Sequence[Stretch]) -> Overhead | None:
    """Return the medians of calls and of their forward passes; None of nothing."""
    asked = [each for stretch in found for each in stretch.asked_ms]
    taken = [each for stretch in found for each in stretch.taken_ms]
    return Overhead(float(np.median(asked)), float(np.median(taken)), len(asked)) if asked else None


def throughput(model: Path, clients: int, seconds: float) -> float:
    """Return the answers a second of clients that ask without a pause."""
    counts = [0] * clients
    with process(embedded_server, str(model)) as (url, _, _):
        ends_s = time.perf_counter() + seconds

        def ask(place: int) -> None:
            grey = large_image(place)
            with asking(url, 5000, concurrency=1) as client:
                while time.perf_counter() < ends_s:
                    counts[place] += client.predict(grey).source == "cloud"

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(counts) / seconds
