"""The network of the cloud: a single one, or the average that validation images say is better."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from ussearch import schema
from ussearch.errors import UserError
from ussearch.evaluators import THRESHOLD, Costs, Tier, predict, trace_ensemble
from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change
from ussearch.evaluators.metrics.segmentation import Floats, contributions
from ussearch.evaluators.prediction import export_network
from ussearch.files import sha256_of, write_atomically
from ussearch.pairs.bundles.ensemble import EnsembleAttempt, EnsembleChoice, EnsembleMember
from ussearch.pairs.bundles.parity import parity, require_parity
from ussearch.pairs.delivery.cloud_networks import CloudNetwork, trained_networks
from ussearch.pairs.delivery.full_training import TrainedNetwork
from ussearch.runtime.masks import dice_and_iou
from ussearch.search_spaces import Ensemble
from ussearch.studies import Study
from ussearch.studies.context import StudyContext

FOLDER = "ensembles"
MODEL = ".onnx"
MOST = 4
"""Networks of an average; each more brings less and costs as much."""
LEAST_GAIN = 0.001
"""Of the objective on validation images; an average that brings less is not worth its milliseconds."""
ASKED_AGAIN = 8
"""Validation images on which the file of an average has to answer as it does."""
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CloudEnsemble:
    """What answers in the cloud: ``networks``, the search's own choice first where it is among them."""

    networks: tuple[CloudNetwork, ...]
    choice: EnsembleChoice
    file: Path
    """The record of the choice, in the study."""
    costs: Costs

    @property
    def model(self) -> Path | None:
        """The average as the file that was tried, beside the record; None where there is none or it was damaged."""
        path = self.file.with_suffix(MODEL)
        return path if self.choice.model and path.is_file() and sha256_of(path) == self.choice.model else None

    def module(self) -> nn.Module:
        """Return it as one network, in training form and evaluation mode, on the CPU."""
        networks = [each.network() for each in self.networks]
        alone = len(networks) == 1 and not self.choice.flips
        return networks[0] if alone else Ensemble(networks, self.choice.flips).eval()

    @property
    def teachers(self) -> tuple[CloudNetwork, ...]:
        """The networks that teach the edge's by the mean of their probabilities; none where it is that alone.

        Features are learnt from the first one, which is another one than the edge's own where there is one. Mirrored
        answers would double what a lesson costs and are left out.
        """
        ordered = sorted(self.networks, key=lambda each: each.told.on_edge)
        return () if ordered[0].told.on_edge else tuple(ordered)


def choose_ensemble(
    study: Study,
    study_context: StudyContext,
    finalists: Mapping[Tier, TrainedNetwork],
    *,
    average: bool = True,
    budget_seconds: float | None = None,
) -> CloudEnsemble:
    """Return what answers in the cloud and keep why in the study; a choice that was made from the same is taken as is.

    Judged are the best two to ``MOST`` trained networks together, each also mirrored, and the pair's cloud network
    mirrored, against that network alone, by the objective on validation images; where none is better, the strongest
    alone. What exceeds the cloud's limits, or takes longer than ``budget_seconds`` to be judged and exported, is not
    tried. ``average`` False ships the pair's cloud network as it is.
    """
    path = study.folder / FOLDER / f"{finalists['edge'].trial_id:04d}-{finalists['cloud'].trial_id:04d}.json"
    pool = _Pool(study, study_context, finalists, path.with_suffix(MODEL), average, budget_seconds)
    choice = _kept(path, pool.made_from)
    if choice is None:
        choice = pool.choose()
        write_atomically(path, schema.ENSEMBLE.to_json(choice, indent=1))
    networks = tuple(pool.networks[number] for number in choice.chosen)
    return CloudEnsemble(networks, choice, path, pool.costs(choice.chosen, choice.flips))


def _kept(path: Path, made_from: str) -> EnsembleChoice | None:
    try:
        found = EnsembleChoice.model_validate(schema.ENSEMBLE.read(path))
    except (OSError, ValueError):  # there is none, or it is damaged: it is made again in seconds
        return None
    return found if found.made_from == made_from else None


@dataclass
class _Pool:
    """Trained networks and what their averages are worth."""

    study: Study
    study_context: StudyContext
    finalists: Mapping[Tier, TrainedNetwork]
    model: Path
    """Where the file of the average that ships is kept: an export of four networks takes longer than judging them."""
    average: bool
    budget_seconds: float | None
    _answers: dict[tuple[int, bool], Probabilities] = field(default_factory=dict)

    @cached_property
    def networks(self) -> tuple[CloudNetwork, ...]:
        """The strongest of what is there, the pair's cloud network among them."""
        found = trained_networks(self.study, self.finalists)
        own = [each for each in found if each.file == self.finalists["cloud"].weights]
        best = found[:MOST] if self.average else own
        return (*best, *(each for each in own if each not in best))

    @property
    def single(self) -> int:
        """The position of the pair's cloud network."""
        return next(n for n, each in enumerate(self.networks) if each.file == self.finalists["cloud"].weights)

    @cached_property
    def made_from(self) -> str:
        """Everything that the choice depends on but the time for it: a later command goes on with what was chosen."""
        context = self.study_context
        parts = [
            *(each.told.model_dump(mode="json") for each in self.networks),
            *(context.profiles["cloud"].digest, context.images.fingerprint, context.images.image_size),
            *(list(context.split.validation), self.average),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def costs(self, members: Sequence[int], flips: bool) -> Costs:
        """Return what an average costs in the cloud."""
        architectures = tuple(self.networks[number].architecture for number in members)
        size = self.study_context.images.image_size
        return trace_ensemble(architectures, flips, size).costs(self.study_context.profiles["cloud"])

    def choose(self) -> EnsembleChoice:
        """Judge all averages and return what ships."""
        attempts = [self._attempt(members, flips) for members, flips in self._candidates()]
        better = [each for each in attempts if each.change is not None and each.change.mean >= LEAST_GAIN]
        better.sort(key=lambda a: (not a.averages, -a.change.mean if a.change else 0.0, a.latency_ms))
        chosen: tuple[int, ...] = (self.single,)
        flips, reason, model = False, "nothing else is better" if self.average else "no average was to be tried", ""
        for each in better:
            refusal = self._refusal(each)
            kept = each.model_copy(update={"kept": not refusal, "reason": refusal or f"ships: {each.reason}"})
            attempts[attempts.index(each)] = kept
            if not refusal:
                chosen, flips, reason = self._ordered(each), each.flips, each.reason
                model = sha256_of(self.model) if each.averages else ""
                break
        members: tuple[EnsembleMember, ...] = tuple(each.told for each in self.networks)
        return EnsembleChoice(
            made_from=self.made_from,
            members=members,
            single=self.single,
            attempts=tuple(attempts),
            chosen=chosen,
            flips=flips,
            reason=reason,
            model=model,
        )

    def _ordered(self, attempt: EnsembleAttempt) -> tuple[int, ...]:
        """Return its members with the pair's own cloud network in front, whose name and trial a bundle tells."""
        return tuple(sorted(attempt.members, key=lambda number: (number != self.single, number)))

    def _candidates(self) -> Iterator[tuple[tuple[int, ...], bool]]:
        if self.average:
            yield (self.single,), True
            if self.single:
                yield (0,), False  # it costs no time: a cloud weaker than its edge helps nobody
            for flips in (False, True):
                for count in range(2, min(len(self.networks), MOST) + 1):
                    yield tuple(range(count)), flips

    def _attempt(self, members: tuple[int, ...], flips: bool) -> EnsembleAttempt:
        costs, change, objective = self.costs(members, flips), None, None
        seconds = self._seconds(members, flips)
        if not costs.feasible:
            limits = self.study_context.profiles["cloud"].limits_in_words(self.study_context.images.image_size)
            reason = f"beyond the cloud's limits ({limits})"
        elif self.budget_seconds is not None and seconds > self.budget_seconds and (flips or len(members) > 1):
            reason = "judging and exporting it did not fit into the budget"
        else:
            values = self._values(members, flips)
            split, images = self.study_context.split, self.study_context.images
            groups = images.groups[list(split.validation)].tolist()
            change = paired_change(self._values((self.single,), False).tolist(), values.tolist(), groups)
            objective, reason = float(values.mean()), _told(change)
        return EnsembleAttempt(
            members=members,
            flips=flips,
            latency_ms=costs.latency_ms,
            memory_mib=costs.memory_mib,
            objective=objective,
            change=change,
            kept=False,
            reason=reason,
        )

    def _seconds(self, members: Sequence[int], flips: bool) -> float:
        """Return about how long it takes to judge an average and to export it, which asks it on three parts again."""
        split = self.study_context.split
        images = len(split.validation) + 2 * len(split.calibration) + len(split.test)
        return sum(self.networks[number].seconds for number in members) * images * (2 if flips else 1)

    def _values(self, members: Sequence[int], flips: bool) -> Floats:
        """Return what each validation image adds to an average's objective, [N]."""
        sides = (False, True) if flips else (False,)
        mean = np.mean([self._answer(number, side) for number in members for side in sides], axis=0)
        truth = np.asarray(self.study_context.images.masks[list(self.study_context.split.validation)]) > 0
        predicted = mean >= THRESHOLD
        has_lesion, marked = (np.asarray(each.any(axis=(1, 2, 3))) for each in (truth, predicted))
        return contributions(dice_and_iou(predicted, truth)[0], has_lesion, marked)

    def _answer(self, number: int, mirrored: bool) -> Probabilities:
        """Return a network's probabilities on the validation images, [N, 1, H, W], asked once."""
        if (number, mirrored) not in self._answers:
            context = self.study_context
            pixels = np.asarray(context.images.images[list(context.split.validation)])
            pixels = np.ascontiguousarray(pixels[..., ::-1]) if mirrored else pixels
            found = predict(self.networks[number].network(), pixels, context.normalisation, context.device)
            self._answers[number, mirrored] = found[..., ::-1] if mirrored else found
        return self._answers[number, mirrored]

    def _refusal(self, attempt: EnsembleAttempt) -> str:
        """Return why the cloud's runtime cannot have an average as one file that answers alike; empty where it can."""
        context, profile = self.study_context, self.study_context.profiles["cloud"]
        some = np.asarray(context.images.images[list(context.split.validation)[:ASKED_AGAIN]])
        networks = [self.networks[number].network() for number in self._ordered(attempt)]
        ensemble = Ensemble(networks, attempt.flips).eval()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / self.model.name
            try:
                export_network(ensemble, context.normalisation, context.images.image_size, profile, file)
                require_parity(parity(file, ensemble, context.normalisation, some), "average")
            except UserError as error:
                return str(error)
            if attempt.averages:
                write_atomically(self.model, file.read_bytes())
        return ""


def _told(change: Change) -> str:
    low, high = 100 * change.low, 100 * change.high
    return f"objective {100 * change.mean:+.1f} points ({low:+.1f} to {high:+.1f}) on {change.images} validation images"
