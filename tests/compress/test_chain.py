"""The chain on a network that was really trained: kept, undone, continued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
import torch

from tests.compress.conftest import RECIPE, MakeContext, TimesBySize, Trained, context_of, here, trained_pair, unet
from tests.margins import above, below, reaches
from ussearch.compress import (
    STEPS,
    Chain,
    Compression,
    CompressionCandidate,
    Context,
    KitTimes,
    SpeedSource,
    compress,
    steps_named,
)
from ussearch.compress.evaluate import evaluate, model_file
from ussearch.compress.quantisation import int8_nodes
from ussearch.compress.steps import Failure
from ussearch.compress.steps.prune import Prune
from ussearch.errors import UserError
from ussearch.evaluators import predict
from ussearch.evaluators.costs import trace
from ussearch.evaluators.prediction import deploy_form
from ussearch.events import Event, TrainingEpoch
from ussearch.files import sha256_of
from ussearch.hardware_profiles import Profile, load_profile
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.search_spaces import Architecture, Network, build

pytestmark = pytest.mark.training

NANO = load_profile("jetson-nano")


@dataclass(frozen=True)
class Narrowed:
    """A step whose outcome is decided by the test: the network of ``widths`` in turn, with random weights or good."""

    network: Network
    strength: int = 2
    name: ClassVar[str] = "narrow"
    retrains: ClassVar[bool] = False
    applied: ClassVar[list[int]] = []

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"strength": self.strength}

    def skip_reason(self, candidate: CompressionCandidate, context: Context) -> str:
        return ""

    def trainings(self) -> int:
        return 0

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        self.applied.append(self.strength)
        return replace(candidate, architecture=self.network.architecture, weights=self.network.state_dict())

    def control(self, candidate: CompressionCandidate, context: Context) -> None:
        return None

    def relaxed(self, failure: Failure = "worse") -> Narrowed | None:
        return replace(self, strength=self.strength - 1) if self.strength > 1 else None


@pytest.fixture(autouse=True)
def _forget() -> None:
    Narrowed.applied.clear()


def narrow(seed: int) -> Network:
    """Return a network that was never trained."""
    torch.manual_seed(seed)
    return build(unet(8))


@reaches(lost=above(0.01))
def spoiling(seed: int, folder: Path) -> dict[str, float]:
    """By how much Dice falls where random weights take the place of trained ones; a tenth of it is too much."""
    trained = trained_pair(seed)
    chain = Chain(context_of(trained, folder), trained.candidate)
    chain.run([replace(Narrowed(narrow(seed)), strength=1)])
    change = chain.records[0].change
    assert change is not None
    return {"lost": -change.mean}


def test_a_step_that_spoils_is_retried_milder_then_undone(
    make_context: MakeContext, trained: Trained, tmp_path: Path
) -> None:
    spoiling.check(0, tmp_path)
    chain = Chain(make_context(), trained.candidate)
    after = chain.run([Narrowed(narrow(0))])
    assert after.digest == trained.candidate.digest
    assert [(record.settings["strength"], record.kept) for record in chain.records] == [(2, False), (1, False)]
    assert all("points" in record.reason for record in chain.records)


@reaches(gained=above(0.1))
def slower_and_better(seed: int, folder: Path) -> dict[str, float]:
    trained = trained_pair(seed)
    context = context_of(trained, folder, profile=NANO, speed=SpeedSource(NANO))
    chain = Chain(context, replace(CompressionCandidate(unet(8), narrow(seed).state_dict()), fused=True))
    chain.run([replace(Narrowed(trained.teacher), strength=1)])
    (record,) = chain.records
    assert not record.kept and record.reason.startswith("slower")
    assert record.change is not None
    return {"gained": record.change.mean}


def test_a_slower_step_is_undone_whatever_its_dice(tmp_path: Path) -> None:
    slower_and_better.check(0, tmp_path)


def test_finished_attempts_are_read_not_repeated(make_context: MakeContext, trained: Trained) -> None:
    step = Narrowed(narrow(0))
    first = Chain(make_context(), trained.candidate)
    first.run([step])
    again = Chain(make_context(), trained.candidate)
    again.run([step])
    assert Narrowed.applied == [2, 1]
    assert again.records == first.records


def test_another_limit_judges_again(make_context: MakeContext, trained: Trained) -> None:
    step = replace(Narrowed(trained.teacher), strength=1)
    strict = Chain(make_context(profile=NANO, speed=SpeedSource(NANO), max_drop=0.0), trained.candidate)
    loose = Chain(make_context(profile=NANO, speed=SpeedSource(NANO), max_drop=0.01), trained.candidate)
    strict.run([step])
    loose.run([step])
    assert Narrowed.applied == [1, 1]


def test_measurements_that_came_later_judge_again(make_context: MakeContext, trained: Trained) -> None:
    """What the prediction let pass is undone by the board's own times of the same files."""
    context = make_context(profile=NANO, speed=SpeedSource(NANO))
    plain = trained.candidate
    first = Chain(context, plain)
    first.run([STEPS["fuse"]()])
    assert first.records[0].kept
    files = [model_file(each, context) for each in (plain, replace(plain, fused=True))]
    times_ms = dict(zip(map(sha256_of, files), (10.0, 20.0), strict=True))
    again = Chain(replace(context, speed=SpeedSource(NANO, KitTimes(times_ms, "board.csv"))), plain)
    again.run([STEPS["fuse"]()])
    (record,) = again.records
    assert not record.kept and record.speed is not None and record.speed.ratio == 2.0
    assert "board.csv" in record.speed.source


@pytest.mark.parametrize("name", list(STEPS))
def test_contract_of_steps(name: str, make_context: MakeContext, trained: Trained) -> None:
    profile = here(load_profile("raspberry-pi-4"))
    context = make_context(profile=profile, speed=SpeedSource(profile, runs=10))
    step = STEPS[name]()
    candidate = replace(trained.candidate, fused=name != "fuse")
    assert step.name == name and json.dumps(dict(step.settings))
    assert step.skip_reason(candidate, context) == ""
    before = {key: value.clone() for key, value in candidate.weights.items()}
    after = step.apply(candidate, context)
    assert all(torch.equal(value, candidate.weights[key]) for key, value in before.items()), "the input stays"
    elsewhere = replace(context, folder=context.folder / "elsewhere")
    torch.manual_seed(99)  # nothing may depend on what was random before
    assert after.digest == step.apply(candidate, elsewhere).digest, "the same gives the same, trained anew"
    figures = evaluate(after, context)
    assert len(figures.dice) == len(trained.split.validation) and figures.file_bytes > 0
    assert (step.control(candidate, context) is not None) == (step.retrains and name != "quantise")
    onnx.checker.check_model(onnx.load(model_file(after, context)))
    strengths = [step]
    while (relaxed := strengths[-1].relaxed()) is not None:
        strengths.append(relaxed)
        assert len(strengths) < 20
    folder = context.folder / "there"
    after.save(folder)
    back = CompressionCandidate.load(folder)
    assert back.digest == after.digest and back.architecture == after.architecture


def test_fusing_changes_the_file_not_the_answer(make_context: MakeContext, trained: Trained) -> None:
    context = make_context()
    plain, fused = trained.candidate, replace(trained.candidate, fused=True)
    images = np.asarray(trained.images.images[:4])
    first, second = (OnnxNetwork(model_file(each, context)).logits(images) for each in (plain, fused))
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-3)
    torch_says = predict(deploy_form(trained.student), images, context.normalisation)
    np.testing.assert_allclose(1 / (1 + np.exp(-second)), torch_says, atol=1e-4)


@pytest.fixture
def compressed(make_context: MakeContext, trained: Trained) -> tuple[Compression, Context]:
    """The whole chain for a device that this machine stands for, by times that are the same anywhere."""
    profile = here(load_profile("raspberry-pi-4"))
    context = make_context(profile=profile, speed=TimesBySize(profile), max_drop=0.2)
    done = compress(trained.student.architecture, trained.student, steps_named(), context, uniform_epochs=2)
    assert done.model.is_file()
    return done.record, context


def test_the_whole_chain(compressed: tuple[Compression, Context], trained: Trained) -> None:
    record, context = compressed
    assert [name for name in STEPS if name not in {each.step for each in record.records}] == []
    assert record.start.mean_dice == pytest.approx(evaluate(replace(trained.candidate, fused=True), context).mean_dice)
    assert not record.speed.slower
    shipped = CompressionCandidate.load(context.folder / "network")
    assert shipped.architecture == shipped.network().architecture
    assert Compression.model_validate_json((context.folder / "compression.json").read_text()) == record
    pruned = next(each for each in record.records if each.step == "prune")
    assert pruned.speed is not None and pruned.speed.faster
    assert record.uniform is not None, "what was pruned is held against uniform scaling, kept or undone"


@dataclass(frozen=True)
class Spoilt(Narrowed):
    """Pruning that leaves random weights."""

    strength: int = 1
    name: ClassVar[str] = "prune"


def in_place_of_pruning(seed: int, folder: Path, ships: bool) -> dict[str, float]:
    """Return by how much Dice the uniformly scaled network is behind, and whether it ships.

    Trained long enough the narrow network is as good as the one that came in; with hardly any learning rate it is not.
    """
    trained = trained_pair(seed)
    student, rate = trained.student, RECIPE.learning_rate if ships else 1e-6
    recipe = RECIPE.model_copy(update={"learning_rate": rate})
    context = context_of(trained, folder, max_drop=0.05, recipe=recipe, seed=seed)
    steps = [STEPS["fuse"](), Spoilt(narrow(seed))]
    done = compress(student.architecture, student, steps, context, uniform_epochs=12 if ships else 1)
    assert [each.kept for each in done.record.records] == [True, False]
    uniform = done.record.uniform
    assert uniform is not None and uniform.in_place_of_pruning
    assert uniform.reason.startswith("in place of pruning, which was undone")
    lost = np.mean(done.record.start.dice) - np.mean(uniform.measures.dice)
    assert uniform.change.mean == pytest.approx(-lost)
    assert done.record.form == ("uniform" if uniform.shipped else "fuse")
    widths = [block.width for block in done.candidate.architecture.blocks]
    assert (widths < [block.width for block in student.architecture.blocks]) == uniform.shipped
    return {"lost": float(lost), "ships": float(uniform.shipped)}


@reaches(lost=below(0.05), ships=above(0.5))
def uniform_and_trained(seed: int, folder: Path) -> dict[str, float]:
    return in_place_of_pruning(seed, folder, ships=True)


@reaches(lost=above(0.05), ships=below(0.5))
def uniform_and_hardly_trained(seed: int, folder: Path) -> dict[str, float]:
    return in_place_of_pruning(seed, folder, ships=False)


def test_uniform_scaling_is_tried_where_pruning_was_undone(tmp_path: Path) -> None:
    uniform_and_trained.check(0, tmp_path / "trained")
    uniform_and_hardly_trained.check(0, tmp_path / "hardly")


def test_without_a_faster_network_there_is_nothing_to_try_in_its_place(
    make_context: MakeContext, trained: Trained
) -> None:
    student = trained.student
    torch.manual_seed(0)
    steps = [STEPS["fuse"](), Spoilt(build(unet(16)))]  # other weights, no other speed
    done = compress(student.architecture, student, steps, make_context(), uniform_epochs=1)
    assert not done.record.records[-1].kept and done.record.uniform is None


def test_a_board_without_int8_gets_none(make_context: MakeContext, trained: Trained) -> None:
    context = make_context(profile=NANO, speed=SpeedSource(NANO))
    done = compress(trained.student.architecture, trained.student, steps_named(["fuse", "quantise"]), context)
    assert int8_nodes(onnx.load(done.model)) == []
    last = done.record.records[-1]
    assert last.step == "quantise" and (done.candidate.precision in ("fp32", "fp16"))


def test_a_precision_that_nobody_measured_stays_off(make_context: MakeContext, trained: Trained) -> None:
    profile = load_profile("intel-n100")
    chain = Chain(make_context(profile=profile, speed=SpeedSource(profile)), replace(trained.candidate, fused=True))
    chain.run(steps_named(["quantise"]))
    assert not chain.records[0].tried and "nobody measured int8" in chain.records[0].reason
    asked = make_context(profile=profile, speed=SpeedSource(profile), asked=frozenset({"quantise"}))
    chain = Chain(asked, replace(trained.candidate, fused=True))
    chain.run(steps_named(["quantise"]))
    assert chain.records[0].tried


def nudged(architecture: Architecture, eps: float) -> Architecture:
    """Return another architecture with the same weights and all but the same answers."""
    data = architecture.model_dump()
    data["stages"][0]["blocks"][0]["eps"] = eps
    return Architecture.model_validate(data)


def test_nothing_slower_than_what_came_in_leaves(make_context: MakeContext, trained: Trained) -> None:
    """Two steps, each slower by less than measurements differ; together they are not."""
    context, start = make_context(), replace(trained.candidate, fused=True)
    others = [nudged(start.architecture, eps) for eps in (1.1e-5, 1.2e-5)]
    candidates = [start, *(replace(start, architecture=architecture) for architecture in others)]
    times_ms = dict(
        zip([sha256_of(model_file(each, context)) for each in candidates], (10.0, 10.15, 10.3), strict=True)
    )
    steps = [STEPS["fuse"](), *(replace(Narrowed(each.network()), strength=1) for each in candidates[1:])]
    planted = make_context(speed=SpeedSource(context.profile, KitTimes(times_ms, "planted")))
    done = compress(trained.student.architecture, trained.student, steps, planted)
    assert [record.kept for record in done.record.records] == [True, True, True]
    assert done.candidate.digest == start.digest and done.record.form == "fuse"


@dataclass(frozen=True)
class Forgetful(Prune):
    """Pruning that ends with random weights: it is always undone, however it was trained."""

    def apply(self, candidate: CompressionCandidate, context: Context) -> CompressionCandidate:
        network = narrow(0)
        return replace(candidate, architecture=network.architecture, weights=network.state_dict())


def test_a_milder_attempt_needs_what_the_budget_has_left(make_context: MakeContext, trained: Trained) -> None:
    chain = Chain(make_context(), replace(trained.candidate, fused=True), trainings_left=Forgetful().trainings())
    chain.run([Forgetful()])
    assert [(record.tried, record.kept) for record in chain.records] == [(True, False), (False, False)]
    assert "did not fit into the budget" in chain.records[1].reason


@pytest.mark.parametrize("profile", [load_profile("raspberry-pi-4"), NANO], ids=lambda each: each.name)
def test_pruning_takes_a_share_of_the_milliseconds(
    profile: Profile, make_context: MakeContext, trained: Trained
) -> None:
    """As the device's profile predicts them, whose kernels this test prices by itself."""
    context = make_context(profile=profile, speed=SpeedSource(profile))
    step = Prune(share_of_latency=0.1)

    def predicted_ms(architecture: Architecture) -> float:
        return profile.predict(trace(architecture, trained.images.image_size).kernels).latency_ms

    after = step.apply(trained.candidate, context)
    assert predicted_ms(after.architecture) <= 0.9 * predicted_ms(trained.candidate.architecture) + 1e-9


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_share_out_of_reach_fails_untrained_and_milder_ones_are_tried(
    rounds: int, make_context: MakeContext, trained: Trained
) -> None:
    trainings: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, TrainingEpoch):
            trainings.append(event.title)

    context = make_context(on_event=note)
    chain = Chain(context, replace(trained.candidate, fused=True), trainings_left=2)
    chain.run([Prune(share_of_latency=0.95, rounds=rounds)])
    first, *others = chain.records
    assert not first.tried and "A pruning ratio of 0.95 leaves too little of this network" in first.reason
    assert "give that or less" in first.reason and not any("95%" in title for title in trainings)
    assert others and others[0].settings["share_of_latency"] == 0.71
    assert "budget" not in others[0].reason, "what failed untrained took nothing from the budget"


def test_unknown_steps_are_refused_and_order_is_the_chains() -> None:
    assert [step.name for step in steps_named(["quantise", "fuse"])] == ["fuse", "quantise"]
    with pytest.raises(UserError, match=r"Unknown step 'prun'.*prune"):
        steps_named(["prun"])


def test_a_damaged_candidate_is_one_sentence(tmp_path: Path, trained: Trained) -> None:
    trained.candidate.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="delete the folder"):
        CompressionCandidate.load(tmp_path)
