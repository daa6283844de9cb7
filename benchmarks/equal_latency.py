"""Ways to a network of one latency: uniform width scaling, random channels, group L2, Taylor, Taylor by latency.

On phantoms. A network is trained in full and cut to half its channels by Taylor's criterion; its widths are scaled
uniformly to the latency nearest to that, and each criterion is brought to the latency of this, within 3 %, by the share
that it removes: cuts have finer steps than a factor of all widths. What was cut trains on for the length of a step of
the chain, taught by the cloud's network; the uniformly scaled one is trained from scratch in full first. Same epochs,
teacher and seeds. Judged on phantoms that neither trained nor chose anything. Finished networks are kept; the same
command continues. Writes ``docs/results/equal-latency.md``.

    python benchmarks/equal_latency.py [--seeds 3] [--epochs 20] [--step-epochs 8] [--runs FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from published.former import former

from ussearch.compress import CompressionCandidate, Context, SpeedSource
from ussearch.compress.evaluate import model_file
from ussearch.compress.pruning import prune
from ussearch.compress.retraining import gentle, retrained, trained_weights
from ussearch.compress.width_multiplier import MATCHED, decide, factor_of, scaled_like
from ussearch.datasets import Batches, ImageSet, PhantomParameters, phantoms_from, prepare, split
from ussearch.errors import UserError
from ussearch.evaluators import Recipe, costs
from ussearch.evaluators.metrics.paired_bootstrap import Change, paired_change
from ussearch.evaluators.training.losses import make_loss
from ussearch.events import Event, TrainingEpoch
from ussearch.files import write_atomically
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.hardware_profiles.measuring.measure import machine
from ussearch.hardware_profiles.measuring.paired_benchmark import paired_benchmark
from ussearch.process_settings import settle
from ussearch.runtime.masks import dice_of
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.search_spaces import Architecture, Network, build, load_preset

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "docs" / "results" / "equal-latency.md"
NETWORK = ROOT / "benchmarks" / "chain" / "depthwise.yaml"
TEACHER = "cmunext-s"
PROFILE = "raspberry-pi-4"
IMAGE_SIZE, PHANTOMS, JUDGES = 64, 300, 400
RATIO = 0.5
"""Share of the channels that Taylor's criterion removes; uniform scaling follows its latency, and all cuts that."""
BY_LATENCY = " by latency"
"""Of a criterion: channels compete by importance for the milliseconds that they save, as in the chain."""
CHAIN = f"taylor{BY_LATENCY}"
WAYS = (CHAIN, "taylor", "l2", "random")
SCORED_BATCHES = 16
HALVINGS = 12
"""Steps of the bisection for the share of channels: to a four-thousandth, finer than widths in multiples of 8."""


@dataclass(frozen=True)
class Bench:
    """The data, the device and the lengths of all trainings."""

    epochs: int
    step_epochs: int
    runs: Path

    @cached_property
    def images(self) -> ImageSet:
        """The phantoms that train and choose."""
        return prepare(phantoms_from(PhantomParameters(count=PHANTOMS, seed=0, image_size=IMAGE_SIZE)), IMAGE_SIZE)

    @cached_property
    def judges(self) -> ImageSet:
        """Other phantoms, which nothing else is done with."""
        return prepare(phantoms_from(PhantomParameters(count=JUDGES, seed=1, image_size=IMAGE_SIZE)), IMAGE_SIZE)

    def context(self, seed: int, teachers: tuple[Network, ...]) -> Context:
        """Return the context of all trainings of one seed."""
        profile = device()
        return Context(
            images=self.images,
            split=split(self.images, seed=0),
            profile=profile,
            recipe=Recipe(batch_size=4, epochs=self.epochs),
            folder=self.runs,
            speed=SpeedSource(profile),
            epochs=self.step_epochs,
            teachers=teachers,
            seed=seed,
            on_event=partial(_tell, seed),
        )

    @property
    def network(self) -> Architecture:
        """The network that is made smaller."""
        return Architecture.from_yaml(NETWORK.read_text(encoding="utf-8"), str(NETWORK)).for_task()

    @cached_property
    def teacher(self) -> Network:
        """The cloud's network."""
        return self.trained(load_preset(TEACHER).architecture.for_task(), seed=0)

    def trained(self, architecture: Architecture, seed: int) -> Network:
        """Return a network trained in full on the masks alone."""
        recipe = Recipe(batch_size=4, epochs=self.epochs)
        weights = trained_weights(self.context(seed, ()), architecture, recipe, "full training", taught=False)
        network = build(architecture)
        network.load_state_dict(weights)
        return network.eval()


def _tell(seed: int, event: Event) -> None:
    if isinstance(event, TrainingEpoch):
        print(f"  seed {seed}, {event}, Dice {event.record.lesion_dice}", flush=True)


def main() -> int:
    """Make what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--step-epochs", type=int, default=8)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "equal-latency")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settle()
    folder = arguments.runs / f"{arguments.epochs}-{arguments.step_epochs}"
    bench = Bench(arguments.epochs, arguments.step_epochs, folder)
    found = [outcome(bench, seed) for seed in range(arguments.seeds)]
    text = "\n".join(page(bench, found)) + "\n"
    print(text)
    write_atomically(REPORT, text)
    return 0


def outcome(bench: Bench, seed: int) -> dict[str, Any]:
    """Return what one seed gives: by way, latency, Dice of every judging phantom, channels left."""
    record = bench.runs / f"outcome-{seed}.json"
    if not record.is_file():
        whole = bench.trained(bench.network, seed)
        context = bench.context(seed, (bench.teacher,))
        smaller = dict(ways(bench, whole, context))
        start = CompressionCandidate(bench.network, whole.state_dict(), fused=True)
        files = {name: model_file(each, context) for name, each in {"whole": start, **smaller}.items()}
        times_ms = paired_benchmark(list(files.values()))
        images, masks = np.asarray(bench.judges.images), np.asarray(bench.judges.masks)
        found = {
            name: {
                "dice": dice_of(OnnxNetwork(path).probabilities(images), masks).tolist(),
                "measured_ratio": median(b / a for a, b in zip(times_ms[0], row, strict=True)),
                "predicted_ms": predicted_ms(smaller[name].architecture if name in smaller else bench.network),
                "widths": factor_of(bench.network, smaller[name].architecture) if name in smaller else 1.0,
            }
            for (name, path), row in zip(files.items(), times_ms, strict=True)
        }
        write_atomically(record, json.dumps(found))
    read: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return read


def ways(bench: Bench, whole: Network, context: Context) -> Iterator[tuple[str, CompressionCandidate]]:
    """Yield every way's name and its trained network, all of the latency that the uniformly scaled one has."""
    half = pruned(whole, context, "taylor", RATIO).architecture
    architecture = scaled_like(bench.network, half, IMAGE_SIZE, context.profile)
    for importance in WAYS:
        cut = matched(whole, context, importance, architecture)
        yield importance, retrained(cut, context, context.epochs, importance)
    weights = trained_weights(context, architecture, context.recipe, "uniform, from scratch")
    recipe = gentle(context.recipe, context.epochs)
    distilled = trained_weights(context, architecture, recipe, "uniform", initial=weights)
    yield "uniform", CompressionCandidate(architecture, distilled, fused=True)


def pruned(whole: Network, context: Context, importance: str, ratio: float) -> CompressionCandidate:
    """Return the network without a share of its channels, not trained again yet."""
    batches = Batches(
        context.images,
        context.split.train,
        context.normalisation,
        context.recipe.batch_size,
        seed=context.seed,
        augment=False,
    )
    made = prune(
        whole,
        IMAGE_SIZE,
        ratio=ratio,
        importance=importance.removesuffix(BY_LATENCY),
        cost=predicted_ms if importance.endswith(BY_LATENCY) else None,
        round_to=context.profile.export.channel_multiple,
        batches=[batch for _, batch in zip(range(SCORED_BATCHES), batches.epoch(0), strict=False)],
        loss=make_loss(context.recipe),
        seed=context.seed,
    )
    return CompressionCandidate(made.architecture, made.network.state_dict(), fused=True)


def matched(whole: Network, context: Context, importance: str, target: Architecture) -> CompressionCandidate:
    """Return the network cut by a criterion to the latency of ``target``; of those tried, the nearest to it."""
    wanted = predicted_ms(target)
    low, high, best = 0.0, 0.95, None
    for _ in range(HALVINGS):
        ratio = (low + high) / 2
        try:
            each = pruned(whole, context, importance, ratio)
        except UserError:  # more than can be removed
            high = ratio
            continue
        found = predicted_ms(each.architecture) / wanted
        if best is None or abs(found - 1) < abs(predicted_ms(best.architecture) / wanted - 1):
            best = each
        low, high = (ratio, high) if found > 1 else (low, ratio)
    if best is None:
        raise UserError(f"Nothing could be removed by {importance}: choose another network.")
    return best


def predicted_ms(architecture: Architecture) -> float:
    """Return the latency that the device's profile predicts."""
    return costs(architecture, IMAGE_SIZE, device()).latency_ms


def device() -> Profile:
    """Return the profile with the three prices that it had when the page was made: widths were chosen by these."""
    return load_profile(PROFILE).model_copy(update={"latency": former()[f"{PROFILE}@onnxruntime-fp32"].latency})


def pooled(found: Sequence[Mapping[str, Any]], before: str, after: str) -> Change:
    """Return the change from one way to another over all seeds; an image's seeds are one group."""
    first = [dice for seed in found for dice in seed[before]["dice"]]
    second = [dice for seed in found for dice in seed[after]["dice"]]
    return paired_change(first, second, [number for _ in found for number in range(JUDGES)])


def page(bench: Bench, found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# Ways to one latency"
    yield ""
    yield f"Made by `benchmarks/equal_latency.py` on {machine()}, one thread. {PHANTOMS} phantoms at"
    yield f"{IMAGE_SIZE}×{IMAGE_SIZE} train and choose, {JUDGES} others judge; {len(found)} seeds. The network of"
    yield f"`benchmarks/chain/depthwise.yaml`, {bench.epochs} epochs in full, {bench.step_epochs} more after the cut,"
    yield f"taught by {TEACHER}; uniform scaling: {bench.epochs} epochs from scratch and {bench.step_epochs} more,"
    yield f"taught all along. Latencies as predicted for {PROFILE} by three numbers"
    yield "(`benchmarks/data/former_prices.yaml`) and as measured here; within a seed the"
    yield f"predicted ones differ from uniform scaling's by at most {farthest(found):.1%} (limit {MATCHED:.0%})."
    yield ""
    yield "| way | predicted | measured here | widths | Dice | against uniform, points (95 %) |"
    yield "|---|---|---|---|---|---|"
    for name in ("whole", *WAYS, "uniform"):
        yield f"| {name} | {' | '.join(cells(found, name))} |"
    yield ""
    yield "What the chain would ship at the end, by seed (`compress.width_multiplier.decide` on the judging phantoms):"
    yield ""
    for seed, each in enumerate(found):
        change = paired_change(each[CHAIN]["dice"], each["uniform"]["dice"], range(JUDGES))
        ratio = each["uniform"]["predicted_ms"] / each[CHAIN]["predicted_ms"]
        ships, reason = decide(change, ratio)
        yield f"- seed {seed}: {'uniform' if ships else CHAIN}: {reason}"
    yield f"- pooled: {decide(pooled(found, CHAIN, 'uniform'), 1.0)[1]}"


def farthest(found: Sequence[Mapping[str, Any]]) -> float:
    """Return by which share a predicted latency differs most from uniform scaling's of the same seed."""
    return max(abs(seed[way]["predicted_ms"] / seed["uniform"]["predicted_ms"] - 1) for seed in found for way in WAYS)


def cells(found: Sequence[Mapping[str, Any]], name: str) -> Iterator[str]:
    """Yield the cells of one way: ranges over seeds, and the mean over seeds and images."""
    whole = [seed["whole"]["predicted_ms"] for seed in found]
    yield _range([seed[name]["predicted_ms"] / ms for seed, ms in zip(found, whole, strict=True)])
    yield _range([seed[name]["measured_ratio"] for seed in found])
    yield _range([seed[name]["widths"] for seed in found])
    yield f"{np.mean([dice for seed in found for dice in seed[name]['dice']]):.3f}"
    if name == "uniform":
        yield "–"
        return
    change = pooled(found, "uniform", name)
    yield f"{change.mean * 100:+.1f} ({change.low * 100:+.1f} to {change.high * 100:+.1f})"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return f"{low} ×" if low == high else f"{low} to {high} ×"


if __name__ == "__main__":
    sys.exit(main())
