"""``ussearch.Study``: the commands as methods."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ussearch
from tests.cli.conftest import write_data
from ussearch.studies import Study as Folder
from ussearch.studies.pareto import pareto_report


def test_a_study_tells_what_pareto_prints(there: Path) -> None:
    study = ussearch.Study.load(there / "study")
    expected = pareto_report(Folder.open(there / "study")).to_dict()
    assert study.pareto().to_dict() == expected
    assert study.table() == expected["trials"]
    assert json.loads(json.dumps(study.show(1).to_dict()))["trial"] == 1


def test_a_front_is_drawn(there: Path, tmp_path: Path) -> None:
    assert ussearch.Study.load("study").plot(tmp_path / "front.svg").read_text().startswith("<?xml")


def test_what_is_not_there_is_said_in_a_sentence(there: Path, tmp_path: Path) -> None:
    with pytest.raises(ussearch.UserError, match="holds no study"):
        ussearch.Study.load(tmp_path)
    study = ussearch.Study.load("study")
    with pytest.raises(ussearch.UserError, match="is not a bundle"):
        _ = study.bundle
    with pytest.raises(ussearch.UserError, match="has no finished trial 7"):
        study.show(7)


@pytest.mark.slow
def test_the_whole_road_from_python(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    outcome = ussearch.run(
        "jetson-nano",
        data=str(data),
        study=str(tmp_path / "s"),
        trials=3,
        epochs=1,
        final_epochs=1,
        image_size=64,
        threads=1,
        compress=False,
        pretrained="off",
    )
    assert outcome.verification.passed and "verified" in repr(outcome)
    assert outcome.study.bundle == outcome.bundle
    image = next((data / "images").iterdir())
    assert outcome.bundle.predict(image).mask.shape == (64, 64)
    provenance = outcome.bundle.manifest.provenance
    assert provenance is not None and provenance.trials == 3 and provenance.final_epochs == 1
    assert str(tmp_path) not in outcome.bundle.card and "## Reproduction" in outcome.bundle.card
    edge = outcome.pair.edge.number
    other = next(record.trial_id for record in outcome.study.trials() if record.trial_id != edge)
    again = outcome.study.export(tmp_path / "b", edge=edge, cloud=other, compress=False, offload_share=0.5)
    assert again.bundle.manifest.cloud.trial == other
    assert again.bundle.manifest.router.requested_share == 0.5
