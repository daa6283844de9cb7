"""Searches on a real Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.accelerators.test_choice import Cards
from tests.evaluators.conftest import tiny
from tests.studies.conftest import SPACE, SPLIT, make_config, outcome, run_search
from tests.studies.executors.conftest import collected
from tests.studies.executors.test_workers import assert_each_once, seed_of
from tests.studies.executors.troubles import TroubledEvaluator
from ussearch.accelerators import supplied
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, OnEpoch, TrainingTask
from ussearch.events import Event, TrainingEpoch, TrialRepeated
from ussearch.studies import Study, search
from ussearch.studies.executors import RayExecutor
from ussearch.studies.executors.ray_cluster import gpu_share
from ussearch.studies.resources import SearchResources

TRIALS = 8
WORKERS = 2


@pytest.mark.parametrize(
    ("workers", "gpus", "share"), [(1, 1, 1), (2, 1, 0.5), (3, 2, 0.5), (8, 8, 1), (2, 8, 1), (4, 0, 1)]
)
def test_every_worker_gets_its_share_of_a_gpu(workers: int, gpus: float, share: float) -> None:
    assert gpu_share(workers, gpus) == share


@pytest.mark.parametrize("address", ["nowhere", "ray://127.0.0.1:10001", "127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_named_at_once(tmp_path: Path, address: str) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with pytest.raises(UserError, match=r"No Ray cluster can be reached at .*HOST:PORT"):
        RayExecutor(TroubledEvaluator(tmp_path), 1, address)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"ussearch\[ray\]"):
        RayExecutor(TroubledEvaluator(tmp_path), 1)


@pytest.mark.slow
def test_a_killed_and_a_hanging_task_are_lost_with_the_reason(tmp_path: Path, cluster: Any) -> None:
    evaluator = TroubledEvaluator(tmp_path, {1: ("killed", 1), 2: ("hang", 1)})
    executor = RayExecutor(evaluator, WORKERS, cluster.address)
    try:
        for seed in (1, 2, 3):
            executor.submit(TrainingTask(tiny(), seed, seed, limit_s=5))
        outcomes, _ = collected(executor, 3)
    finally:
        executor.close()
    assert outcomes[1].evaluation is None and "lost (WorkerCrashedError" in outcomes[1].reason
    assert outcomes[2].evaluation is None and "time limit of 5 s" in outcomes[2].reason
    assert outcomes[3].evaluation is not None


@pytest.mark.slow
def test_a_node_killed_in_the_middle_of_a_search_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    from ray.cluster_utils import Cluster

    folder = tmp_path / "undisturbed"
    folder.mkdir()
    _, undisturbed = run_search(folder / "s", TroubledEvaluator(folder), trials=TRIALS, workers=WORKERS)

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    doomed = cluster.add_node(**node)
    evaluator = TroubledEvaluator(tmp_path, {seed_of(trial_id): ("hang", 1) for trial_id in (2, 3)})
    study = Study.create(tmp_path / "s", make_config(trials=TRIALS, workers=WORKERS), SPLIT)
    repeated: dict[int, str] = {}

    def on_event(event: Event) -> None:
        """Kill one node while both are in the middle of a trial, then add another; the other trial hangs on."""
        if isinstance(event, TrialRepeated):
            repeated[event.trial_id] = event.reason
        both = all((tmp_path / f"{seed_of(trial_id)}.1").exists() for trial_id in (2, 3))
        if isinstance(event, TrainingEpoch) and event.trial_id in (2, 3) and both and not killed:
            killed.append(doomed)
            cluster.remove_node(doomed, allow_graceful=False)
            cluster.add_node(**node)

    killed: list[Any] = []
    try:
        resources = SearchResources(
            lambda each: RayExecutor(each, WORKERS, cluster.address), limit_s=lambda architecture: 40
        )
        records = search(study, evaluator, SPACE, on_event=on_event, resources=resources)
    finally:
        cluster.shutdown()
    print("\ntrials repeated:", repeated)  # noqa: T201
    assert killed and set(repeated) == {2, 3}
    assert any("NodeDied" in reason or "WorkerCrashed" in reason for reason in repeated.values())
    assert outcome(records) == outcome(undisturbed)
    assert_each_once(study, records)


class PlacedEvaluator(TroubledEvaluator):
    """Says where it was told to train; it came from a driver with a card of its own number."""

    def __init__(self, folder: Path, device: str) -> None:
        super().__init__(folder, {3: ("spoilt", 1)})
        self.device = torch.device(device)

    def evaluate(self, task: TrainingTask, on_epoch: OnEpoch | None = None) -> Evaluation:
        (self.folder / f"device.{task.seed}").write_text(f"{self.device} {os.environ.get('CUDA_VISIBLE_DEVICES')}")
        return super().evaluate(task, on_epoch)


@pytest.mark.slow
def test_tasks_use_the_gpu_that_they_are_given_in_one_process(tmp_path: Path) -> None:
    """Ray is told of a GPU that is not there; what a task sees of it is as on one that is."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        with supplied(Cards(2)):
            executor = RayExecutor(PlacedEvaluator(tmp_path, "cuda:1"), 1, cluster.address, on_gpu=True)
        for seed in (1, 2, 3, 4):
            executor.submit(TrainingTask(tiny(), seed, seed))
        outcomes, _ = collected(executor, 4)
        executor.close()
    finally:
        cluster.shutdown()
    assert {(tmp_path / f"device.{seed}").read_text() for seed in (1, 2, 3, 4)} == {"cuda 0"}
    processes = [(tmp_path / f"{seed}.1").read_text() for seed in (1, 2, 3, 4)]
    assert processes[0] == processes[1] == processes[2] != processes[3], "the third spoilt it"
    assert [outcomes[seed].evaluation is None for seed in (1, 2, 3, 4)] == [False, False, True, False]
    assert "worker on the Ray cluster was lost" in outcomes[3].reason
