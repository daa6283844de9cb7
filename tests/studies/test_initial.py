"""What a search begins with: presets, files, winners of earlier studies with their weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from ussearch.errors import UserError
from ussearch.evaluators.pretrained import FROM_SCRATCH, Pretrained, with_earlier
from ussearch.search_spaces import Architecture, build, load_preset
from ussearch.search_spaces.edits import edited
from ussearch.studies.initial import earlier_trial, earlier_weights, initial_architecture, initial_candidates


@pytest.fixture
def winner(tmp_path: Path) -> tuple[str, Architecture]:
    """Return ``STUDY:TRIAL`` of a trained child of UNeXt."""
    base = load_preset("unext").architecture.for_task()
    child = edited(base, {"width_multiplier": 0.5}, 64).model_copy(update={"name": "UNeXt, all widths × 0.5"})
    folder = tmp_path / "study" / "trials" / "0003"
    folder.mkdir(parents=True)
    (folder / "architecture.yaml").write_text(child.to_yaml(), encoding="utf-8")
    save_file(build(child).state_dict(), folder / "weights.safetensors")
    return f"{tmp_path / 'study'}:3", child


def test_an_earlier_winner_is_found_with_its_weights(winner: tuple[str, Architecture]) -> None:
    name, child = winner
    assert initial_architecture(name) == child
    weights = earlier_weights([name, "unext"])[name]
    assert weights.parent.name == "0003" and weights.parent.parent.name == "trials"
    (start,) = with_earlier(Pretrained(asked="auto"), {weights: child}).starts
    assert (start.architecture_id, start.part, start.network) == (child.id, "network", child.name)


def test_weights_of_its_full_training_go_before(winner: tuple[str, Architecture]) -> None:
    name, child = winner
    study = Path(name.removesuffix(":3"))
    finalist = study / "finalists" / "0003" / "weights.safetensors"
    finalist.parent.mkdir(parents=True)
    save_file(build(child).state_dict(), finalist)
    assert earlier_weights([name]) == {name: finalist}


def test_nothing_starts_from_weights_where_none_were_wanted(winner: tuple[str, Architecture]) -> None:
    name, child = winner
    assert with_earlier(FROM_SCRATCH, {earlier_weights([name])[name]: child}) == FROM_SCRATCH


def test_weights_of_another_network_are_refused(winner: tuple[str, Architecture]) -> None:
    name, _ = winner
    other = load_preset("unext").architecture.for_task()
    with pytest.raises(UserError, match="does not hold the weights of unext"):
        with_earlier(Pretrained(asked="auto"), {earlier_weights([name])[name]: other})


def test_bases_come_beside_presets_or_those_that_were_named(winner: tuple[str, Architecture]) -> None:
    name, child = winner
    assert {"lv-unet", "unext", name} <= initial_candidates(None, more=[name]).keys()
    assert initial_candidates(["unext"], more=[name]) == {"unext": initial_architecture("unext"), name: child}


@pytest.mark.parametrize("wrong", ["nowhere:3", "{study}:4"])
def test_what_is_not_there_is_one_sentence(winner: tuple[str, Architecture], wrong: str) -> None:
    name = wrong.format(study=winner[0].removesuffix(":3"))
    with pytest.raises(UserError, match="Cannot read the architecture"):
        initial_architecture(name)
    with pytest.raises(UserError, match="has no weights any more"):
        earlier_weights([name])


@pytest.mark.parametrize("text", ["lv-unet", "a.yaml", ":3", "study:", "study:x"])
def test_what_is_no_earlier_trial(text: str) -> None:
    assert earlier_trial(text) is None
