"""A search that trains only where it changes the front: the ladder of fidelities.

First as many random candidates as trust needs are trained in full. On these every rung is measured, cheapest first,
until one may be trusted (``evaluators.trust``); the other candidates are judged on that rung. The best of them are then
trained in full, since a front never mixes fidelities and finalists are chosen among trained ones. Where no rung may be
trusted, all candidates are trained.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ussearch import schema
from ussearch.evaluators import Evaluator, Tier, TrainEvaluator, TrainingTask, trace
from ussearch.evaluators.evaluation import TRAINED
from ussearch.evaluators.outlook import Outlook, fit_outlook, foretold_without_itself
from ussearch.evaluators.rungs import FULL, Rung, RungEvaluator, drawn_weights, usual_ladder
from ussearch.evaluators.shared import UnknownWeights, WeightStore
from ussearch.evaluators.shared.sandwich import SandwichTraining
from ussearch.evaluators.trust import FEWEST, Trust, measure_trust
from ussearch.events import Event, OnEvent, RungChosen, RungMeasured, SearchFinished, SharedWeightsTrained
from ussearch.files import write_atomically
from ussearch.run_config import SamplerSettings
from ussearch.search_spaces import Architecture, FreeSpace
from ussearch.studies.context import StudyContext
from ussearch.studies.damage import intact
from ussearch.studies.executors import TRACEBACK, keep_traceback, run_tasks
from ussearch.studies.front import front
from ussearch.studies.records import TrialRecord
from ussearch.studies.resources import SearchResources
from ussearch.studies.search import search
from ussearch.studies.study import Study
from ussearch.studies.suggest import SearchPhase, Suggestion, derived_seed

LOG = logging.getLogger(__name__)
SAMPLES = FEWEST + 4
"""Random candidates that are trained in full; a few may fail."""
PROMOTED = 3
"""Candidates of each end that are trained in full after the rung has judged all."""
RUNG_SEED = 3
"""Purpose of the derived seed of what is done on rungs, apart from sampling (0), the search's and the full training."""


class RungRecord(BaseModel):
    """What is known of one rung in a study; ``selections`` by trial id, None where the rung had no score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fidelity: str
    seconds: float
    """Median of one candidate."""
    trust: Trust
    selections: dict[int, float | None]
    outlook: Outlook | None = None
    """What full training is foretold to reach; None where there were too few samples to learn it from."""
    foretold: dict[int, float] = {}
    """Of each sample by trial id, learnt without it; trust is measured on these."""


class LadderRecord(BaseModel):
    """The rungs that were measured, cheapest first, and the one that judges (``trained``: all are trained)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rungs: tuple[RungRecord, ...]
    chosen: str

    @property
    def judging(self) -> Rung:
        """The rung that judges."""
        return Rung.named(self.chosen)


def ladder_path(study: Study) -> Path:
    """Return where a study keeps its ladder."""
    return study.folder / "ladder.json"


def shared_path(study: Study) -> Path:
    """Return where a study keeps its shared weights."""
    return study.folder / "shared.safetensors"


def drawn_starts(
    study: Study, study_context: StudyContext
) -> Callable[[Architecture], Mapping[str, Tensor] | None] | None:
    """Return what gives an architecture the weights that it draws, or None; None where the study shares no weights."""
    path = shared_path(study)
    if not path.exists():
        return None
    store = WeightStore.load(path)

    def start(architecture: Architecture) -> Mapping[str, Tensor] | None:
        try:
            return drawn_weights(store, architecture, study_context.images, study_context.split)
        except (UnknownWeights, ValueError):  # a preset with an operator that the sampled space lacks
            return None

    return start


@dataclass(frozen=True)
class LadderSearch:
    """A search by the ladder; killed at any point, it continues where it was."""

    study: Study
    trainer: TrainEvaluator
    space: FreeSpace
    seeds: Sequence[Architecture]
    resources: SearchResources
    tell: OnEvent

    def run(self) -> None:
        """Fill the study: trust samples, candidates on the rung, the promoted ones."""
        config = self.study.config
        sampling = config.changed(search={"sampler": SamplerSettings(name="random")}, space={"edge_share": 1.0})
        self._search(self.trainer, SearchPhase(len(self.seeds) + SAMPLES, sampling))
        with self.resources.timings.aside():
            ladder = self._ladder(store := self._store())
        rung = ladder.judging
        if rung == FULL:
            self._search(self.trainer, SearchPhase(config.trials, config), last=True)
            return
        judge = RungEvaluator(self.trainer, rung, store, ladder.rungs[-1].outlook)
        self._search(judge, SearchPhase(config.trials, config, learnt=partial(_as_judged, ladder)))
        given = self._promoted(ladder)
        self._search(self.trainer, SearchPhase(config.trials + len(given), config, given=given), last=True)

    def _search(self, evaluator: Evaluator, phase: SearchPhase, *, last: bool = False) -> None:
        """Fill the slots of a stretch, unless all are filled already."""
        if {record.trial_id for record in self.study.trials()} >= set(range(phase.until)):
            return

        def tell(event: Event) -> None:
            """Pass on what happens; the end of a part that fell short of nothing is nobody's concern."""
            ended = isinstance(event, SearchFinished) and event.shortfall is None
            if last or not ended:
                self.tell(event)

        search(self.study, evaluator, self.space, self.seeds, tell, resources=self.resources, phase=phase)

    def _store(self) -> WeightStore:
        """Return the trained shared weights, trained as far as they are not yet."""
        path = shared_path(self.study)
        checkpoint = path.with_suffix(".checkpoint")
        if not path.exists():
            store = WeightStore(self.study.config.seed, self.trainer.device)
            recipe = self.trainer.recipe.model_copy(update={"epochs": self.study.config.shared_epochs, "steps": None})
            SandwichTraining(
                store,
                self.space,
                self.trainer.images,
                self.trainer.split,
                recipe,
                self._fits,
                seed=self.study.config.seed,
                checkpoint=checkpoint,
            ).run(lambda epoch: self.tell(SharedWeightsTrained(epoch)))
            store.save(path)
        checkpoint.unlink(missing_ok=True)
        return WeightStore.load(path, self.trainer.device)

    def _fits(self, architecture: Architecture) -> bool:
        """Return whether an end can hold an architecture: the largest networks need not be larger."""
        costs = trace(architecture, self.trainer.images.image_size)
        return any(costs.costs(profile).feasible for profile in self.trainer.profiles.values())

    def _ladder(self, store: WeightStore) -> LadderRecord:
        """Return the ladder of the study, measured as far as it is not yet."""
        path = ladder_path(self.study)
        if path.exists():
            with intact(path, "delete it to have the rungs measured again"):
                return LadderRecord.model_validate(schema.LADDER.read(path))
        sampled = range(len(self.seeds), len(self.seeds) + SAMPLES)
        trained = [r for r in self.study.trials() if r.trial_id in sampled and r.evaluation.fidelity == TRAINED]
        samples = [record for record in trained if record.objective is not None]
        measured: list[RungRecord] = []
        chosen = FULL
        for rung in self._rungs():
            record = self._measured(rung, RungEvaluator(self.trainer, rung, store), samples)
            measured.append(record)
            doubts = "; ".join(record.trust.doubts) or "trusted"
            LOG.info("rung %s: τ %.2f; %s", rung.fidelity, record.trust.tau, doubts)
            self.tell(RungMeasured(record.fidelity, record.seconds, record.trust))
            if record.trust.trusted:
                chosen = rung
                break
        ladder = LadderRecord(rungs=tuple(measured), chosen=chosen.fidelity)
        write_atomically(path, schema.LADDER.to_json(ladder, indent=1))
        self.tell(RungChosen(ladder.chosen))
        return ladder

    def _rungs(self) -> tuple[Rung, ...]:
        recipe, images = self.trainer.recipe, len(self.trainer.split.train)
        steps = recipe.steps or recipe.epochs * -(-images // recipe.batch_size)
        rungs = usual_ladder(steps, drawn=True)
        return tuple(rung for rung in rungs if rung.drawn or self.study.config.evaluator == "auto")

    def _measured(self, rung: Rung, judge: Evaluator, samples: Sequence[TrialRecord]) -> RungRecord:
        """Judge the samples on a rung, each once: what was found is kept."""
        folder = self.study.folder / "rungs" / rung.fidelity.replace(" ", "_")
        self._judge(
            judge, [record.trial_id for record in samples if not _kept_at(folder, record.trial_id).exists()], folder
        )
        found = {record.trial_id: _kept_in(folder, record.trial_id) for record in samples}
        scored = [record for record in samples if found[record.trial_id]["objective"] is not None]
        selections = [float(found[record.trial_id]["objective"] or 0.0) for record in scored]
        trained = [float(record.objective or 0.0) for record in scored]
        macs = [float(record.costs("edge").macs) for record in scored]
        evidence = (selections, macs, [float(record.costs("edge").parameters) for record in scored])
        enough = len(scored) >= FEWEST
        foretold = foretold_without_itself(*evidence, trained) if enough else selections
        trust = measure_trust(foretold, trained, macs, seed=self.study.config.seed)
        return RungRecord(
            fidelity=rung.fidelity,
            seconds=median(float(each["seconds"] or 0.0) for each in found.values()),
            trust=trust,
            selections={trial_id: each["objective"] for trial_id, each in found.items()},
            outlook=fit_outlook(*evidence, trained) if enough else None,
            foretold=dict(zip((record.trial_id for record in scored), foretold, strict=True)),
        )

    def _judge(self, judge: Evaluator, trial_ids: Sequence[int], folder: Path) -> None:
        """Let the workers judge the architectures of some slots, and keep what they find."""
        tasks = [
            TrainingTask(
                architecture := self.study.architecture(trial_id),
                derived_seed(self.study.config.seed, trial_id, RUNG_SEED),
                trial_id,
                limit_s=self.resources.limit_s(architecture),
            )
            for trial_id in trial_ids
        ]
        for outcome in run_tasks(tasks, judge, self.resources.executor, lambda _: None):
            objective = None if outcome.evaluation is None else outcome.evaluation.objective
            found = {"objective": objective, "seconds": outcome.seconds}
            path = _kept_at(folder, outcome.trial_id)
            keep_traceback(folder, outcome, f"{path.stem}.{TRACEBACK}")
            write_atomically(path, schema.RUNG.to_json(found))

    def _promoted(self, ladder: LadderRecord) -> dict[int, Suggestion]:
        """Return the best candidates of the rung for each end, in the slots behind all others."""
        judged = [record for record in self.study.trials() if record.evaluation.fidelity == ladder.chosen]
        chosen: dict[str, tuple[TrialRecord, Tier]] = {}
        tiers: tuple[Tier, ...] = ("edge", "cloud")
        for tier in tiers:
            best = sorted(_best_for(tier, judged), key=lambda record: -(record.objective or 0.0))
            fresh = [record for record in best if record.architecture_id not in chosen]
            chosen |= {record.architecture_id: (record, tier) for record in fresh[:PROMOTED]}
        return {
            trial_id: Suggestion(
                trial_id, tier, self.study.architecture(record.trial_id), record.evaluation.costs, record.choices
            )
            for trial_id, (record, tier) in enumerate(chosen.values(), start=self.study.config.trials)
        }


def _kept_at(folder: Path, trial_id: int) -> Path:
    return folder / f"{trial_id:04d}.json"


def _kept_in(folder: Path, trial_id: int) -> dict[str, float | None]:
    path = _kept_at(folder, trial_id)
    with intact(path, "delete it to have the candidate judged again"):
        kept: dict[str, float | None] = schema.RUNG.read(path)
    return kept


def _best_for(tier: Tier, judged: Sequence[TrialRecord]) -> Iterator[TrialRecord]:
    """Yield the front of an end, then whoever is left of those that fit it."""
    fitting = [record for record in judged if record.objective is not None and record.feasible(tier)]
    yield from front(fitting, tier) or fitting


def _as_judged(ladder: LadderRecord, record: TrialRecord) -> TrialRecord | None:
    """Return how drafts on a rung see a record: as that rung judged it, or not at all."""
    if record.evaluation.fidelity == ladder.chosen:
        return record
    objective = ladder.rungs[-1].foretold.get(record.trial_id)
    if objective is None:
        return None
    metrics = {**record.evaluation.metrics, "objective": objective}
    evaluation = record.evaluation.model_copy(update={"fidelity": ladder.chosen, "metrics": metrics})
    return record.model_copy(update={"evaluation": evaluation})
