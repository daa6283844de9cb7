"""The whole road: data, plan, search, pair, bundle. ``run`` is also the Python interface (``ussearch.run``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ussearch.accelerators import wants_card
from ussearch.compress import Compression
from ussearch.evaluators import Tier
from ussearch.events import EnsembleChosen, FilesRead, OnEvent, PairChosen, PlanReady, StageStarted, ignore
from ussearch.files import aside_of, recover
from ussearch.pairs import Bundle, Pair, Verification, verify_bundle
from ussearch.pairs.bundles.bundle import require_replaceable
from ussearch.pairs.bundles.ensemble import EnsembleChoice
from ussearch.pairs.bundles.router import replace_router, require_reroutable
from ussearch.pairs.delivery.cloud_ensemble import choose_ensemble
from ussearch.pairs.delivery.compression import CompressionRequest, compress_finalist
from ussearch.pairs.delivery.export_pair import choose_pair, export_pair, train_pair
from ussearch.pairs.delivery.router_training import RoutingRequest, fit_router
from ussearch.pairs.routing.policies import share_policy
from ussearch.process_settings import intra_op_threads
from ussearch.run_config import RunConfig
from ussearch.search_spaces import Architecture
from ussearch.studies import Study, search
from ussearch.studies.context import StudyContext, reopen_context
from ussearch.studies.database import require_reachable
from ussearch.studies.executors import ExecutorFactory, require_cluster
from ussearch.studies.kept import Kept
from ussearch.studies.paths import as_continued, claimed
from ussearch.studies.plan import Plan
from ussearch.studies.planner import plan
from ussearch.studies.resources import resources_for
from ussearch.studies.study import logged
from ussearch.studies.timings import SearchTimings, outside_training
from ussearch.timetable import Timetable, compression_asked

LOG = logging.getLogger(__name__)
BUNDLE = "bundle"
"""Folder of the bundle in a study."""


@dataclass(frozen=True)
class ExportRequest:
    """Which pair to export and where to; None leaves the choice to the program."""

    edge: int | None = None
    cloud: int | None = None
    out: Path | None = None
    routing: RoutingRequest = field(default_factory=lambda: RoutingRequest(budget_seconds=0.0))
    """A router is learned from out-of-fold trainings that the study has, unless time is given for them."""
    compression: CompressionRequest | None = field(default_factory=CompressionRequest)
    """None: the edge network leaves as it was trained."""
    timed: bool = False
    """Whether chain and router take as long as a run leaves them."""


@dataclass(frozen=True)
class Delivery:
    """A verified bundle and what it was chosen from."""

    study: Study
    pair: Pair
    bundle: Bundle
    verification: Verification
    seconds: Mapping[str, float]
    compression: Compression | None = None
    """What the chain did to the edge network; None where it was left out."""
    ensemble: EnsembleChoice | None = None
    """Which networks answer in the cloud, and why."""
    search_timings: SearchTimings | None = None
    """Where the time of the search went; None where there was none."""

    @property
    def outside_training(self) -> float | None:
        """Share of the run's time that was neither training nor evaluation."""
        return None if self.search_timings is None else outside_training(self.seconds, self.search_timings)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON-ready data."""
        return {
            "study": str(self.study.folder),
            "bundle": str(self.bundle.folder),
            "edge_trial": self.pair.edge.number,
            "cloud_trial": self.pair.cloud.number,
            "verified": self.verification.passed,
            "compression": self.compression and self.compression.model_dump(mode="json"),
            "ensemble": self.ensemble and self.ensemble.model_dump(mode="json"),
            "costs": {tier: self.bundle.manifest.entry(tier).costs for tier in ("edge", "cloud")},
            "metrics": self.bundle.manifest.metrics.model_dump(mode="json"),
            "router": self.bundle.manifest.router.model_dump(mode="json", exclude={"model"}),
            "seconds": dict(self.seconds),
            "search_seconds": None if self.search_timings is None else self.search_timings.to_dict(),
            "share_outside_training": self.outside_training,
        }


def run(config: RunConfig, on_event: OnEvent = ignore) -> Delivery:
    """Search, choose the pair, train it at full length, export and verify it.

    Raises UserError for anything the configuration gets wrong, SearchInterrupted on Ctrl-C during the search.
    """
    with claimed(config) as folder, logged(folder):
        return _run(config, folder, on_event)


def _run(config: RunConfig, folder: Path, on_event: OnEvent) -> Delivery:
    """Do the work of ``run`` as the only driver of the study in ``folder``."""
    table = Timetable()
    with table.stage("plan", on_event):
        require_replaceable(config.output.out or folder / BUNDLE)
        if config.execution.storage is not None:
            require_reachable(config.execution.storage)
        if config.execution.ray is not None:
            require_cluster(config.execution.ray, on_gpu=wants_card(config.execution.accelerator))
        made = plan(
            as_continued(config, folder),
            Kept.of(config, folder),
            lambda done, total: on_event(FilesRead(done, total)),
        )
        study = _open(config, made, folder)
        table.keep_to(made.config.run, folder)
        on_event(PlanReady(made.continued(study.trials()), folder))
    with intra_op_threads(made.config.run.execution.threads or torch.get_num_threads()):
        return _searched(config, made, study, table, on_event)


def _searched(config: RunConfig, made: Plan, study: Study, table: Timetable, on_event: OnEvent) -> Delivery:
    """Do what was planned."""
    with table.stage("search", on_event):
        seeds = [study.config.initial(name) for name in study.config.initial_architectures]
        resources = resources_for(
            made.config.run.execution.model_copy(update={"storage": config.execution.storage}),
            on_gpu=wants_card(made.config.run.execution.accelerator),
            threads=made.config.run.execution.worker_threads(torch.get_num_threads()),
            predicted_s=made.trial_seconds,
        )
        search(
            study, made.evaluator, made.space, seeds, on_event, resources=table.timed(resources, made.expected_trials)
        )
    routing = RoutingRequest(share_policy(config.routing.offload_share))
    spec = ExportRequest(out=config.output.out, routing=routing, compression=compression_asked(config), timed=True)
    delivery = _finish(study, made.study_context, spec, table, on_event, make_executor=resources.executor)
    return replace(delivery, search_timings=resources.timings)


def export(
    folder: Path,
    spec: ExportRequest | None = None,
    *,
    data: Path | None = None,
    accelerator: str = "auto",
    on_event: OnEvent = ignore,
) -> Delivery:
    """Make a bundle of an existing study, from the best candidates or from those named by trial number.

    ``data`` says where the data set lies now, if it was moved since.
    """
    spec, table = spec or ExportRequest(), Timetable()
    with Study.driven(folder) as study:
        with table.stage("plan", on_event):
            require_replaceable(spec.out or folder / BUNDLE)
            choose_pair(study, spec.edge, spec.cloud)
            study_context = reopen_context(study, accelerator, data)
        return _finish(study, study_context, spec, table, on_event)


def route(
    folder: Path,
    request: RoutingRequest | None = None,
    *,
    bundle: Path | None = None,
    data: Path | None = None,
    accelerator: str = "auto",
    on_event: OnEvent = ignore,
) -> Bundle:
    """Fit the router of a study's bundle (``STUDY/bundle`` unless it is named) and rewrite the bundle with it.

    Networks and their metrics stay as they are. ``data`` says where the data set lies now, if it was moved.
    """
    request = request or RoutingRequest()
    place = bundle or folder / BUNDLE
    with Study.driven(folder) as study:
        recover([aside_of(place)])
        opened = Bundle.load(place)
        study_context = reopen_context(study, accelerator, data)
        require_reroutable(opened, study_context.images)
        on_event(StageStarted("route"))
        tiers: dict[Tier, Architecture] = {"edge": opened.architecture("edge"), "cloud": opened.architecture("cloud")}
        spec = fit_router(study, study_context, tiers, request, on_event=on_event)
        return replace_router(opened, study_context.images, spec)


def _open(config: RunConfig, made: Plan, folder: Path) -> Study:
    """Create the study, or continue it where that is asked for and there is one."""
    if config.output.resume and Study.exists(folder):
        return Study.resume(folder, made.config)
    study = Study.create(folder, made.config, made.study_context.split, made.study_context.images)
    study.keep_baselines({name: dict(summary) for name, summary in made.baselines.items()})
    return study


def _finish(
    study: Study,
    study_context: StudyContext,
    spec: ExportRequest,
    table: Timetable,
    on_event: OnEvent,
    *,
    make_executor: ExecutorFactory | None = None,
) -> Delivery:
    """Turn the finished trials into a verified bundle."""
    pair = choose_pair(study, spec.edge, spec.cloud)
    on_event(PairChosen(pair))
    phantoms = study.config.data.phantoms is not None
    table.lengthen(study, pair)
    with table.stage("full training", on_event):
        finalists = train_pair(study, study_context, pair, on_event, make_executor=make_executor)
    with table.stage("ensemble", on_event):
        spare_s = table.ensemble_seconds() if spec.timed else None
        cloud = choose_ensemble(study, study_context, finalists, average=spec.cloud is None, budget_seconds=spare_s)
        on_event(EnsembleChosen(cloud.choice))
    compressed = None
    if spec.compression is not None:
        with table.stage("compress", on_event):
            request = table.compression(spec.compression, phantoms=phantoms) if spec.timed else spec.compression
            compressed = compress_finalist(study, study_context, finalists["edge"], cloud, request, on_event=on_event)
    with table.stage("route", on_event):
        edge = compressed.candidate.architecture if compressed else finalists["edge"].training.architecture
        router = fit_router(
            study,
            study_context,
            {"edge": edge, "cloud": cloud.networks[0].architecture},
            table.routing(spec.routing, phantoms=phantoms) if spec.timed else spec.routing,
            pair_seconds=sum(each.evaluation.training_seconds for each in finalists.values()),
            make_executor=make_executor,
            on_event=on_event,
        )
    with table.stage("export", on_event):
        out = spec.out or study.folder / BUNDLE
        bundle = export_pair(study, study_context, finalists, cloud, out, spec=router, compressed=compressed)
    with table.stage("verify", on_event):
        verification = verify_bundle(bundle.folder)
    record = None if compressed is None else compressed.record
    return Delivery(study, pair, bundle, verification, table.seconds, compression=record, ensemble=cloud.choice)
