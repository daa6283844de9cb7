"""One candidate in full: what it is, what it is worth, and where its milliseconds go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ussearch.evaluators import CONVENTION, Tier, TracedNetwork, trace
from ussearch.hardware_profiles import Kernel, LatencyPrediction
from ussearch.search_spaces import Architecture, Block, count
from ussearch.studies.records import TrialRecord
from ussearch.studies.study import Study

CALL = "the call itself"
"""What a forward pass costs before its first kernel, among the parts."""


@dataclass(frozen=True, repr=False)
class TrialCard:
    """A trial of a study with its kernels, priced on one end; ``prediction`` has one entry a kernel."""

    study: Study
    record: TrialRecord
    architecture: Architecture
    tier: Tier
    traced: TracedNetwork
    prediction: LatencyPrediction

    def __repr__(self) -> str:
        latency = f"{self.tier}: {self.prediction.latency_ms:.2f} ms"
        return f"TrialCard(trial {self.record.trial_id}, {self.record.label}, {latency})"

    @property
    def kernels(self) -> list[tuple[Kernel, float]]:
        """Every kernel in order with its milliseconds; with those of the call they sum to the predicted latency."""
        return list(zip(self.traced.kernels, self.prediction.per_kernel_ms, strict=True))

    def milliseconds_by_part(self) -> dict[str, float]:
        """Return the predicted milliseconds of each stage, decoder level and the rest, in order of use.

        The normalisation in front and the call itself, where it costs anything, are parts of their own.
        """
        parts: dict[str, float] = {}
        for kernel, milliseconds in self.kernels:
            part = _part(kernel.name)
            parts[part] = parts.get(part, 0.0) + milliseconds
        return {**parts, CALL: self.prediction.call_ms} if self.prediction.call_ms else parts

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data."""
        counts = count(self.architecture, self.study.config.image_size)
        return {
            "study": str(self.study.folder),
            "trial": self.record.trial_id,
            **self.record.model_dump(mode="json"),
            "convention": CONVENTION,
            "on_front": self.record in self.study.front(),
            "counts": counts.to_dict(),
            "architecture": self.architecture.model_dump(mode="json", exclude_defaults=True),
            "latency": self._latency(),
        }

    def _latency(self) -> dict[str, Any]:
        prediction = self.prediction
        return {
            "tier": self.tier,
            "profile": self.study.config.profiles[self.tier].name,
            "latency_ms": prediction.latency_ms,
            "interval_ms": [prediction.low_ms, prediction.high_ms],
            "extrapolated": prediction.extrapolated,
            "uncovered": dict(prediction.uncovered),
            "unpriced": list(prediction.unpriced),
            "outside": list(prediction.outside),
            "call_ms": prediction.call_ms,
            "source": prediction.label,
            "parts": self.milliseconds_by_part(),
            "kernels": [
                {
                    "name": kernel.name,
                    "operator": kernel.operator,
                    "kernel_class": kernel.kernel_class,
                    "output_shape": list(kernel.output_shape),
                    "macs": kernel.macs,
                    "bytes": kernel.bytes,
                    "latency_ms": milliseconds,
                }
                for kernel, milliseconds in self.kernels
            ],
        }


def trial_card(study: Study, trial_id: int, tier: Tier = "edge") -> TrialCard:
    """Return the card of a finished trial, with latency on one end; raises UserError where there is none."""
    record = study.trial(trial_id)
    architecture = study.architecture(trial_id)
    traced = trace(architecture, study.config.image_size)
    return TrialCard(study, record, architecture, tier, traced, traced.predict(study.config.profiles[tier]))


def architecture_rows(architecture: Architecture) -> Iterator[tuple[str, str, str]]:
    """Yield (where, what, skip) for each stage and decoder level, in words."""
    for index, stage in enumerate(architecture.stages):
        pooled = "maxpool, " if stage.down == "maxpool" else ""
        yield f"stage {index}", pooled + _blocks(stage.blocks), ""
    if architecture.bottleneck:
        yield "bottleneck", architecture.bottleneck.kind, ""
    if architecture.detail:
        yield "detail branch", f"from stage {architecture.detail.start}, widths {architecture.detail.widths}", ""
    for index, level in enumerate(architecture.decoder):
        skip = level.skip
        source = "" if skip is None else "detail" if skip.source == "detail" else f"stage {skip.stage}"
        yield f"level {index}", _blocks((*level.up, *level.blocks)), f"{skip.op} {source}" if skip else ""
    head = architecture.head
    yield "head", head.kind + (f", logits ×{head.upsample}" if head.upsample > 1 else ""), ""


def _blocks(blocks: tuple[Block, ...]) -> str:
    """Return blocks in words, runs of equal ones once with their number."""
    words: list[list[Any]] = []
    for block in blocks:
        text = _block(block)
        if words and words[-1][0] == text:
            words[-1][1] += 1
        else:
            words.append([text, 1])
    return ", ".join(text if repeats == 1 else f"{repeats} × {text}" for text, repeats in words) or "–"


def _block(block: Block) -> str:
    parts = [block.kind]
    if block.width:
        parts.append(str(block.width))
    if block.kind not in ("fusible", "transposed"):
        parts.append(f"k{block.kernel}")
    if block.stride == 2:
        parts.append("s2")
    if block.hidden:
        parts.append(f"hidden {block.hidden}")
    if block.resample != "none":
        parts.append(block.resample)
    if block.attention:
        parts.append(block.attention.kind)
    return " ".join(parts)


def _part(name: str) -> str:
    """Return the part of the network that a module path lies in: ``stages.2.blocks.0.conv`` is ``stage 2``."""
    pieces = name.split(".")
    if len(pieces) > 1 and pieces[0] in ("stages", "levels") and pieces[1].isdigit():
        return f"{pieces[0].removesuffix('s')} {pieces[1]}"
    return pieces[0] or "network"
