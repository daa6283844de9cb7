"""From a finished search to a bundle: choose the pair, train it at full length, export it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ussearch import schema
from ussearch.compress import Compressed, SpeedComparison
from ussearch.compress.candidate import TFLITE, WEIGHTS
from ussearch.evaluators import PretrainedStart, Tier, TracedNetwork, trace
from ussearch.evaluators.evaluation import standing
from ussearch.evaluators.pretrained import Origin
from ussearch.events import OnEvent, ignore
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile
from ussearch.hardware_profiles.precision_pairs import measured_pair
from ussearch.hardware_profiles.profile import Precision
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.bundles.manifest import Cost, PretrainedEntry
from ussearch.pairs.bundles.provenance import provenance_of
from ussearch.pairs.bundles.writing import Member, OtherNetwork, PairData, write_bundle
from ussearch.pairs.delivery.cloud_ensemble import CloudEnsemble
from ussearch.pairs.delivery.full_training import TrainedNetwork, train_finalists
from ussearch.pairs.delivery.selection import Pair, PairCandidate, select_pair
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.studies import Study, TrialRecord
from ussearch.studies.context import StudyContext
from ussearch.studies.executors import ExecutorFactory
from ussearch.studies.resources import default_resources
from ussearch.studies.rounds import best_of_each

POSTPROCESSING = "postprocessing.json"
EXAMPLES = 4
LATENCY = {"latency_ms", "latency_interval_ms", "latency_label", "extrapolated"}
"""Costs that are those of a runtime and a precision."""
"""Test images whose answers are kept in a bundle."""


def choose_pair(study: Study, edge: int | None = None, cloud: int | None = None) -> Pair:
    """Return the best candidates for both ends among the finished trials, or those that are named.

    Of an architecture whose training went on only the best trial counts, unless another is named.
    """
    records = study.trials()
    chosen = {record.trial_id for record in best_of_each(records)} | {edge, cloud}
    return select_pair([_candidate(record) for record in records if record.trial_id in chosen], edge, cloud)


def train_pair(
    study: Study,
    study_context: StudyContext,
    pair: Pair,
    on_event: OnEvent = ignore,
    *,
    make_executor: ExecutorFactory | None = None,
) -> dict[Tier, TrainedNetwork]:
    """Train both ends at full length; an end that was trained before is taken as it is.

    ``make_executor`` has the workers, as many as the study had where it is not given.
    """
    trial_ids: dict[Tier, int] = {"edge": pair.edge.number, "cloud": pair.cloud.number}
    course = min(study.config.full_length(tier).epochs for tier in trial_ids)
    return train_finalists(
        study,
        study_context.evaluator(study.config.final_recipe.model_copy(update={"epochs": course})),
        trial_ids,
        on_event,
        make_executor=make_executor or default_resources(study.config.workers).executor,
    )


def export_pair(
    study: Study,
    study_context: StudyContext,
    finalists: dict[Tier, TrainedNetwork],
    cloud: CloudEnsemble,
    out: Path,
    *,
    spec: RouterSpec | None = None,
    compressed: Compressed | None = None,
) -> Bundle:
    """Write the bundle of two trained ends to ``out``: ``cloud`` is what answers there, perhaps more than one network.

    ``compressed`` is what was made of the edge network.

    ``spec`` says what its router is made from.
    """
    normalisation = study_context.normalisation
    lesions = [index for index in study_context.split.test if study_context.images.masks[index].any()]
    others = [index for index in study_context.split.test if index not in lesions]
    chosen = [*lesions[: EXAMPLES - 1], *others[:1], *lesions[EXAMPLES - 1 :]][:EXAMPLES]
    decode, samples = study_context.dataset.source.decode, study_context.dataset.samples
    data = PairData(
        images=study_context.images,
        split=study_context.split,
        normalisation=normalisation,
        examples=[np.asarray(decode(samples[index])[0]) for index in chosen],
        phantoms=study_context.source.phantoms,
        reading=study_context.images.reading,
    )
    members = {tier: _member(study, tier, trained) for tier, trained in finalists.items()}
    if compressed is not None:
        members["edge"] = compressed_member(members["edge"], compressed, study.config.image_size)
    members["cloud"] = averaged_member(members["cloud"], cloud)
    bundle = write_bundle(out, members["edge"], members["cloud"], data, spec, provenance=provenance_of(study))
    keep_postprocessing(study, bundle)
    return bundle


def keep_postprocessing(study: Study, bundle: Bundle) -> None:
    """Let the study keep what becomes of its pair's probabilities, and why, wherever the bundle goes."""
    content = bundle.manifest.model_dump(mode="json", include={"postprocessing", "postprocessing_choice"})
    trials = {tier: bundle.manifest.entry(tier).trial for tier in ("edge", "cloud")}
    write_atomically(study.folder / POSTPROCESSING, schema.POSTPROCESSING.to_json({"trials": trials, **content}, 1))


def _candidate(record: TrialRecord) -> PairCandidate:
    metrics, costs = record.evaluation.metrics, record.costs("edge")
    return PairCandidate(
        number=record.trial_id,
        lesion_dice=metrics.get("lesion_dice"),
        false_positive_rate=metrics.get("false_positive_rate"),
        latency_ms=costs.latency_ms,
        memory_mib=costs.memory_mib,
        edge_feasible=record.feasible("edge"),
        cloud_feasible=record.feasible("cloud"),
        empty_share=metrics.get("empty_share") or 0.0,
        standing=standing(record.evaluation.fidelity),
    )


def compressed_member(member: Member, compressed: Compressed, image_size: int) -> Member:
    """Return the edge network as it left the chain."""
    candidate, file = compressed.candidate, compressed.candidate.file
    for_litert = file is not None and file.suffix == TFLITE
    traced = trace(candidate.architecture, image_size)
    return replace(
        member,
        network=candidate.network(),
        architecture=candidate.architecture.name or candidate.architecture.id,
        architecture_yaml=candidate.architecture.to_yaml(),
        costs=_priced(traced, candidate.precision, member.profile, compressed.record.speed),
        weights=compressed.folder / WEIGHTS,
        model=None if for_litert else file,
        device_file=file if for_litert else None,
        precision="fp32" if for_litert else candidate.precision,
        compression=compressed.record_file,
        kept=compressed.record.form,
    )


def averaged_member(member: Member, ensemble: CloudEnsemble) -> Member:
    """Return the cloud network as it was chosen: the average with its members and its record."""
    first, *others = ensemble.networks
    origins = first.told.origins
    same = first.file == member.weights
    return replace(
        member,
        network=ensemble.module(),
        architecture=first.told.architecture,
        architecture_yaml=first.architecture.to_yaml(),
        trial=first.told.trial,
        costs=ensemble.costs.model_dump(exclude={"excess", "refused"}),
        weights=first.file,
        model=ensemble.model,
        pretrained=member.pretrained if same else _of_origins(origins),
        ensemble=ensemble.file,
        mean_of=ensemble.choice.title,
        others=tuple(OtherNetwork(each.architecture.to_yaml(), each.file) for each in others),
    )


def _of_origins(origins: tuple[Origin, ...]) -> PretrainedEntry | None:
    return PretrainedEntry(**origins[0].model_dump(), earlier=origins[1:]) if origins else None


def _priced(traced: TracedNetwork, precision: Precision, profile: Profile, speed: SpeedComparison) -> dict[str, Cost]:
    """Return what a bundle says of costs: where the profile prices another precision, latency as measured beside it.

    It is that of the runtime which was measured in ``precision`` on the device, or none.
    """
    figures = traced.costs(profile).model_dump(exclude={"excess", "refused"})
    if precision in ("fp32", profile.precision):
        return figures
    pair = measured_pair(profile, precision)
    if pair is not None:
        other = traced.costs(pair.other).model_dump(include=LATENCY)
        there_ms = traced.costs(pair.fp32).latency_ms
        here = "" if pair.fp32.runtime == profile.runtime else f", {figures['latency_ms']:.1f} by {profile.runtime}"
        other["latency_label"] += f" (in FP32 {there_ms:.1f} ms by {pair.fp32.runtime}{here})"
        return {**figures, **other}
    known = speed.source if speed.after_ms is None else f"{speed.after_ms:.2f} ms, {speed.source}"
    why = f"not predicted: {profile.name} prices {profile.precision}, this file computes in {precision}; {known}"
    return {**figures, "latency_ms": None, "latency_interval_ms": None, "extrapolated": None, "latency_label": why}


def _member(study: Study, tier: Tier, trained: TrainedNetwork) -> Member:
    architecture = trained.training.architecture
    costs = trained.evaluation.costs[tier]
    return Member(
        network=trained.network(),
        architecture=architecture.name or architecture.id,
        architecture_yaml=architecture.to_yaml(),
        profile=study.config.profiles[tier],
        trial=trained.trial_id,
        costs=costs.model_dump(exclude={"excess", "refused"}),
        weights=trained.weights,
        pretrained=_pretrained(_start_of(study, trained)),
    )


def _start_of(study: Study, trained: TrainedNetwork) -> PretrainedStart | None:
    """Return what a network began with that others trained: through its relatives, where it went on from them."""
    inherited = trained.evaluation.inherited
    if inherited is not None:
        return study.start_of(inherited.relative)
    return study.config.pretrained.of(trained.training.architecture)


def _pretrained(start: PretrainedStart | None) -> PretrainedEntry | None:
    """Return what a bundle tells of the weights that a network started from: the user's own have no name there."""
    return None if start is None else PretrainedEntry(**start.origins[0].model_dump(), earlier=start.earlier)
