"""A front for another device from what a study knows: nothing is trained, nothing is written, nothing is mixed."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.studies.conftest import SPLIT, made_summary, make_config, run_search
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, trace
from ussearch.evaluators.costs import costs
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import FreeSpace, load_preset
from ussearch.studies import Study, TrialRecord
from ussearch.studies.specialise import Known, known_from_records, specialise

PI = load_profile("raspberry-pi-4")
NAMES = ("lv-unet", "cmunext-s")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    seeds = [load_preset(name).architecture.for_task() for name in NAMES]
    size = {"image_size": 128, "space": dict(FreeSpace.standard(128).choices)}
    return run_search(tmp_path_factory.mktemp("specialise") / "s", seeds=seeds, trials=8, **size)[0]


def content_of(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def invoke(*arguments: str) -> Any:
    from ussearch.cli.app import app

    return CliRunner().invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})


def dominated_pairwise(rows: list[dict[str, Any]]) -> set[int]:
    """Return positions that some row of the same fidelity dominates by a clear margin in memory as well."""
    keys = [(-row["objective"], row["latency_ms"], row["memory_mib"]) for row in rows]
    return {
        one
        for one, first in enumerate(keys)
        for second in keys
        if second[0] < first[0] and second[1] < first[1] and second[2] <= first[2]
    }


def test_costs_are_those_of_the_new_device_and_accuracies_those_of_the_study(study: Study) -> None:
    found = specialise(study, PI)
    assert len(found.fitting) + len(found.dropped) == 8
    for each in found.fitting:
        assert each.known.trial is not None
        record = study.trial(each.known.trial)
        assert each.known.evaluation.metrics == record.evaluation.metrics
        assert each.costs == costs(study.architecture(record.trial_id), 128, PI)
        assert each.costs.feasible


def test_the_front_is_that_of_a_pairwise_comparison(study: Study) -> None:
    data = specialise(study, PI).to_dict()
    rows = data["candidates"]
    on_front = {position for position, row in enumerate(rows) if row["on_front"]}
    assert on_front and not on_front & dominated_pairwise(rows)
    latencies = [row["latency_ms"] for row in rows if row["on_front"]]
    assert latencies == sorted(latencies) and sorted(on_front) == list(range(len(on_front)))
    json.dumps(data, allow_nan=False)


def test_what_the_device_cannot_run_is_dropped_with_the_reason(study: Study) -> None:
    forbidden = PI.model_copy(update={"forbidden_features": {"dynamic_conv": "no such kernels"}})
    dynamic = [trial_id for trial_id in range(8) if "dynamic_conv" in study.architecture(trial_id).features]
    found = specialise(study, forbidden)
    assert {label for label, reason in found.dropped.items() if "no such kernels" in reason} == {
        study.trial(trial_id).label for trial_id in dynamic
    }
    slow = PI.model_copy(update={"limits": PI.limits.model_copy(update={"frames_per_second": 60.0})})
    found = specialise(study, slow)
    limit = f"at most {1000 / 60 - PI.postprocessing_ms(128):.1f} beside post-processing"
    assert found.over and all(limit in found.dropped[each.known.label] for each in found.over)
    assert all(each.costs.latency_ms > 1000 / 60 - PI.postprocessing_ms(128) for each in found.over)
    found = specialise(study, slow.model_copy(update={"postprocessing": None}))
    assert all(found.dropped[each.known.label].endswith("at most 16.7") for each in found.over)


def test_nothing_that_serves_is_one_sentence(study: Study) -> None:
    tiny = PI.model_copy(update={"limits": PI.limits.model_copy(update={"frames_per_second": 1e6})})
    with pytest.raises(UserError, match=r"Nothing of the 8 candidates .* search for that device"):
        specialise(study, tiny)


def test_the_study_is_left_as_it_is(study: Study) -> None:
    before = content_of(study.folder)
    specialise(study, PI)
    result = invoke("specialise", str(study.folder), "--profile", "raspberry-pi-4")
    assert result.exit_code == 0 and "raspberry-pi-4: at most" in result.output
    assert "of which 1.6 ms are for post-processing" in " ".join(result.output.split())
    assert content_of(study.folder) == before


def test_other_sources_add_architectures_and_fidelities_stay_apart(study: Study) -> None:
    space = FreeSpace.standard(128)
    template = study.trial(7).evaluation

    def drawn(of: Study) -> Iterable[Known]:
        for number in range(3):
            architecture = space.sample(1000 + number)
            figures = made_summary(0.999)
            evaluation = template.model_copy(
                update={"architecture_id": architecture.id, "fidelity": "drawn", "metrics": figures}
            )
            yield Known(architecture, evaluation)
        yield Known(of.architecture(7), template.model_copy(update={"fidelity": "drawn"}))

    alone = {row["trial"] for row in specialise(study, PI).to_dict()["candidates"] if row["on_front"]}
    found = specialise(study, PI, sources=(known_from_records, drawn))
    rows = found.to_dict()["candidates"]
    own = {row["trial"] for row in rows if row["on_front"] and row["fidelity"] == "formula"}
    assert own == alone  # drawn scores near 1 dominate nothing that was come by otherwise
    assert any(row["on_front"] and row["trial"] is None for row in rows)


def test_fewer_candidates_are_the_best(study: Study) -> None:
    best = sorted((record.objective or 0.0 for record in study.trials()), reverse=True)[:3]
    found = specialise(study, PI, candidates=3)
    chosen = [each.known.evaluation.objective for each in (*found.fitting, *found.over)]
    assert sorted(filter(None, chosen), reverse=True) == best[: len(chosen)]


def test_a_study_without_results_is_refused(tmp_path: Path) -> None:
    empty = Study.create(tmp_path / "s", make_config(), SPLIT)
    with pytest.raises(UserError, match="knows no accuracy yet"):
        specialise(empty, PI)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--profile", "raspbery"], "Unknown profile"),
        (["--profile", "raspberry-pi-4", "--candidates", "0"], "--candidates 0 is not possible"),
        (["--profile", "raspberry-pi-4", "--train", "2"], "add --out"),
        (["--profile", "raspberry-pi-4", "--export"], "add --train"),
    ],
)
def test_bad_options_are_one_sentence(study: Study, options: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        invoke("specialise", str(study.folder), *options)


def test_json_report_and_picture(study: Study, tmp_path: Path) -> None:
    arguments = ["--profile", "raspberry-pi-4", "--json", "--out", str(tmp_path), "--plot", str(tmp_path / "front.png")]
    result = invoke("specialise", str(study.folder), *arguments)
    assert result.exit_code == 0
    kept = json.loads((tmp_path / "specialised.json").read_text())
    printed = json.loads(result.stdout)["candidates"]
    assert [{name: row[name] for name in kept["candidates"][0]} for row in printed] == kept["candidates"]
    assert kept["trained"] == []
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_five_hundred_candidates_take_a_minute_of_the_processor_at_most(tmp_path: Path) -> None:
    space = FreeSpace.standard(128)
    study = Study.create(tmp_path / "s", make_config(image_size=128, space=dict(space.choices), trials=500), SPLIT)
    for trial_id in range(500):
        architecture = space.sample(trial_id)
        evaluation = Evaluation(
            architecture_id=architecture.id,
            seed=trial_id,
            fidelity="trained",
            epochs=1,
            image_size=128,
            accelerator="cpu",
            costs={},
            metrics=made_summary(0.5 + 0.4 * math.sin(trial_id)),
        )
        record = TrialRecord(
            trial_id=trial_id,
            role="edge",
            architecture_id=architecture.id,
            started="",
            finished="",
            evaluation=evaluation,
        )
        study.keep(record, architecture)
    trace.cache_clear()
    start = time.process_time()
    found = specialise(Study.open(study.folder), PI)
    seconds = time.process_time() - start
    assert len(found.fitting) + len(found.dropped) == 500
    assert seconds < 60
    print(f"500 candidates in {seconds:.1f} s")  # noqa: T201
