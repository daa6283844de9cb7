"""What each rung of the ladder of fidelities costs and how well it ranks architectures, on phantoms.

Draws architectures uniformly from those that fit an edge device, trains each in full with two seeds, judges each on
every rung (a slice of shared weights; that and a few steps; a few steps from scratch) and compares: Kendall's τ with
its interval, τ among architectures of like MACs, regret, and the cost as a share of a full training. Every network,
whichever rung it comes from, is scored on phantoms that neither trained nor chose anything: the thirty of the
validation part would rank networks by chance. Rows are kept one by one, so that the program continues where it was
stopped; several parts may run at once. Writes ``docs/results/ladder.md`` and ``benchmarks/data/ladder.csv``.

    python benchmarks/ladder.py [store|full|rungs|table] [--part I/N] [--full-epochs N] [--runs FOLDER]

Without a stage it does all of them in order; another length of full training needs another folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
import torch

from ussearch.datasets import ImageSet, Normalisation, PhantomParameters, Split, phantoms_from, prepare, split
from ussearch.evaluators import Evaluation, Recipe, TrainEvaluator, TrainingTask, predict, trace
from ussearch.evaluators.metrics.segmentation import detect
from ussearch.evaluators.outlook import foretold_without_itself
from ussearch.evaluators.rungs import FULL, Rung, RungEvaluator, usual_ladder
from ussearch.evaluators.shared import WeightStore
from ussearch.evaluators.shared.sandwich import SandwichTraining, SharedEpoch
from ussearch.evaluators.trust import Trust, measure_trust
from ussearch.files import write_atomically
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.measuring.measure import machine
from ussearch.process_settings import settle
from ussearch.search_spaces import Architecture, FreeSpace, build

ROOT = Path(__file__).resolve().parents[1]
TABLE, REPORT = ROOT / "benchmarks" / "data" / "ladder.csv", ROOT / "docs" / "results" / "ladder.md"
EDGE, CLOUD = "jetson-nano", "x86-server"
IMAGE_SIZE, PHANTOMS, JUDGES = 64, 300, 300
ARCHITECTURES = 40
FIRST_SEED = 7_000
FULL_EPOCHS, STORE_EPOCHS = 15, 12
"""Of a full training, unless another length is asked for, and of the shared weights."""
SEEDS = {"A": 1, "B": 2, "rung": 3}
"""Of the two full trainings and of what is done on rungs."""
LEAST_TAU, MOST_COST = 0.55, 0.15
COLUMNS = ("number", "architecture", "macs", "parameters", "fidelity", "seed", "objective", "seconds")


@dataclass(frozen=True)
class Bench:
    """Everything that is fixed before anything is trained; ``runs`` keeps what is finished."""

    runs: Path
    full_epochs: int = FULL_EPOCHS

    @cached_property
    def images(self) -> ImageSet:
        """The phantoms."""
        return prepare(phantoms_from(PhantomParameters(count=PHANTOMS, seed=0, image_size=IMAGE_SIZE)), IMAGE_SIZE)

    @cached_property
    def judges(self) -> ImageSet:
        """Other phantoms, which score every network and do nothing else."""
        return prepare(phantoms_from(PhantomParameters(count=JUDGES, seed=1, image_size=IMAGE_SIZE)), IMAGE_SIZE)

    @cached_property
    def split(self) -> Split:
        """Their parts."""
        return split(self.images, seed=0)

    @cached_property
    def trainer(self) -> TrainEvaluator:
        """The full training."""
        profiles = {"edge": load_profile(EDGE), "cloud": load_profile(CLOUD)}
        return TrainEvaluator(self.images, self.split, Recipe(batch_size=4, epochs=self.full_epochs), profiles)

    @cached_property
    def space(self) -> FreeSpace:
        """The standard space, without what the edge device cannot run."""
        return FreeSpace.standard(IMAGE_SIZE).restricted(load_profile(EDGE).forbidden_features)[0]

    @cached_property
    def architectures(self) -> list[Architecture]:
        """Drawn uniformly from those within the device's limits: the first of a run of seeds."""
        found: list[Architecture] = []
        seed = FIRST_SEED
        while len(found) < ARCHITECTURES:
            architecture = self.space.sample(seed)
            if self.fits(architecture):
                found.append(architecture)
            seed += 1
        return found

    @property
    def full_steps(self) -> int:
        """Steps of a full training."""
        return self.full_epochs * -(-len(self.split.train) // self.trainer.recipe.batch_size)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The ladder below the full training."""
        return usual_ladder(self.full_steps, drawn=True)

    def fits(self, architecture: Architecture) -> bool:
        """Return whether the edge device can hold it."""
        return trace(architecture, IMAGE_SIZE).costs(self.trainer.profiles["edge"]).feasible

    def store(self) -> WeightStore:
        """Return the trained shared weights, trained as far as they are not yet."""
        path = self.runs / "shared.safetensors"
        if not path.exists():
            store = WeightStore(seed=0)
            recipe = self.trainer.recipe.model_copy(update={"epochs": STORE_EPOCHS})
            training = SandwichTraining(
                store, self.space, self.images, self.split, recipe, self.fits, checkpoint=self.runs / "checkpoint"
            )
            training.run(self._told)
            store.save(path)
        return WeightStore.load(path)

    def _told(self, epoch: SharedEpoch) -> None:
        losses = ", ".join(f"{loss:.3f}" for loss in epoch.losses)
        print(
            f"shared weights: epoch {epoch.epoch} of {epoch.epochs}, losses {losses}, {epoch.seconds:.0f} s", flush=True
        )
        spent = self.runs / "store-seconds.json"
        before = json.loads(spent.read_text()) if spent.exists() else {}
        write_atomically(spent, json.dumps(before | {str(epoch.epoch): epoch.seconds}))

    def judge(self, number: int, rung: Rung, seed: str, store: WeightStore | None) -> None:
        """Keep the row of one architecture on one rung, unless it is there."""
        path = self.runs / "rows" / f"{number:03d}-{rung.fidelity.replace(' ', '_')}-{seed}.json"
        if path.exists():
            return
        architecture = self.architectures[number]
        start = time.process_time()
        found = RungEvaluator(self.trainer, rung, store).evaluate(TrainingTask(architecture, SEEDS[seed]))
        objective = self.objective(architecture, found)
        row = self._row(number, rung, seed, found, time.process_time() - start) | {"objective": objective}
        write_atomically(path, json.dumps(row))
        print(f"{number:3d} {rung.fidelity} {seed}: {objective}  {time.process_time() - start:.1f} s", flush=True)

    def objective(self, architecture: Architecture, found: Evaluation) -> float | str:
        """Return the score of a trained network on the judging phantoms; nothing where it has none."""
        if found.weights is None:
            return ""
        network = build(architecture)
        network.load_state_dict(dict(found.weights))
        normalisation = Normalisation.fit(self.images.images, self.split.train)
        return detect(predict(network, self.judges.images, normalisation), np.asarray(self.judges.masks)).objective

    def _row(self, number: int, rung: Rung, seed: str, found: Evaluation, seconds: float) -> dict[str, object]:
        return {
            "number": number,
            "architecture": found.architecture_id,
            "macs": found.costs["edge"].macs,
            "parameters": found.costs["edge"].parameters,
            "fidelity": rung.fidelity,
            "seed": seed,
            "seconds": round(seconds, 2),
        }

    def rows(self) -> list[dict[str, str]]:
        """Return every finished row, from the folder of runs or, where it is gone, from the committed table."""
        kept = sorted((self.runs / "rows").glob("*.json"))
        if kept:
            return [{key: str(value) for key, value in json.loads(path.read_text()).items()} for path in kept]
        return list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))


def main() -> int:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", nargs="?", choices=["store", "full", "rungs", "table"])
    parser.add_argument("--part", default="0/1", help="every N-th architecture from the I-th: I/N")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ladder")
    parser.add_argument("--full-epochs", type=int, default=FULL_EPOCHS, help="length of a full training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settle()
    bench = Bench(arguments.runs, arguments.full_epochs)
    index, parts = map(int, arguments.part.split("/"))
    stages = [arguments.stage] if arguments.stage else ["store", "full", "rungs", "table"]
    if "store" in stages:
        bench.store()
    if "full" in stages:
        for number in range(index, ARCHITECTURES, parts):
            for seed in ("A", "B"):
                bench.judge(number, FULL, seed, None)
    if "rungs" in stages:
        store = bench.store()
        for number in range(index, ARCHITECTURES, parts):
            for rung in bench.rungs:
                bench.judge(number, rung, "rung", store)
    return report(bench) if "table" in stages else 0


@dataclass(frozen=True)
class Line:
    """One rung in the table; ``cost`` is its share of a full training of the same architectures.

    ``alone`` is the trust that its own score deserves, ``trust`` that of what it foretells.
    """

    fidelity: str
    alone: Trust
    trust: Trust
    seconds: float
    cost: float
    missing: int


def lines_of(rows: list[dict[str, str]]) -> Iterator[Line]:
    """Yield every rung's line; architectures without a score on a rung are left out there and counted."""
    by_key = {(row["fidelity"], row["seed"], row["number"]): row for row in rows}
    full = {row["number"]: row for row in rows if row["fidelity"] == FULL.fidelity and row["seed"] == "A"}
    again = {row["number"]: row for row in rows if row["fidelity"] == FULL.fidelity and row["seed"] == "B"}
    numbers = sorted(number for number in full.keys() & again.keys() if full[number]["objective"])
    for fidelity in dict.fromkeys(row["fidelity"] for row in rows if row["seed"] == "rung"):
        known = [n for n in numbers if by_key.get((fidelity, "rung", n), {}).get("objective")]
        cheap = [by_key[fidelity, "rung", number] for number in known]
        selections = [float(row["objective"]) for row in cheap]
        macs, parameters = ([float(full[n][name]) for n in known] for name in ("macs", "parameters"))
        first, second = ([float(by[n]["objective"]) for n in known] for by in (full, again))
        truth = [(one + other) / 2 for one, other in zip(first, second, strict=True)]
        foretold = foretold_without_itself(selections, macs, parameters, truth)
        alone, trust = (measure_trust(each, truth, macs) for each in (selections, foretold))
        ceiling = measure_trust(second, first, macs)
        seconds = median(float(row["seconds"]) for row in cheap)
        cost = sum(float(row["seconds"]) for row in cheap) / sum(float(full[n]["seconds"]) for n in known)
        yield Line(
            fidelity,
            alone,
            trust.model_copy(update={"ceiling": ceiling.tau}),
            seconds,
            cost,
            len(numbers) - len(known),
        )


def report(bench: Bench) -> int:
    """Write the table and the page; return 0 where a rung reaches the goals."""
    rows = sorted(bench.rows(), key=lambda row: (int(row["number"]), row["fidelity"], row["seed"]))
    TABLE.parent.mkdir(exist_ok=True)
    with TABLE.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    lines = sorted(lines_of(rows), key=lambda line: line.cost)
    text = "\n".join(page(bench, lines)) + "\n"
    write_atomically(REPORT, text)
    print(text)
    reached = [
        each
        for each in lines
        if each.trust.tau >= LEAST_TAU and each.trust.tau > each.trust.macs_tau and each.cost <= MOST_COST
    ]
    return 0 if reached else 1


def page(bench: Bench, lines: list[Line]) -> Iterator[str]:
    """Yield the page."""
    spent = bench.runs / "store-seconds.json"
    store_s = sum(json.loads(spent.read_text()).values()) if spent.exists() else float("nan")
    first = lines[0].trust
    yield "# The ladder of fidelities"
    yield ""
    yield f"Written by `python benchmarks/ladder.py` on {machine()}, one thread a process, seconds of processor time:"
    yield f"{PHANTOMS} phantoms at {IMAGE_SIZE} pixels; {ARCHITECTURES} architectures drawn uniformly from those"
    yield f"that fit {EDGE}, none chosen by size. Networks are scored on {JUDGES} other phantoms; the truth is the mean"
    yield "selection of two full trainings"
    yield f"({bench.full_epochs} epochs, {bench.full_steps} steps) on other seeds than the rungs'. Shared weights:"
    yield f"{STORE_EPOCHS} epochs of the"
    yield f"sandwich rule, {store_s / 60:.0f} minutes, once. One full training ranks another with τ ="
    yield f"{first.ceiling:.2f} (the ceiling from seed to seed; against a mean of two, more is possible). MACs alone:"
    yield f"τ = {first.macs_tau:.2f}."
    yield ""
    yield "A rung's score alone favours networks that learn fast; what full training will score is foretold from it and"
    yield "from MACs and parameters (`evaluators/outlook.py`), for every architecture by what was learnt on the others."
    yield ""
    yield "| rung | seconds | of full training | τ alone | τ foretold (95 %) | in MACs quarters | regret | may select |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from map(row_of, lines)
    yield ""
    yield "Regret: selection lost by taking the best of the rung's top tenth instead of the best of all. A rung may"
    yield "select from τ = 0.5 on, with its interval above 0.3 and above MACs alone."
    pairs = {line.fidelity: line.alone.tau for line in lines}
    gains = [
        f"{fidelity.removeprefix('drawn + ')}: {tau - pairs[fidelity.removeprefix('drawn + ')]:+.2f}"
        for fidelity, tau in pairs.items()
        if fidelity.startswith("drawn + ") and fidelity.removeprefix("drawn + ") in pairs
    ]
    yield f"What drawn weights add to the τ of a rung alone over a random start at equal steps: {', '.join(gains)}."
    missing = {line.fidelity: line.missing for line in lines if line.missing}
    if missing:
        yield f"Without a score (weights that no training step had drawn): {missing}."


def row_of(line: Line) -> str:
    """Return one rung's row of the table."""
    trust, (low, high) = line.trust, line.trust.interval
    cells = (
        line.fidelity,
        f"{line.seconds:.1f}",
        f"{line.cost:.1%}",
        f"{line.alone.tau:.2f}",
        f"{trust.tau:.2f} ({low:.2f} to {high:.2f})",
        " ".join(f"{tau:.2f}" for tau in trust.quartile_taus),
        f"{trust.regret:.3f}",
        "yes" if trust.trusted else "; ".join(trust.doubts),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
