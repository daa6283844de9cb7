"""The pair of a study whose trials go on: two networks, each by its best trial."""

from __future__ import annotations

from pathlib import Path

from tests.studies.conftest import SPLIT, FormulaEvaluator, made_summary, make_config
from ussearch.evaluators import TrainingTask
from ussearch.evaluators.inheritance import Inheritance
from ussearch.pairs.delivery.export_pair import choose_pair
from ussearch.search_spaces import load_preset
from ussearch.studies import Study, TrialRecord

TRIALS = (("cea-net-standin", 0.6, None), ("cmunext-s", 0.5, None), ("cea-net-standin", 0.7, 0))
"""Name, Dice, and the trial that goes on."""


def made_study(folder: Path) -> Study:
    """Return a study of two presets; the training of the first went on in trial 2, and is best there."""
    study, evaluator = Study.create(folder, make_config(trials=3), SPLIT), FormulaEvaluator()
    for trial_id, (name, dice, continues) in enumerate(
        [("cea-net-standin", 0.6, None), ("cmunext-s", 0.5, None), ("cea-net-standin", 0.7, 0)]
    ):
        architecture = load_preset(name).architecture.for_task()
        found = evaluator.evaluate(TrainingTask(architecture, 0))
        inherited = None if continues is None else Inheritance(relative=continues, share=1.0, age_epochs=1)
        evaluation = found.model_copy(update={"metrics": made_summary(dice), "inherited": inherited})
        record = TrialRecord(
            trial_id=trial_id,
            role="preset",
            name=name,
            architecture_id=architecture.id,
            continues=continues,
            started="",
            finished="",
            evaluation=evaluation,
        )
        study.keep(record, architecture)
    return study


def test_two_networks_not_one_twice(tmp_path: Path) -> None:
    study = made_study(tmp_path / "s")
    pair = choose_pair(study)
    assert (pair.edge.number, pair.cloud.number) == (2, 1)


def test_an_earlier_trial_can_be_named(tmp_path: Path) -> None:
    study = made_study(tmp_path / "s")
    assert choose_pair(study, edge=0).edge.number == 0
