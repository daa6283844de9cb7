from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge

from tests.margins import above, reaches
from ussearch.errors import UserError
from ussearch.hardware_profiles import load_profile
from ussearch.pairs.routing.models import MODELS, fit_model, standardised
from ussearch.pairs.routing.router_comparison import best_kind, choose_router, group_folds, kinds_for, nested_gain
from ussearch.pairs.routing.samples import Samples, pooled

NAMES = ("soft_dice", "a", "b")


def some_samples(count: int = 300, seed: int = 0, routing_gain: float = 0.1, networks: int = 3) -> Samples:
    """Gain depends on feature ``a`` by ``routing_gain`` a standard deviation; SDC knows a little of the edge's Dice."""
    random = np.random.default_rng(seed)
    network = np.arange(count) % networks
    a = random.normal(size=count)
    cloud = np.clip(random.normal(0.8, 0.05, count), 0, 1)
    edge = np.clip(cloud - 0.1 - routing_gain * a + random.normal(0, 0.05, count), 0, 1)
    sdc = edge + random.normal(0, 0.2, count)
    shown = np.stack([sdc, 3 * a + 10 * network, random.normal(size=count)], axis=1)
    ids = tuple(f"image {number}" for number in range(count))
    doubt = random.uniform(size=(2, count))
    return Samples(ids, np.arange(count) // 2, network, edge, cloud, sdc, *doubt, shown, NAMES)


@reaches(**dict.fromkeys(MODELS, above(0.7)))
def correlations(seed: int, folder: Path) -> dict[str, float]:
    """Of each kind's predictions with the gain, for the worst of three networks."""
    train, test = some_samples(seed=2 * seed), some_samples(200, seed=2 * seed + 1)
    found = {}
    for kind in MODELS:
        model = fit_model(kind, NAMES, train.features, train.networks, train.gain, seed=seed)
        parts = [test.chosen(test.networks == network) for network in range(3)]
        predicted = [model.for_network(own.features).predict(own.features) for own in parts]
        pairs = zip(predicted, parts, strict=True)
        found[kind] = min(float(np.corrcoef(each, own.gain)[0, 1]) for each, own in pairs)
    return found


def test_every_model_learns_what_there_is_across_networks(tmp_path: Path) -> None:
    correlations.check(0, tmp_path)


@pytest.mark.parametrize("kind", MODELS)
def test_the_same_samples_give_the_same_model(kind: str) -> None:
    train = some_samples()
    model = fit_model(kind, NAMES, train.features, train.networks, train.gain, seed=0)
    assert fit_model(kind, NAMES, train.features, train.networks, train.gain, seed=0) == model


def test_ridge_is_that_of_scikit_learn() -> None:
    samples = some_samples(networks=1)
    model = fit_model("ridge", NAMES, samples.features, samples.networks, samples.gain, seed=0)
    scaled = (samples.features - samples.features.mean(0)) / samples.features.std(0)
    penalties = [0.1, 1, 10, 100, 1000, 10_000]
    fits = [Ridge(alpha=alpha).fit(scaled.clip(-4, 4), samples.gain).predict(scaled.clip(-4, 4)) for alpha in penalties]
    assert min(np.abs(model.predict(samples.features) - fit).max() for fit in fits) < 1e-9


def test_boosted_trees_are_those_of_scikit_learn() -> None:
    samples = some_samples(networks=1)
    model = fit_model("boosting", NAMES, samples.features, samples.networks, samples.gain, seed=3)
    scaled = ((samples.features - samples.features.mean(0)) / samples.features.std(0)).clip(-4, 4)
    reference = GradientBoostingRegressor(
        n_estimators=24, max_depth=2, learning_rate=0.12, subsample=0.7, min_samples_leaf=15, random_state=3
    ).fit(scaled, samples.gain)
    assert model.predict(samples.features) == pytest.approx(reference.predict(scaled), abs=1e-6)


def test_trees_are_a_choice_only_where_the_runtime_has_them() -> None:
    assert "boosting" in kinds_for(load_profile("raspberry-pi-5"))
    assert "boosting" not in kinds_for(load_profile("jetson-nano"))  # its files keep to TensorRT's operators
    assert "boosting" not in kinds_for(load_profile("x86-server"))  # OpenVINO has none


def test_each_network_is_standardised_by_itself() -> None:
    samples = some_samples()
    shown = standardised(samples.features, samples.networks)
    for network in range(3):
        chosen = samples.networks == network
        own = samples.features[chosen]
        expected = ((own - own.mean(0)) / own.std(0)).clip(-4, 4)
        assert shown[chosen] == pytest.approx(expected)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    samples = some_samples()
    samples.features[:, 2] = 7.0
    model = fit_model("ridge", NAMES, samples.features, samples.networks, samples.gain, seed=0)
    assert np.isfinite(model.predict(samples.features)).all()


@reaches(lead=above(0.2), low=above(0))
def router_comparison(seed: int, folder: Path) -> dict[str, float]:
    """By how much skill a learned router leads where there is something to learn, and the lower bound of that."""
    choice = choose_router(some_samples(seed=seed))
    assert choice.model is not None
    assert choice.router_comparison is not None
    assert choice.router_comparison.won
    assert "the learned router" in choice.reason
    return {
        "lead": choice.router_comparison.learned_skill - choice.router_comparison.sdc_skill,
        "low": choice.router_comparison.low,
    }


def test_a_learned_router_ships_where_it_knows_more(tmp_path: Path) -> None:
    router_comparison.check(0, tmp_path)


@pytest.mark.slow
def test_without_anything_to_learn_sdc_ships_and_it_is_said() -> None:
    choice = choose_router(some_samples(routing_gain=0.0))
    assert choice.model is None
    assert choice.router_comparison is not None
    assert choice.router_comparison.low <= 0
    assert choice.reason.startswith("Soft Dice Confidence ships: skill")


def test_few_images_or_equal_networks_are_no_contest() -> None:
    few = choose_router(some_samples(99))
    assert few.model is None
    assert few.router_comparison is None
    assert "99 out-of-fold images" in few.reason
    samples = some_samples()
    alike = choose_router(dataclasses.replace(samples, cloud_dice=samples.edge_dice))
    assert "score the same on every image" in alike.reason


def test_a_prediction_never_saw_its_own_group() -> None:
    samples = some_samples()
    before = nested_gain(samples)
    changed = samples.cloud_dice.copy()
    chosen = samples.groups == 17
    changed[chosen] = 1.0 - changed[chosen]
    after = nested_gain(dataclasses.replace(samples, cloud_dice=changed))
    assert after[chosen] == pytest.approx(before[chosen])
    assert not np.allclose(after[~chosen], before[~chosen])


def test_the_kind_is_chosen_by_what_it_is_worth() -> None:
    random = np.random.default_rng(0)
    samples = some_samples(400, networks=1)
    a = samples.column("a")
    valley = 0.15 * np.abs(a - a.mean()) / a.std()
    bent = dataclasses.replace(
        samples, edge_dice=np.clip(samples.cloud_dice - valley + random.normal(0, 0.02, 400), 0, 1)
    )
    assert best_kind(bent) == "mlp"  # a straight line knows nothing of a valley


@given(st.lists(st.integers(0, 9), min_size=6, max_size=60), st.integers(2, 5))
def test_folds_keep_groups_together_and_are_about_equal(groups: list[int], count: int) -> None:
    folds = group_folds(np.array(groups), count, seed=0)
    by_group = {group: set(folds[np.array(groups) == group]) for group in groups}
    assert all(len(each) == 1 for each in by_group.values())
    sizes = np.bincount([next(iter(each)) for each in by_group.values()], minlength=count)
    assert sizes.max() - sizes.min() <= 1


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    samples = some_samples(7)
    samples.write(tmp_path / "s.csv")
    again = Samples.read(tmp_path / "s.csv")
    assert again.ids == samples.ids
    assert again.names == samples.names
    for name in ("groups", "networks", "edge_dice", "cloud_dice", "sdc", "mean_entropy", "flip", "features"):
        np.testing.assert_allclose(getattr(again, name), getattr(samples, name), rtol=1e-6)
    both = pooled([samples, again.chosen(again.networks == 0)])
    assert len(both) == 7 + 3
    (tmp_path / "s.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="is no table of routed images"):
        Samples.read(tmp_path / "s.csv")
