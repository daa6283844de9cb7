"""The whole of compression: the chain, the plain alternative beside it, and what leaves the house in the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ussearch import schema
from ussearch.accelerators import state_on_host
from ussearch.compress.acceptance import Compression, StepRecord, WidthMultiplierRecord
from ussearch.compress.candidate import MODEL, ONNX, CompressionCandidate
from ussearch.compress.chain import Chain, compared
from ussearch.compress.context import Context
from ussearch.compress.evaluate import evaluate, model_file
from ussearch.compress.steps import Step
from ussearch.compress.width_multiplier import against_width_multiplier
from ussearch.evaluators.metrics.paired_bootstrap import paired_change
from ussearch.events import WidthMultiplierEvaluated
from ussearch.files import staged_directory, write_atomically
from ussearch.search_spaces import Architecture, Network

SHRINKING = ("prune",)
"""Steps that change widths: what they leave is held against uniform scaling."""
COMPRESSION = "compression.json"


@dataclass(frozen=True)
class Compressed:
    """What left the chain, and the record of how."""

    candidate: CompressionCandidate
    record: Compression
    place: Path
    """Where the chain is kept."""

    @property
    def model(self) -> Path:
        """The file that is shipped."""
        own = self.candidate.file
        return self.place / f"{MODEL}{ONNX if own is None else own.suffix}"

    @property
    def folder(self) -> Path:
        """Architecture and weights of the network that is shipped."""
        return self.place / "network"

    @property
    def record_file(self) -> Path:
        """The record of every attempt."""
        return self.place / COMPRESSION


def compress(
    architecture: Architecture,
    network: Network,
    steps: Sequence[Step],
    context: Context,
    *,
    uniform_epochs: int | None = None,
    trainings: float = math.inf,
    skipped: dict[str, str] | None = None,
) -> Compressed:
    """Send a trained network (training form) through ``steps`` and keep the record in the context's folder.

    Where pruning was tried, the same architecture scaled uniformly is trained for ``uniform_epochs`` and distilled as
    long as the chain's: beside what was pruned, or in place of pruning that was undone. What ships of the two goes on
    to the steps after. None leaves that comparison out, and the record says so. ``trainings`` of ``context.epochs`` are
    what a budget pays for; ``skipped`` are steps that were left out, with the reason. What is slower than the deploy
    form that came in does not leave: that form ships then. A chain that was killed continues.
    """
    weights = state_on_host(network.state_dict())
    original = CompressionCandidate(architecture, weights)
    chain = Chain(context, original, trainings_left=trainings)
    last = max((number for number, step in enumerate(steps, 1) if step.name in (*SHRINKING, "distil")), default=0)
    chain.run(steps[:last])
    uniform = None
    kept = _kept(chain.records, SHRINKING)
    refused = None if kept else _faster_but_undone(chain)
    if uniform_epochs is not None and (kept or refused):
        uniform, chain.candidate = against_width_multiplier(original, chain.candidate, context, uniform_epochs, refused)
        context.on_event(WidthMultiplierEvaluated(uniform))
    chain.run(steps[last:])
    return _finished(original, chain, uniform, context, skipped or {})


def _finished(
    original: CompressionCandidate,
    chain: Chain,
    uniform: WidthMultiplierRecord | None,
    context: Context,
    skipped: dict[str, str],
) -> Compressed:
    start, end = replace(original, fused=True), chain.candidate
    kept = [record.step for record in chain.records if record.kept]
    if uniform is not None and uniform.shipped:
        kept = ["uniform", *(name for name in kept if name == "quantise")]
    speed = compared(start, end, context)
    if speed.slower:  # each step by less than two measurements differ, together by more
        end, kept, speed = start, ["fuse"], compared(start, start, context)
    before, after = evaluate(start, context), evaluate(end, context)
    record = Compression(
        profile=context.profile.name,
        architecture_id=original.architecture.id,
        architecture=original.architecture.name or original.architecture.id,
        records=tuple(chain.records),
        uniform=uniform,
        skipped=skipped,
        start=before,
        end=after,
        speed=speed,
        change=paired_change(before.dice, after.dice, context.groups, context.seed),
        form=", ".join(kept) or "as it was",
    )
    done = Compressed(end, record, context.folder)
    write_atomically(done.model, model_file(end, context).read_bytes())
    with staged_directory(done.folder) as staging:
        end.save(staging)
    write_atomically(done.record_file, schema.COMPRESSION.to_json(record.model_dump(mode="json"), indent=1))
    for stale in set(context.folder.glob(f"{MODEL}.*")) - {done.model}:  # of a chain that was judged otherwise
        stale.unlink()
    return done


def _faster_but_undone(chain: Chain) -> Architecture | None:
    """Return the smallest network that a shrinking step made, faster but too bad; None where there is none."""
    found = (
        made.architecture
        for record, made in chain.undone
        if record.step in SHRINKING and record.speed is not None and record.speed.faster
    )
    return next(found, None)  # the strongest attempt is the first


def _kept(records: Sequence[StepRecord], names: Sequence[str]) -> bool:
    return any(record.kept and record.step in names for record in records)
