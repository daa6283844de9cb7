"""What a network of a study still says after pruning, by criterion and share of channels, before any training.

python benchmarks/importances.py STUDY --trial N [--ratios 0.06,0.13,0.25,0.5]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from ussearch.compress.pruning import prune
from ussearch.datasets import Batches, Normalisation
from ussearch.evaluators import predict
from ussearch.evaluators.training.losses import make_loss
from ussearch.pairs.delivery.export_pair import choose_pair, train_pair
from ussearch.process_settings import settle
from ussearch.runtime.masks import dice_of
from ussearch.search_spaces import Network
from ussearch.studies import Study
from ussearch.studies.context import reopen_context

CRITERIA = ("l2", "taylor", "lamp", "random")
BATCHES = 16


def main() -> None:
    """Print mean Dice over validation images, two empty masks counting 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--trial", type=int)
    parser.add_argument("--ratios", default="0.06,0.13,0.25,0.5")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settle()
    study = Study.open(arguments.study)
    bench = reopen_context(study, "cpu")
    pair = choose_pair(study, arguments.trial)
    network = train_pair(study, bench, pair)["edge"].network()
    normalisation = Normalisation.fit(bench.images.images, bench.split.train)
    batches = Batches(
        bench.images, bench.split.train, normalisation, study.config.recipe.batch_size, seed=0, augment=False
    )
    seen = [batch for _, batch in zip(range(BATCHES), batches.epoch(0), strict=False)]
    chosen = list(bench.split.validation)

    def dice(pruned: Network) -> float:
        probabilities = predict(pruned, bench.images.images[chosen], normalisation)
        return float(np.mean(dice_of(probabilities, bench.images.masks[chosen])))

    print(f"trial {pair.edge.number}, whole: {dice(network):.3f}")
    for criterion in CRITERIA:
        for ratio in map(float, arguments.ratios.split(",")):
            pruned = prune(
                network,
                study.config.image_size,
                ratio=ratio,
                importance=criterion,
                batches=seen,
                loss=make_loss(study.config.recipe),
            )
            print(f"{criterion} {ratio}: {pruned.after} of {pruned.before} channels, Dice {dice(pruned.network):.3f}")


if __name__ == "__main__":
    main()
