"""The stages of a run: how long each took, and how long those of a run with a budget may take."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ussearch.evaluators import Tier
from ussearch.events import OnEvent, StageStarted
from ussearch.pairs import Pair
from ussearch.pairs.delivery.compression import CompressionRequest
from ussearch.pairs.delivery.final_lengths import epoch_seconds, lengths_within, router_fits
from ussearch.pairs.delivery.router_training import FOLDS, RoutingRequest
from ussearch.run_config import RunConfig
from ussearch.search_spaces import SearchSpace
from ussearch.studies import FullLength, Study
from ussearch.studies.budget import SHARES, Budget, PlanLog, SearchClock
from ussearch.studies.resources import SearchResources

LOG = logging.getLogger(__name__)
PLAN = "plan.jsonl"
PHANTOM_COMPRESSION_S = 40.0
"""Without a budget: phantoms are there to try the program in minutes. What does not fit is named with its command."""
PHANTOM_ROUTER_S = 60.0


def compression_asked(config: RunConfig) -> CompressionRequest | None:
    """Return what a run asks of the chain, besides the time that it may take; None for no chain."""
    return CompressionRequest(max_drop=config.compression.max_drop / 100) if config.compression.enabled else None


@dataclass
class Timetable:
    """How long each stage took; with a ``budget``, how long each may take."""

    seconds: dict[str, float] = field(default_factory=dict)
    budget: Budget | None = None
    begun: float = field(default_factory=time.monotonic)

    @contextmanager
    def stage(self, name: str, on_event: OnEvent) -> Iterator[None]:
        """Time the block and tell that it begins."""
        on_event(StageStarted(name))
        LOG.info("%s begins", name)
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + taken
            LOG.info("%s ends after %.1f s", name, taken)

    def keep_to(self, config: RunConfig, folder: Path) -> None:
        """Keep to the budget of a resolved run from now on; decisions are kept in the study's ``folder``."""
        if config.budget is not None:
            stages = [name for name in SHARES if name != "compress" or config.compression.enabled]
            self.budget = Budget(config.budget, PlanLog(folder / PLAN, self.begun), stages)

    def timed(self, resources: SearchResources, expected: int) -> SearchResources:
        """Return the resources of a search that ends in time, with about ``expected`` trials."""
        if self.budget is None:
            return resources
        return replace(resources, may_begin=SearchClock(self.budget), expected=expected)

    def lengthen(self, study: Study, pair: Pair) -> None:
        """Decide how long each end of a pair is trained in the time that is left, and from how many starts."""
        if self.budget is None:
            return
        budget, config, epoch_s = self.budget, study.config, epoch_seconds(study, pair)

        def lengths() -> dict[Tier, FullLength]:
            return lengths_within(
                budget.share_s("full training"),
                epoch_s,
                config.workers,
                course=config.recipe.epochs,
                most=config.final_epochs,
                goes_on=isinstance(config.search_space, SearchSpace),
            )

        def decide() -> dict[str, Any]:
            found, router_s = lengths(), budget.share_s("route", since="full training")
            learns = router_fits(found, epoch_s, config.workers, FOLDS, router_s)
            if not learns:
                budget.leave_out("route")
                found = lengths()
            return {**{tier: length.model_dump() for tier, length in found.items()}, "router": learns}

        decided = budget.log.decided("full training", decide)
        if not decided["router"]:
            budget.leave_out("route")
        edge = FullLength.model_validate(decided["edge"])
        study.lengthen({"edge": edge, "cloud": FullLength.model_validate(decided.get("cloud", edge))})

    def ensemble_seconds(self) -> float | None:
        """Return how long averages for the cloud may take to be judged and exported: as long as the export may."""
        if self.budget is None:
            return None
        share = self.budget.share_s("export", since="compress")
        return float(self.budget.log.decided("seconds for an average", lambda: round(share, 3)))

    def compression(self, request: CompressionRequest, *, phantoms: bool) -> CompressionRequest:
        """Return what a run asks of the chain: as much as the time that is left allows."""
        if self.budget is not None:
            return replace(request, budget_seconds=self.budget.decided_share_s("compress"))
        return replace(request, budget_seconds=PHANTOM_COMPRESSION_S) if phantoms else request

    def routing(self, request: RoutingRequest, *, phantoms: bool) -> RoutingRequest:
        """Return what a run asks of the router's training: as much as the time that is left allows."""
        if self.budget is not None:
            time_s = self.budget.decided_share_s("route") if "route" in self.budget.stages else 0.0
            return replace(request, budget_seconds=time_s)
        return replace(request, budget_seconds=PHANTOM_ROUTER_S) if phantoms else request
