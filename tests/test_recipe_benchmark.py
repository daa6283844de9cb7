"""``benchmarks/recipe.py``: its design and intervals against independent ones, and that it reads no test image."""

from __future__ import annotations

import re
import runpy
import sys
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ussearch.datasets import Split
from ussearch.search_spaces import load_preset

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("benchmarks_importable")


def test_a_block_is_balanced_and_the_next_one_mirrors_it() -> None:
    from ablation.factors import FACTORS, design

    blocks = [
        np.array([[factor.name in arm for factor in FACTORS] for arm in design(block)]) * 2 - 1 for block in (6, 7)
    ]
    assert np.array_equal(blocks[0].T @ blocks[0], 16 * np.eye(len(FACTORS)))
    assert np.array_equal(blocks[0], -blocks[1]) and not blocks[0].sum(axis=0).any()
    both = np.vstack(blocks)
    for column in both.T:  # no main effect is an interaction of two others
        assert not (both.T @ (both * column[:, None]))[~np.eye(len(FACTORS), dtype=bool)].any()


def test_every_factor_changes_what_it_says_and_nothing_else() -> None:
    from ablation.factors import BY_NAME, FORMER, architecture_at, image_size_at, recipe_at

    preset = load_preset("lv-unet").architecture
    plain = recipe_at((), 7)
    assert plain == FORMER.model_copy(update={"steps": 7}) and architecture_at((), preset) == preset
    for name, factor in BY_NAME.items():
        other, architecture = recipe_at((name,), 7), architecture_at((name,), preset)
        assert plain.augmentation and other.augmentation
        fields = {key for key, value in other if value != getattr(plain, key)} - {"augmentation"}
        changes = {key for key, value in other.augmentation if value != getattr(plain.augmentation, key)}
        assert fields == set(factor.recipe) and changes == set(factor.augmentation)
        assert (architecture != preset) == factor.deep_supervision
        assert image_size_at((name,), 64) == 64 * factor.size
        assert fields or changes or factor.deep_supervision or factor.size != 1 or factor.length != 1
    assert architecture_at(("deep supervision",), preset).deep_supervision == (5, 4, 3)


def simulated(
    random: np.random.Generator, effect: float, seed_noise: float, image_noise: float
) -> list[dict[str, object]]:
    """Two mirrored blocks; each image responds to the first factor in its own way."""
    from ablation.factors import design

    runs = []
    for block in (0, 1):
        level, response = random.uniform(0.3, 0.9, 40), random.normal(effect, 0.03, 40)
        for arm in design(block):
            dice = (
                level + response * ("affine" in arm) + random.normal(0, seed_noise) + random.normal(0, image_noise, 40)
            )
            runs.append({"setting": f"s{block}", "arm": list(arm), "dice": dice.tolist()})
    return runs


def test_effects_are_differences_of_means_and_intervals_cover_the_truth() -> None:
    from ablation.effects import Family, pooled
    from ablation.factors import FACTORS

    names = [factor.name for factor in FACTORS]
    groups = {name: list(range(40)) for name in ("s0", "s1")}
    block = simulated(np.random.default_rng(0), 0.02, 0.01, 0.1)[:16]
    assert not Family(block, groups, names).told  # two runs more than numbers to be found
    widths, hits = [], 0
    for number in range(40):
        runs = simulated(np.random.default_rng(number), 0.02, 0.01, 0.1)
        family = Family(runs, groups, names)
        assert family.told
        effects = pooled([(1.0, family)])
        for name, effect in list(zip(names, effects, strict=True))[:3]:
            at, others = (
                [np.mean(run["dice"]) for run in runs if (name in run["arm"]) == level] for level in (True, False)
            )
            assert effect.points == pytest.approx(100 * (np.mean(at) - np.mean(others)))
        hits += effects[0].low < 2 < effects[0].high
        widths.append(effects[0].high - effects[0].low)
    # Images that respond in their own ways, seeds, and the noise of each image in each run: the last is counted twice.
    exact = np.sqrt(0.03**2 / 80 + 4 * 0.01**2 / 32 + 4 * 0.1**2 / (32 * 40))
    assert 2 * 1.96 * 100 * exact < np.mean(widths) < 1.5 * 2 * 1.96 * 100 * exact
    assert hits >= 36


def test_an_interaction_is_told_apart() -> None:
    from ablation.effects import Family, at_both_levels
    from ablation.factors import FACTORS, design

    runs = [
        {"setting": f"s{block}", "arm": list(arm), "dice": [0.5 + 0.1 * ("speckle" in arm and "length" in arm)] * 3}
        for block in (0, 1)
        for arm in design(block)
    ]
    family = Family(runs, {"s0": [0, 1, 2], "s1": [0, 1, 2]}, [factor.name for factor in FACTORS])
    short, long = at_both_levels([(1.0, family)], "speckle", "length")
    assert short.points == pytest.approx(0, abs=1e-9) and long.points == pytest.approx(10)
    assert not short.better and long.better


def test_a_length_that_acts_in_other_ways_elsewhere_disturbs_no_other_factor() -> None:
    from ablation.effects import Family
    from ablation.factors import FACTORS, design

    names = [factor.name for factor in FACTORS]
    gain = (0.1, 0.3)
    runs = [
        {"setting": f"s{block}", "arm": list(arm), "dice": [0.2 + gain[block] * ("length" in arm)] * 3}
        for block in (0, 1)
        for arm in design(block)[:12]  # unfinished
    ]
    family = Family(runs, {"s0": [0, 1, 2], "s1": [0, 1, 2]}, names)
    assert dict(zip(names, family.points, strict=True)) == pytest.approx(
        {name: 20.0 * (name == "length") for name in names}, abs=1e-6
    )
    assert np.allclose(family.draws(), family.points)


def test_whole_groups_are_drawn() -> None:
    from ablation.effects import resampled

    random = np.random.default_rng(0)
    dice, groups = random.random((3, 30)), [7] * 10 + [9] * 10 + [11] * 10
    means = resampled(dice, groups, random)
    of_groups = dice.reshape(3, 3, 10).mean(axis=2)
    possible = {round(float(of_groups[0][list(each)].mean()), 9) for each in np.ndindex(3, 3, 3)}
    assert {round(float(value), 9) for value in means[:, 0]} == possible
    assert np.allclose(means.std(axis=0), of_groups.std(axis=1) / np.sqrt(3), rtol=0.03)
    assert np.corrcoef(means[:, 0], means[:, 1])[0, 1] == pytest.approx(
        np.corrcoef(of_groups[0], of_groups[1])[0, 1], abs=0.05
    )


@pytest.mark.parametrize(
    ("low", "high", "ratio", "change"),
    [(0.1, 2, 1.5, True), (-2, -0.1, 0.5, False), (-1, 1, 0.95, True), (-1, 1, 0.995, False), (-1, 1, 1.2, False)],
)
def test_the_rule(low: float, high: float, ratio: float, change: bool) -> None:
    from ablation.decisions import Cost, verdict
    from ablation.effects import Effect

    effect = Effect((low + high) / 2, low, high)
    assert verdict(effect, Cost(ratio, ratio - 0.004, ratio + 0.004)).change is change
    assert not verdict(Effect(0, -1, 1), Cost(ratio, 0.9, 1.3)).change  # not beyond chance
    assert not verdict(effect, None).change


def test_a_cost_is_a_median_with_its_interval() -> None:
    from ablation.decisions import Cost

    ratios = [1 + number / 100 for number in range(15)]
    found = Cost.of(ratios[::-1])
    assert found.ratio == pytest.approx(1.07) and (found.low, found.high) == (ratios[3], ratios[11])
    inside = sum(comb(15, k) for k in range(4, 12)) / 2**15  # of 15 ratios, 4 to 11 lie below the true median
    assert inside == pytest.approx(0.965, abs=1e-3) and found.takes and not found.saves


def test_rows_survive_a_torn_line(tmp_path: Path) -> None:
    from ablation import rows

    path = tmp_path / "deep" / "rows.jsonl"
    assert rows.read(path) == []
    rows.add({"kind": "run", "arm": ["Dice über"]}, path)
    with path.open("a") as file:
        file.write('{"kind": "ru')
    assert rows.read(path) == [{"kind": "run", "arm": ["Dice über"]}]
    rows.add({"kind": "cost"}, path)
    assert [row["kind"] for row in rows.read(path)] == ["run", "cost"]


@pytest.fixture(scope="module")
def busi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty images with a lesion, two of them alike, and three published splits that test two in three."""
    root = tmp_path_factory.mktemp("busi")
    random = np.random.default_rng(0)
    names = []
    for kind, count in (("benign", 15), ("malignant", 15), ("normal", 1)):
        (root / kind).mkdir()
        for number in range(1, count + 1):
            mask = np.zeros((64, 64), np.uint8)
            mask[20:40, 20:40] = 255 if kind != "normal" else 0
            grey = np.asarray(Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).resize((64, 64)))
            if (kind, number) == ("benign", 4):
                grey = np.asarray(Image.open(root / kind / "benign (1).png"))
            Image.fromarray(grey).save(root / kind / f"{kind} ({number}).png")
            Image.fromarray(mask).save(root / kind / f"{kind} ({number})_mask.png")
            names += [f"{kind} ({number})"] if kind != "normal" else []
    (root / "splits").mkdir()
    for number in (1, 2, 3):
        tested = names[number - 1 :: 6]  # benign (1) is tested, its copy never
        (root / "splits" / f"val{number}.txt").write_text("\n".join(tested) + "\n")
        (root / "splits" / f"train{number}.txt").write_text(
            "\n".join(name for name in names if name not in tested) + "\n"
        )
    return root


def test_no_image_that_tests_judges_or_trains(busi_folder: Path) -> None:
    from ablation.settings import SETTINGS, material, published_material

    tested = {name for file in (busi_folder / "splits").glob("val*") for name in file.read_text().splitlines()}
    judges: list[str] = []
    for setting in SETTINGS:
        if setting.family == "busi":
            shown = material(setting, busi_folder, 32)
            own = (busi_folder / "splits" / f"train{setting.split}.txt").read_text().splitlines()
            trains = {Path(shown.images.ids[index]).stem for index in shown.train}
            judges += [Path(name).stem for name in shown.names]
            assert trains <= set(own) and not trains & set(judges[-len(shown.names) :])
            assert shown.masks.shape == (len(shown.judged), 1, 256, 256) and shown.split.validation == ()
            groups = {int(shown.images.groups[index]) for index in shown.train}
            assert not groups & set(shown.groups)
    assert not set(judges) & tested and "benign (4)" not in judges  # its copy tests
    assert len(judges) == len(set(judges)) == 30 - len(tested) - 1
    shown = published_material(busi_folder, 2, 32)
    assert {Path(name).stem for name in shown.names} == set(
        (busi_folder / "splits" / "val2.txt").read_text().splitlines()
    )


def test_a_test_image_is_refused() -> None:
    from ablation.settings import refuse_test_images

    own = Split((1, 2, 3, 4), (5, 6), (), ())
    refuse_test_images(own, {5, 6, 7}, (1, 2), (3, 4))
    for train, judged in (((1, 5), (3,)), ((1, 8), (3,)), ((1, 2), (7,)), ((1, 2), (2, 3))):
        with pytest.raises(AssertionError, match="image"):
            refuse_test_images(own, {5, 6, 7}, train, judged)


def test_work_is_done_once_and_lasts_as_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ablation import rows, runs, settings

    small = replace(settings.SETTINGS[0], image_size=32, steps=6)
    monkeypatch.setattr(settings, "TRAINED_ON", 12)
    monkeypatch.setattr(settings, "JUDGED", 4)
    monkeypatch.setattr(settings, "PHANTOM_GRID", 64)
    monkeypatch.setattr(runs, "SETTINGS", (small,))
    monkeypatch.setattr(runs, "PAIRS", 1)
    monkeypatch.setattr(runs, "STEPS_TIMED", 2)
    monkeypatch.setattr(runs, "design", lambda block: [(), ("batch size", "speckle")])
    path = tmp_path / "rows.jsonl"
    bench = runs.Bench(None, path, lambda line: None)
    bench.run("design")
    done = rows.read(path)
    assert [row["kind"] for row in done] == ["images", "run", "cost", "cost", "run"]
    images, first, batch, speckle, second = done
    assert first["steps"] == 6 and second["steps"] == round(6 / (batch["ratio"] * speckle["ratio"]))
    assert len(first["dice"]) == len(second["dice"]) == len(images["judged"]) > 0
    runs.Bench(None, path, lambda line: None).run("design")
    assert rows.read(path) == done


def test_the_new_defaults_last_as_many_seconds_or_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    from ablation import proof
    from ablation.factors import FORMER

    monkeypatch.setattr(proof, "NEW", FORMER.model_copy(update={"batch_size": 8, "learning_rate": 0.02}))
    steps = [proof._lasting(arm, 450, 1.6).steps for arm in proof.ARMS]
    assert steps == [25 * 113, round(25 * 113 / 1.6), 25 * 57]
    assert proof._written(proof.NEW) == {"batch_size": 8, "learning_rate": 0.02, "augmentation": {}}
    done = [
        {"kind": "proof", "on": "judges", "new": new} for new in (proof._written(FORMER), proof._written(proof.NEW))
    ]
    assert proof.current(done, "judges") == done[1:] and not proof.current(done, "published lists")


def test_the_published_lists_are_not_read_by_accident(
    busi_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recipe.py", "proof", "--data", str(busi_folder), "--rows", str(tmp_path / "rows.jsonl")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "benchmarks" / "recipe.py"), run_name="__main__")
    assert ended.value.code == 2 and "--read-test-images" in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_gains_average_an_image_s_lists_first() -> None:
    from ablation.proof import ARMS, _gains

    def row(split: int, arm: str, names: str, dice: list[float]) -> dict[str, object]:
        groups = [{"a": 0, "b": 0, "c": 1}[name] for name in names]
        return {"split": split, "seed": 0, "arm": arm, "images": list(names), "groups": groups, "dice": dice}

    runs = [row(1, arm, "abc", [0.5, 0.5, 0.5] if arm == ARMS[0] else [0.6, 0.7, 0.5]) for arm in ARMS]
    runs += [row(2, arm, "bc", [0.4, 0.4] if arm == ARMS[0] else [0.5, 0.4]) for arm in ARMS]
    for gain in _gains(runs, "dice").values():
        assert gain.points == pytest.approx((10 + (20 + 10) / 2 + 0) / 3)
        assert (gain.low, gain.high) == pytest.approx((0, 12.5))  # the second group alone, the first alone


def test_the_page_is_what_the_rows_say() -> None:
    from ablation import rows
    from ablation.report import page

    number = re.compile(r"[+-]?\d+(?:\.\d+)?")
    kept, made = (ROOT / "docs" / "results" / "recipe.md").read_text(encoding="utf-8"), page(rows.read())
    assert number.sub("#", kept) == number.sub("#", made)
    # Another release of NumPy may draw other resamples.
    figures = [[float(each) for each in number.findall(text)] for text in (kept, made)]
    assert figures[0] == pytest.approx(figures[1], abs=0.06)
