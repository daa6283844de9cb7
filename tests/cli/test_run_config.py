"""One configuration of a run: options, files, ``--set``, and what is refused."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Command
from tests.configurations import run_config
from ussearch import deprecations
from ussearch.errors import UserError
from ussearch.run_config import RunConfig
from ussearch.run_options import IN_SIGHT, commented_yaml, config_from, renamed_options, run_options


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("trials", 0, "--trials 0 is not possible: expected at least 1"),
        ("epochs", 0, "--epochs 0 is not possible: expected at least 1"),
        ("phantoms", 3, "--phantoms 3 is not possible: expected at least 40"),
        ("edge_share", 2.0, "--edge-share 2.0 is not possible: expected at most 1"),
        ("max_drop", -1, "--max-drop -1 is not possible: expected at least 0"),
        ("seed", -1, "--seed -1 is not possible: expected at least 0"),
        ("budget", "soon", "'soon' is no time"),
        ("budget", 0, "--budget 0 is not possible: expected at least 1"),
        ("sampler", "nsga", "--sampler nsga is not possible: expected 'surrogate'"),
        ("datum", 1, "run has no option 'datum': did you mean data"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_sentence(option: str, value: object, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        run_config(**{option: value})


def test_a_file_then_settings_then_options_count(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("profile: jetson-nano\nbudget: 30m\ntraining: {epochs: 3, final_epochs: 9}\nseed: 4\n")
    config = config_from({"seed": 6, "final_epochs": 11}, file, ["training.epochs=5", "seed=5", "data.reader=busi"])
    assert (config.profile, config.budget, config.seed) == ("jetson-nano", 1800.0, 6)
    assert (config.training.epochs, config.training.final_epochs, config.data.reader) == (5, 11, "busi")


def test_an_evaluator_has_no_effect_wherever_it_is_given(
    tmp_path: Path, ussearch: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("profile: jetson-nano\nsearch: {evaluator: auto, trials: 7}\n")
    plain = run_config(profile="jetson-nano", trials=7)
    for given in (
        config_from({}, file),
        config_from({"profile": "jetson-nano", "trials": 7}, None, ["search.evaluator=shared"]),
    ):
        assert given == plain
    capsys.readouterr()
    deprecations._told.clear()
    assert renamed_options({"evaluator": "auto", "trials": 7}) == {"trials": 7}
    assert config_from({"profile": "jetson-nano", "search": {"evaluator": "auto", "trials": 7}}) == plain
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("every candidate is trained; " in line for line in said)
    outcome = ussearch("config", "--profile", "jetson-nano", "--evaluator", "auto", "--trials", 7, "--json")
    assert outcome.status == 0 and RunConfig.model_validate_json(outcome.out) == plain
    assert outcome.err == (
        "ussearch: every candidate is trained; --evaluator has no effect any more and is refused from 0.4.0 on.\n"
    )


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("training: {epoch: 3}", (), r"run\.yaml: There is no key 'training\.epoch' in a run: did you mean training"),
        ("training: {epochs: many}", (), r"run\.yaml: training\.epochs many is not possible: .*valid integer"),
        ("seed: 1", (), r"profile is missing: give --profile"),
        ("a: [", (), "is not YAML"),
        ("[]", (), "is not the configuration of a run"),
        ("schema_version: 99", (), "newer ussearch"),
        ("profile: p", ("training.epoch=3",), r"no key 'training\.epoch': did you mean training\.epochs"),
        ("profile: p", ("training.epochs",), "expected a key and a value"),
        ("profile: p", ("training.epochs=0",), r"--set training\.epochs 0 is not possible: expected at least 1"),
    ],
)
def test_files_and_settings_that_are_none(text: str, settings: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=expected):
        config_from({}, file, settings)


def test_the_commented_file_is_the_configuration(tmp_path: Path) -> None:
    config = run_config(data="images", trials=7, warm_start="lv-unet,unext", budget="2h", storage="sqlite:///x.db")
    file = tmp_path / "run.yaml"
    file.write_text(commented_yaml(config))
    assert config_from({}, file) == config
    described = [line for line in file.read_text().splitlines() if line.strip() and not line.endswith(":")]
    assert all("#" in line for line in described)


def test_every_option_says_what_it_is_and_has_one_name() -> None:
    options = run_options()
    assert all(option.description.endswith((".", "…")) for option in options)
    assert len({option.keyword for option in options}) == len(options)
    assert {option.keyword for option in options} >= set(IN_SIGHT) - {"config", "set", "dry_run", "json", "help"}


def test_the_command_prints_what_a_run_takes(ussearch: Command, tmp_path: Path) -> None:
    outcome = ussearch("config", "--set", "training.epochs=7", "--budget", "30m", "--profile", "raspberry-pi-4")
    assert (outcome.status, outcome.err) == (0, "")
    printed = yaml.safe_load(outcome.out)
    assert printed.pop("schema_version") == 1
    found = RunConfig.model_validate(printed)
    assert (found.profile, found.training.epochs, found.budget) == ("raspberry-pi-4", 7, 1800.0)
    (tmp_path / "run.yaml").write_text(outcome.out)
    again = ussearch("config", "--config", tmp_path / "run.yaml", "--seed", 3)
    assert yaml.safe_load(again.out) == {**yaml.safe_load(outcome.out), "seed": 3}
    assert ussearch("config", "--trials", 0).status == 2


def test_a_study_holds_its_run_resolved(ussearch: Command, tiny_study: Path) -> None:
    outcome = ussearch("config", tiny_study, "--json")
    assert outcome.status == 0
    run = RunConfig.model_validate_json(outcome.out)
    decided = (run.search.trials, run.space.image_size, run.training.epochs, run.training.final_restarts)
    assert None not in (*decided, run.execution.workers, run.space.warm_start)


def test_help_shows_first_what_most_runs_need(ussearch: Command) -> None:
    shown = ussearch("run", "--help").out
    first, _, second = shown.partition("More options")
    for name in IN_SIGHT:
        assert f"--{name.replace('_', '-')} " in first
    for option in run_options():
        if option.keyword not in IN_SIGHT and option.keyword not in {"population", "startup"}:
            assert option.flag in second
            assert option.flag not in first.replace("--study studies", "")


def test_python_has_the_same_options() -> None:
    import ussearch as package

    parameters = inspect.signature(package.run).parameters
    assert {"profile", "config", "on_event", "options"} == set(parameters)


def test_what_a_step_may_lose_reaches_the_chain() -> None:
    from ussearch.timetable import compression_asked

    asked = compression_asked(run_config(max_drop=2.5))
    assert asked is not None and asked.max_drop == pytest.approx(0.025)
    assert compression_asked(run_config(compress=False)) is None


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host/name", "postgresql://me:p@secret@host/name?password=secret"]
)
def test_a_configuration_does_not_show_the_password_of_its_database(url: str) -> None:
    config = run_config(storage=url)
    assert config.execution.storage == url
    for shown in (repr(config), config.model_dump_json(), commented_yaml(config)):
        assert "secret" not in shown


def test_a_configuration_that_another_begins_with_loses_nothing() -> None:
    config = run_config(storage="postgresql://me:secret@host/name", resume=True, sampler="tpe")
    again = config_from({"seed": 7}, base=config.given())
    assert (again.execution.storage, again.output.resume) == ("postgresql://me:secret@host/name", True)
    assert again == config.model_copy(update={"seed": 7})
    assert config_from({"sampler": "random"}, base=config.given()).search.sampler.population == 8
