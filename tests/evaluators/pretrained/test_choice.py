"""Which network starts from which weights, and what becomes of it in a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators.pretrained import Origin, choose, header
from ussearch.search_spaces import Architecture, build, load_preset
from ussearch.weights import require_file, weights_named


def preset(name: str) -> Architecture:
    return load_preset(name).architecture.for_task()


NETWORKS = tuple(preset(name) for name in ("lv-unet", "efficientnet-lite0-unet", "unext"))


def test_auto_takes_what_is_here_and_says_what_is_not() -> None:
    found = choose("auto", NETWORKS)
    assert [(start.network, start.weights) for start in found.starts] == [
        ("efficientnet-lite0-unet", "efficientnet-lite0")
    ]
    assert found.reasons.keys() == {"lv-unet"} and "weights get mobilenetv3-large" in found.reasons["lv-unet"]
    assert found.of(NETWORKS[2]) is None


def test_off_takes_nothing() -> None:
    assert not choose("off", NETWORKS).starts


def test_a_name_needs_a_network_that_takes_it() -> None:
    assert [start.network for start in choose("efficientnet-lite0", NETWORKS).starts] == ["efficientnet-lite0-unet"]
    with pytest.raises(UserError, match="No network of this run takes the weights mobilenetv2"):
        choose("mobilenetv2", NETWORKS)


def test_a_published_file_is_known_by_its_digest_whatever_it_is_called(tmp_path: Path) -> None:
    copy = tmp_path / "renamed.pth"
    copy.write_bytes(require_file(weights_named("efficientnet-lite0"))[0].read_bytes())
    (start,) = choose(str(copy), NETWORKS).starts
    assert (start.weights, start.part, start.licence) == ("efficientnet-lite0", "encoder", "Apache-2.0")


def own_file(path: Path, origins: tuple[Origin, ...] | None) -> Path:
    """Write random weights of the third network, with or without a word of what they began with."""
    weights = {name: values.contiguous() for name, values in build(NETWORKS[2]).state_dict().items()}
    save_file(weights, path, None if origins is None else header(origins))
    return path


PUBLISHED = Origin(
    weights="efficientnet-lite0", part="encoder", source="Google", licence="Apache-2.0", sha256="57" * 32
)


@pytest.mark.parametrize(
    ("origins", "told"),
    [
        (None, "what that network itself began with, its file does not tell"),
        ((), "that network itself began from scratch"),
        ((PUBLISHED,), "that network itself began with efficientnet-lite0 (Apache-2.0, SHA-256 575757575757)"),
    ],
)
def test_a_file_of_ones_own_tells_what_its_network_began_with(
    tmp_path: Path, origins: tuple[Origin, ...] | None, told: str
) -> None:
    (start,) = choose(str(own_file(tmp_path / "smith.safetensors", origins)), NETWORKS).starts
    assert start.earlier == origins and start.told.endswith(
        f" (licence not known here, SHA-256 {start.sha256[:12]}; {told})"
    )
    first, *rest = start.origins
    assert (first.weights, first.sha256, tuple(rest)) == ("the user's own", start.sha256, origins or ())
    (grandchild,) = choose(str(own_file(tmp_path / "two.safetensors", start.origins)), NETWORKS).starts
    assert f"the user's own (licence not known here, SHA-256 {start.sha256[:12]})" in grandchild.told
    assert grandchild.earlier == start.origins and "smith" not in header(grandchild.origins)["started_from"]


def test_a_header_that_says_something_else_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    weights = {name: values.contiguous() for name, values in build(NETWORKS[2]).state_dict().items()}
    for text in ("yes", "[1]", '[{"weights": "x"}]', '{"a": 1}'):
        save_file(weights, path, {"started_from": text})
        assert choose(str(path), NETWORKS).starts[0].earlier is None
    torch.save(weights, tmp_path / "own.pth")
    assert choose(str(tmp_path / "own.pth"), NETWORKS).starts[0].earlier is None


def test_weights_of_ones_own_start_the_network_that_they_are_of(tmp_path: Path) -> None:
    torch.manual_seed(1)
    trained = build(NETWORKS[2])
    path = tmp_path / "weights.safetensors"
    save_file({name: values.contiguous() for name, values in trained.state_dict().items()}, path)
    (start,) = choose(str(path), NETWORKS).starts
    assert (start.network, start.part) == ("unext", "network")
    fresh = build(NETWORKS[2])
    start.landing(fresh, Normalisation(80.0, 50.0)).apply(fresh)
    for name, values in fresh.state_dict().items():
        torch.testing.assert_close(values, trained.state_dict()[name], atol=0, rtol=0)
    with pytest.raises(UserError, match="holds the weights of none of the networks"):
        choose(str(path), NETWORKS[:2])


def test_a_file_that_changed_since_it_was_chosen_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({name: values.contiguous() for name, values in build(NETWORKS[2]).state_dict().items()}, path)
    (start,) = choose(str(path), NETWORKS).starts
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="has changed"):
        start.landing(build(NETWORKS[2]), Normalisation(80.0, 50.0))


@pytest.mark.parametrize(
    "content", [b"", b"no weights", b"\x80\x04]q\x00.", b"schema_version: 3\nrun:\n  profile: jetson-nano\n"]
)
def test_what_holds_no_weights_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth"):
        choose(str(path), NETWORKS)
