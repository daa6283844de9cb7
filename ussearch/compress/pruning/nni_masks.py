"""Importances from the masks of NNI's pruners (extra ``nni``); the surgery stays torch-pruning's.

A mask says which channels of a layer one sparsity would keep. Asked at many sparsities, a pruner ranks all of them: the
score of a channel is the share of sparsities that it survives. NNI's sparsity is one ratio for every layer, so these
scores say little about one layer against another. Its own surgery, ``ModelSpeedup``, fails on current PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ussearch.compress.pruning.channel_groups import ChannelGroup
from ussearch.compress.pruning.channels import Channels
from ussearch.compress.pruning.importance import IMPORTANCES, Evidence, Importance, group_l2
from ussearch.errors import UserError
from ussearch.search_spaces import Network

SPARSITIES = tuple(step / 20 for step in range(1, 20))
STEPS = 30
"""Optimiser steps for the pruners that train (Slim, AGP, movement)."""
LEARNING_RATE = 1e-3

Trainer = Callable[[], Any]
"""Makes NNI's evaluator, which trains the network while a pruner watches."""
MakePruner = Callable[[Any, Network, list[dict[str, Any]], Trainer, int], Any]
"""(NNI's module of pruners, network, NNI's configuration, trainer, number of batches) -> pruner that has masks."""


def _fpgm(pruners: Any, network: Network, config: list[dict[str, Any]], trainer: Trainer, batches: int) -> Any:
    pruner = pruners.FPGMPruner(network, config)
    pruner.compress()
    return pruner


def _taylor(pruners: Any, network: Network, config: list[dict[str, Any]], trainer: Trainer, batches: int) -> Any:
    class Remembering(pruners.TaylorPruner):  # type: ignore[misc]
        """Keeps what it collected, which NNI throws away with the hooks when training ends."""

        collected: Any = None

        def _collect_data(self) -> Any:
            self.collected = super()._collect_data() or self.collected
            return self.collected

    pruner = Remembering(network, config, trainer(), training_steps=batches)
    pruner.compress()
    return pruner


def _slim(pruners: Any, network: Network, config: list[dict[str, Any]], trainer: Trainer, batches: int) -> Any:
    pruner = pruners.SlimPruner(network, config, trainer(), training_steps=STEPS)
    pruner.compress()
    return pruner


def _agp(pruners: Any, network: Network, config: list[dict[str, Any]], trainer: Trainer, batches: int) -> Any:
    """Sparsity grows on AGP's schedule while the network trains; the L1 norms that are left rank the channels."""
    ranking = pruners.L1NormPruner(network, config)
    pruners.AGPPruner(ranking, interval_steps=1, total_times=STEPS, evaluator=trainer()).compress(STEPS, None)
    return ranking


def _movement(pruners: Any, network: Network, config: list[dict[str, Any]], trainer: Trainer, batches: int) -> Any:
    pruner = pruners.MovementPruner(network, config, trainer(), warmup_step=0, cooldown_begin_step=STEPS)
    pruner.compress(STEPS, None)
    return pruner


def _importance(name: str, make: MakePruner, layers: tuple[type[nn.Module], ...], trains: bool = True) -> Importance:
    """Return the importance that asks one of NNI's pruners about the weights of ``layers``."""

    def importance(network: Network, channels: Channels, units: Sequence[ChannelGroup], evidence: Evidence) -> Tensor:
        pruners = _nni_pruners(name)
        batches, loss = evidence.demanded_by(name) if trains else ((), None)
        fallback = group_l2(network, channels, units, evidence)
        config = [{"op_names": _prunable(network, channels, units, layers), "sparse_ratio": 0.5}]

        def trainer() -> Any:
            return _trainer(network, batches, loss)

        pruner = make(pruners, network, config, trainer, len(batches))
        return _filled(_survival(pruner, channels), fallback)

    return importance


for _name, _make, _layers, _trains in (
    ("nni-fpgm", _fpgm, (nn.Conv2d, nn.Linear), False),
    ("nni-taylor", _taylor, (nn.Conv2d, nn.Linear), True),
    ("nni-slim", _slim, (nn.BatchNorm2d,), True),
    ("nni-agp", _agp, (nn.Conv2d, nn.Linear), True),
    ("nni-movement", _movement, (nn.Conv2d, nn.Linear), True),
):
    IMPORTANCES.register(_name)(_importance(_name, _make, _layers, _trains))


def _nni_pruners(name: str) -> Any:
    try:
        from nni.compression import pruning
    except ImportError as error:
        raise UserError(
            f"The importance {name!r} needs NNI, which is not installed: install the extra 'nni' in an environment of "
            "its own by constraints-nni.txt, or take an importance of another name."
        ) from error
    return pruning


def _prunable(
    network: Network, channels: Channels, units: Sequence[ChannelGroup], layers: tuple[type[nn.Module], ...]
) -> list[str]:
    """Return the names of the layers of those types whose outputs may be pruned."""
    free = np.concatenate([np.empty(0, np.int64), *(unit.strands.reshape(-1) for unit in units)])
    modules = dict(network.named_modules())
    return [
        name
        for (name, side), numbers in channels.axes.items()
        if side == "out" and isinstance(modules.get(name), layers) and np.isin(numbers, free).any()
    ]


def _trainer(network: Network, batches: Sequence[tuple[Tensor, Tensor]], loss: Any) -> Any:
    """Return NNI's evaluator: plain gradient descent in evaluation mode, so that batch norms stay as they are."""
    import nni
    from nni.compression import TorchEvaluator

    def step(batch: tuple[Tensor, Tensor], model: Any) -> Tensor:
        images, masks = batch
        result: Tensor = loss(model.forward_all(images), masks)
        return result

    def train(model: Any, optimiser: Any, training_step: Any, schedulers: Any, steps: int, *epochs: Any) -> None:
        for batch in islice(cycle(batches), steps):
            optimiser.zero_grad()
            training_step(batch, model).backward()
            optimiser.step()

    optimiser = nni.trace(torch.optim.SGD)(network.parameters(), lr=LEARNING_RATE)
    return TorchEvaluator(train, optimiser, step)


def _survival(pruner: Any, channels: Channels) -> Tensor:
    """Return the share of sparsities at which the pruner's masks keep each channel; NaN where it has no mask for it."""
    # NNI offers no public way to ask again without training again; its own scheduled pruners do as much
    spaces = [space for targets in pruner._target_spaces.values() for space in targets.values()]
    asked = [space for space in spaces if space.sparse_ratio is not None]
    totals, counts = torch.zeros(channels.number, dtype=torch.float64), torch.zeros(channels.number)
    for sparsity in SPARSITIES:
        for space in asked:
            space.sparse_ratio = sparsity
        for name, masks in pruner.generate_masks().items():
            numbers = torch.from_numpy(channels.axes[name, "out"])
            kept = masks["weight"].reshape(len(numbers), -1).amax(1).double()
            totals.index_add_(0, numbers, kept)
            counts.index_add_(0, numbers, torch.ones(len(numbers)))
    return torch.where(counts > 0, totals / counts, torch.nan)


def _filled(scores: Tensor, magnitudes: Tensor) -> Tensor:
    """Rank equal scores by magnitude, and give channels without a mask the mean score."""
    small = magnitudes / magnitudes.max().clamp(min=torch.finfo(magnitudes.dtype).tiny) / len(SPARSITIES) / 2
    return torch.where(scores.isnan(), scores.nanmean(), scores) + small
