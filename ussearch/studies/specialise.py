"""A new front for another device from what a study already knows: accuracies are kept, only costs are new."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ussearch.errors import UserError
from ussearch.evaluators import CONVENTION, Costs, Evaluation, trace
from ussearch.evaluators.costs import refusals
from ussearch.evaluators.evaluation import standing
from ussearch.hardware_profiles import Profile
from ussearch.search_spaces import Architecture
from ussearch.studies.front import front
from ussearch.studies.pareto import METRICS
from ussearch.studies.records import TrialRecord
from ussearch.studies.study import Study


@dataclass(frozen=True)
class Known:
    """An architecture whose accuracy is known; ``trial`` is its number where it is a trial of the study."""

    architecture: Architecture
    evaluation: Evaluation
    trial: int | None = None

    @property
    def label(self) -> str:
        """What it is called, or the architecture's id."""
        return self.architecture.name or self.architecture.id

    @property
    def folder(self) -> str:
        """What a folder of it is called: sentences are no names for folders."""
        return self.architecture.id if self.architecture.derivation else self.label


KnownAccuracies = Callable[[Study], Iterable[Known]]
"""Where accuracies come from: the study's records, or any other. Nothing may be trained."""


@dataclass(frozen=True)
class Priced:
    """A known architecture with its costs on the new device, as the front sees it."""

    known: Known
    record: TrialRecord

    @property
    def costs(self) -> Costs:
        """The costs on the new device."""
        return self.record.costs("edge")


@dataclass(frozen=True)
class Specialised:
    """What a study offers another device: ``fitting`` with the ``front`` first, and why the others cannot serve."""

    study: Study
    profile: Profile
    fitting: tuple[Priced, ...]
    front: frozenset[int]
    """Positions in ``fitting``."""
    over: tuple[Priced, ...]
    """Those beyond a limit."""
    dropped: dict[str, str]
    """Labels of all that the device cannot use, with the reason."""
    seconds: float

    @property
    def best(self) -> list[Priced]:
        """All that fit, in the order in which they deserve full training: the front before the others, best first."""
        order = sorted(
            range(len(self.fitting)),
            key=lambda position: (position not in self.front, *_merit(self.fitting[position].known.evaluation)),
        )
        return [self.fitting[position] for position in order]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        config = self.study.config
        return {
            "study": str(self.study.folder),
            "profile": self.profile.name,
            "made_for": config.edge.name,
            "image_size": config.image_size,
            "latency_source": self.profile.label,
            "limits": {
                "latency_ms": self.profile.network_limit_ms(config.image_size),
                "postprocessing_ms": self.profile.postprocessing_ms(config.image_size),
                "memory_mib": self.profile.limits.memory_mib,
            },
            "convention": CONVENTION,
            "seconds": self.seconds,
            "candidates": [self.row(position) for position in range(len(self.fitting))],
            "dropped": dict(self.dropped),
        }

    def row(self, position: int) -> dict[str, Any]:
        """Return one fitting candidate as JSON-ready data."""
        known, costs = self.fitting[position].known, self.fitting[position].costs
        evaluation = known.evaluation
        return {
            "trial": known.trial,
            "name": known.architecture.name or None,
            "architecture_id": known.architecture.id,
            "on_front": position in self.front,
            "fidelity": evaluation.fidelity,
            "epochs": evaluation.epochs,
            **{name: evaluation.metrics.get(name) for name in METRICS},
            "latency_ms": costs.latency_ms,
            "latency_interval_ms": list(costs.latency_interval_ms),
            "extrapolated": costs.extrapolated,
            "memory_mib": costs.memory_mib,
            "parameters": costs.parameters,
            "macs": costs.macs,
        }


def known_from_records(study: Study) -> Iterator[Known]:
    """Yield every trial of the study that finished well."""
    for record in study.trials():
        if not record.failed:
            yield Known(study.architecture(record.trial_id), record.evaluation, record.trial_id)


def specialise(
    study: Study,
    profile: Profile,
    candidates: int = 500,
    sources: Sequence[KnownAccuracies] = (known_from_records,),
) -> Specialised:
    """Price at most ``candidates`` architectures of known accuracy for ``profile``; nothing is trained or written.

    Of more than that, those of the highest fidelity and the best objective are taken. An architecture counts once a
    fidelity; dominance is computed within one.

    Raises UserError where the study knows no accuracy yet or nothing it knows can serve the device.
    """
    start = time.perf_counter()
    chosen = _chosen(study, sources, candidates)
    dropped: dict[str, str] = {}
    priced: list[Priced] = []
    for number, known in enumerate(chosen):
        refused = refusals(known.architecture, profile)
        if refused:
            dropped[known.label] = "; ".join(refused)
        else:
            priced.append(_priced(study, profile, number, known))
    over = tuple(each for each in priced if not each.costs.feasible)
    dropped |= {each.known.label: _excess(each.costs, profile, study.config.image_size) for each in over}
    fitting = [each for each in priced if each.costs.feasible]
    if not fitting:
        why = _why(profile, dropped, study.config.data.root)
        raise UserError(f"Nothing of the {len(chosen)} candidates in {study.folder} can serve {why}")
    trial_ids = {record.trial_id for record in front([each.record for each in fitting], "edge", True, study.baselines)}
    fitting.sort(key=lambda each: (each.record.trial_id not in trial_ids, each.costs.latency_ms))
    on_front = frozenset(position for position, each in enumerate(fitting) if each.record.trial_id in trial_ids)
    seconds = time.perf_counter() - start
    return Specialised(study, profile, tuple(fitting), on_front, over, dropped, seconds)


def _chosen(study: Study, sources: Sequence[KnownAccuracies], candidates: int) -> list[Known]:
    """Return what is priced, each architecture once a fidelity."""
    found: dict[tuple[str, str], Known] = {}
    for known in sorted(chain.from_iterable(source(study) for source in sources), key=_known_merit):
        found.setdefault((known.architecture.id, known.evaluation.fidelity), known)
    if not found:
        raise UserError(f"{study.folder} knows no accuracy yet: expected trials that finished well; search first.")
    return list(found.values())[:candidates]


def _known_merit(known: Known) -> tuple[float, float]:
    return _merit(known.evaluation)


def _merit(evaluation: Evaluation) -> tuple[float, float]:
    """Return a key that sorts the most trained first, among those the best."""
    return -standing(evaluation.fidelity), -(evaluation.objective or 0.0)


def _priced(study: Study, profile: Profile, number: int, known: Known) -> Priced:
    costs = trace(known.architecture, study.config.image_size).costs(profile)
    record = TrialRecord(
        trial_id=number,
        role="edge",
        name=known.architecture.name,
        architecture_id=known.architecture.id,
        started="",
        finished="",
        evaluation=known.evaluation.model_copy(update={"costs": {"edge": costs}}),
    )
    return Priced(known, record)


def _excess(costs: Costs, profile: Profile, image_size: int) -> str:
    over = []
    if costs.excess["latency_ms"] > 0:
        beside = " beside post-processing" if profile.postprocessing else ""
        over.append(f"{costs.latency_ms:.1f} ms, at most {profile.network_limit_ms(image_size):.1f}{beside}")
    if costs.excess["memory_mib"] > 0:
        over.append(f"{costs.memory_mib:.0f} MiB, at most {profile.limits.memory_mib:.0f}")
    return "; ".join(over)


def _why(profile: Profile, dropped: dict[str, str], data: str) -> str:
    label, reason = next(iter(dropped.items()))
    search = shlex.join(["ussearch", "run", "--profile", profile.name, *(["--data", data] if data else [])])
    return f"{profile.name} ({label}: {reason}): search for that device with {search}."
