"""A search without training: an evaluator whose figures are functions of the architecture."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.configurations import study_config
from ussearch.datasets import Split
from ussearch.evaluators import (
    Costs,
    CostsByTier,
    EpochRecord,
    Evaluation,
    OnEpoch,
    Recipe,
    Scores,
    Summary,
    Tier,
    TrainingTask,
)
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.search_spaces import Architecture, FreeSpace
from ussearch.studies import DataSource, Study, StudyConfig, TrialRecord, search
from ussearch.studies.resources import SearchResources
from ussearch.studies.study import logged

EDGE, CLOUD = load_profile("jetson-nano"), load_profile("x86-server")
SPLIT = Split(train=(0, 1), validation=(2,), calibration=(3,), test=(4,), fingerprint="discs")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A real Ray cluster on this machine, with two nodes of one CPU each."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra `ray`: pip install 'ussearch[ray]'")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        made.add_node(**node)
        yield made
        made.shutdown()


def made_costs(profile: Profile, latency_ms: float, memory_mib: float) -> Costs:
    """Return costs with the limits of ``profile``."""
    return Costs(
        profile=profile.name,
        parameters=1000,
        macs=10**6,
        file_bytes=4000,
        memory_mib=memory_mib,
        latency_ms=latency_ms,
        latency_label="made up",
        latency_interval_ms=(latency_ms / 2, latency_ms * 2),
        extrapolated=True,
        excess={
            "latency_ms": latency_ms - profile.network_limit_ms(64),
            "memory_mib": memory_mib - profile.limits.memory_mib,
        },
    )


def made_summary(dice: float) -> Summary:
    """Return the summary of five images with a lesion and this Dice."""
    same = np.full(5, dice)
    truth = np.ones(5, bool)
    return Scores(dice=same, iou=same, auc=same, hd95=same, has_lesion=truth, predicted_any=truth).summary


def nothing(call: int, architecture: Architecture) -> None:
    """Do nothing before a training; named, so that the evaluator can be sent to workers."""


class FormulaEvaluator:
    """Costs grow with blocks and widths, Dice with widths up to a point: there is a trade-off to be found."""

    fidelity = "formula"

    def __init__(self, before: Callable[[int, Architecture], None] = nothing) -> None:
        self.trained: list[str] = []
        self._before = before

    def refused(self, architecture: Architecture, tier: Tier) -> bool:
        return tier == "edge" and "dynamic_conv" in architecture.features

    def costs(self, architecture: Architecture) -> CostsByTier:
        work = sum(block.width for block in architecture.blocks) * (1000 if architecture.name == "huge" else 1)
        edge = made_costs(EDGE, work / 25, 600 + work / 40)
        return {"edge": edge, "cloud": made_costs(CLOUD, work / 200, 48 + work / 40)}

    def evaluate(self, task: TrainingTask, on_epoch: OnEpoch | None = None) -> Evaluation:
        architecture, seed = task.architecture, task.seed
        self._before(len(self.trained), architecture)
        self.trained.append(architecture.id)
        if on_epoch:
            on_epoch(epoch_record())
        common: dict[str, Any] = {
            "architecture_id": architecture.id,
            "seed": seed,
            "fidelity": self.fidelity,
            "epochs": 1,
            "image_size": 64,
            "accelerator": "cpu",
            "costs": self.costs(architecture),
        }
        if architecture.name == "broken":
            return Evaluation(**common, failure="the loss became nan in epoch 1")
        width = sum(block.width for block in architecture.blocks) / len(architecture.blocks)
        dice = 1 - math.exp(-width / 60) + (seed % 97) / 10000
        weights = {"weight": torch.full((2,), dice)}
        return Evaluation(**common, metrics=made_summary(dice), weights=weights)

    def baselines(self) -> dict[str, Summary]:
        return {"empty": made_summary(0.0), "Otsu": made_summary(0.2)}


def epoch_record() -> EpochRecord:
    return EpochRecord(
        epoch=1, loss=1.0, schedule=1.0, objective=0.0, lesion_dice=0.0, false_positive_rate=None, seconds=0.0
    )


SPACE = FreeSpace.standard(64)


def make_config(**changes: Any) -> StudyConfig:
    settings: dict[str, Any] = {
        "trials": 6,
        "image_size": 64,
        "edge": EDGE,
        "cloud": CLOUD,
        "recipe": Recipe(epochs=1),
        "data": DataSource(name="discs", reader="discs", root="discs", fingerprint="f" * 64, images=5),
        "space": dict(SPACE.choices),
        "seed": 7,
    }
    return study_config(**(settings | changes))


def run_search(
    folder: Path,
    evaluator: FormulaEvaluator | None = None,
    seeds: Sequence[Architecture] = (),
    resources: SearchResources | None = None,
    **changes: Any,
) -> tuple[Study, tuple[TrialRecord, ...]]:
    """Create a study and search it to the end."""
    config = make_config(initial_architectures=tuple(seed.name for seed in seeds), **changes)
    study = Study.create(folder, config, SPLIT)
    with logged(folder):
        return study, search(study, evaluator or FormulaEvaluator(), SPACE, seeds, resources=resources)


def outcome(records: Sequence[TrialRecord]) -> list[tuple[int, str, str, float | None]]:
    """Return what a repeated search must reproduce."""
    return [(record.trial_id, record.role, record.architecture_id, record.objective) for record in records]


@pytest.fixture
def python_child() -> list[str]:
    """The start of a command that runs Python as tests do."""
    return [sys.executable, "-c"]
