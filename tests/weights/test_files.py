"""Files of weights on this machine: found, kept, refused."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from ussearch.errors import UserError
from ussearch.weights import known_weights, located, require_digest, require_file, weights_folder, weights_named
from ussearch.weights.asked import asked_for, require_pretrained
from ussearch.weights.files import FOLDER_VARIABLE, add

LITE = "efficientnet-lite0"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "weights"
    monkeypatch.setenv(FOLDER_VARIABLE, str(place))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return place


def test_the_catalogue_names_a_source_and_a_licence_for_every_file() -> None:
    for source in known_weights():
        assert source.licence and source.source and (source.url or source.package)
        assert source.sha256.startswith(source.file.rpartition("-")[2].partition(".")[0])
        assert (len(source.sha256) == 64) == (source.checked == "values")


def test_a_file_of_a_package_has_the_digest_of_the_catalogue() -> None:
    for source in known_weights():
        if source.checked == "values":
            path, sha256 = require_file(source)
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256 == source.sha256


def test_missing_weights_are_one_sentence_with_file_digest_and_command() -> None:
    with pytest.raises(UserError, match=r"efficientnet-b0-355c32eb\.pth \(SHA-256 355c32eb\).*weights get"):
        require_pretrained("efficientnet-b0")


def test_pytorchs_cache_is_looked_at(tmp_path: Path) -> None:
    source = weights_named("mobilenetv3-large")
    assert located(source) is None
    cached = tmp_path / "torch" / "hub" / "checkpoints" / source.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"not what it should be")
    assert located(source) == cached
    with pytest.raises(UserError, match="damaged or another file"):
        require_file(source)


def test_adding_keeps_what_the_catalogue_knows_and_nothing_else(tmp_path: Path, folder: Path) -> None:
    given = tmp_path / "some name.pth"
    shutil.copyfile(require_file(weights_named(LITE))[0], given)
    source, place = add(given)
    assert source.name == LITE and place == folder / source.file == located(source)
    assert weights_folder() == folder
    damaged = tmp_path / source.file
    damaged.write_bytes(given.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"that of {LITE} is {source.sha256}.*weights get {LITE}"):
        add(damaged)
    assert [path.name for path in folder.iterdir()] == [source.file]


def test_a_damaged_file_of_the_users_folder_is_refused_not_passed_over(folder: Path) -> None:
    source = weights_named(LITE)
    folder.mkdir()
    (folder / source.file).write_bytes(b"half")
    with pytest.raises(UserError, match="damaged or another file"):
        require_file(source)


def test_what_a_study_started_from_is_found_again_by_its_digest(tmp_path: Path) -> None:
    path, sha256 = require_file(weights_named(LITE))
    assert require_digest(LITE, tmp_path / "moved.pth", sha256) == path
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"first")
    digest = hashlib.sha256(b"first").hexdigest()
    assert require_digest("own.safetensors", own, digest) == own
    own.write_bytes(b"second")
    with pytest.raises(UserError, match="has changed: bring the file back"):
        require_digest("own.safetensors", own, digest)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("efficentnet-lite0", "did you mean efficientnet-lite0"),
        ("nowhere/weights.safetensors", "does not exist"),
        ("weights.pth", "does not exist"),
        (".", "is a folder"),
    ],
)
def test_what_cannot_be_meant_is_told(asked: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        asked_for(asked)
