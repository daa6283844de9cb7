"""A step of training as one CUDA graph: what is left of its time where launching costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from cards.bench import Bench
from ussearch.evaluators.training.ema import EMA


def captured_seconds(bench: Bench, name: str, batch_size: int) -> tuple[float, float]:
    """Return the seconds of a step on one batch, launched one by one and replayed as a graph.

    Forward, loss, backward, clipping, AdamW and the average are all in it; batches, augmentation and schedule are not.
    """
    eager = bench.step_seconds(_forever(step_of(bench, name, batch_size)))
    step = step_of(bench, name, batch_size)
    stream = torch.cuda.Stream(bench.device)
    stream.wait_stream(torch.cuda.current_stream(bench.device))
    with torch.cuda.stream(stream):  # memory and kernels are settled outside of the graph
        for _ in range(bench.warm_up):
            step()
    torch.cuda.current_stream(bench.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return eager, bench.step_seconds(_forever(graph.replay))


def step_of(bench: Bench, name: str, batch_size: int) -> Callable[[], None]:
    """Return a step that allocates nothing new from one call to the next and asks nothing of the card."""
    network, batch = bench.network(name), bench.batch(batch_size)
    average = EMA(network, 0.99)
    card = bench.device.type == "cuda"
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True, capturable=card)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        # NOTE: a graph must not keep casts of weights that the next replay would use again.
        with torch.autocast(bench.device.type, torch.bfloat16, enabled=card, cache_enabled=False):
            loss = bench.loss(network, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update(network)

    return step


def _forever(step: Callable[[], object]) -> Iterator[None]:
    while True:
        step()
        yield
