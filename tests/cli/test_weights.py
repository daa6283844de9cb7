"""``ussearch weights`` and ``run --pretrained``, through the real command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ussearch.evaluators.pretrained import origins_in
from ussearch.pairs import Bundle
from ussearch.studies import Study
from ussearch.weights import require_file, weights_named

from .conftest import TINY_RUN, Command

LITE = "efficientnet-lite0"
RUN = ("run", "--profile", "raspberry-pi-5", *TINY_RUN, "--trials", 2, "--warm-start", f"{LITE}-unet")


def test_the_list_says_what_is_here(ussearch: Command) -> None:
    found = {each["name"]: each for each in json.loads(ussearch("weights", "list", "--json").out)["weights"]}
    assert found[LITE]["here"] and found["efficientnet-b7"]["here"] is None
    printed = ussearch("weights", "list").out
    assert all(name in printed for name in found)


def test_adding_a_file_and_a_wrong_one(ussearch: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USSEARCH_WEIGHTS_DIR", str(tmp_path / "kept"))
    given = tmp_path / "given.pth"
    shutil.copyfile(require_file(weights_named(LITE))[0], given)
    assert ussearch("weights", "add", given).out.startswith(f"{LITE}: {tmp_path / 'kept'}")
    given.write_bytes(given.read_bytes()[:1000])
    wrong = ussearch("weights", "add", given)
    assert wrong.status == 2 and "none of the known weights" in wrong.err and "Traceback" not in wrong.err


def test_missing_weights_are_told_before_anything_heavy_is_loaded(tiny_data: Path, tmp_path: Path) -> None:
    words = [
        *map(str, RUN),
        "--data",
        str(tiny_data),
        "--study",
        str(tmp_path / "s"),
        "--pretrained",
        "efficientnet-b0",
    ]
    program = f"""
import sys
from ussearch.cli import main
sys.argv = {["ussearch", *words]}
try:
    main()
finally:
    print(sorted({{"torch", "numpy", "onnxruntime"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "[]\n")
    assert "efficientnet-b0-355c32eb.pth" in done.stderr and "ussearch weights get efficientnet-b0" in done.stderr
    assert not (tmp_path / "s").exists()


def test_the_plan_says_what_auto_chose(ussearch: Command, tiny_data: Path) -> None:
    words = (*RUN, "--data", tiny_data, "--dry-run", "--pretrained", "auto")
    out = ussearch(*words).out
    assert re.search(rf"{LITE}-unet starts from \S+: {LITE} \(Apache-2.0, SHA-256 579344248a93\)\n", out)
    plan = json.loads(ussearch(*words, "--json").out)
    assert [start["weights"] for start in plan["pretrained"]["starts"]] == [LITE]
    assert "all from scratch" in ussearch(*words, "--pretrained", "off").out


@pytest.mark.slow
def test_a_study_keeps_what_its_networks_start_from(ussearch: Command, tiny_data: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "lite.pth", tmp_path / "s"
    shutil.copyfile(require_file(weights_named(LITE))[0], file)
    words = (*RUN, "--data", tiny_data, "--study", folder, "--pretrained", file)
    assert ussearch(*words).status == 0
    study, sha256 = Study.open(folder), weights_named(LITE).sha256
    (start,) = study.config.pretrained.starts
    assert (start.weights, start.sha256, start.file) == (LITE, sha256, str(file))
    assert sha256[:12] in str(study.trial(0).evaluation.pretrained) and study.trial(1).evaluation.pretrained is None
    manifest = yaml.safe_load((folder / "bundle" / "bundle.yaml").read_text(encoding="utf-8"))
    kept = [manifest[tier]["pretrained"] for tier in ("edge", "cloud") if manifest[tier]["trial"] == 0]
    assert kept and all(each["sha256"] == sha256 and each["licence"] == "Apache-2.0" for each in kept)
    card = (folder / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert sha256 in card and str(tmp_path) not in card
    assert Bundle.load(folder / "bundle").manifest.entry("edge").trial is not None

    resumed = ("run", "--study", folder, "--resume", "--trials", 3)
    file.unlink()
    assert ussearch(*resumed).status == 0, "the package's file is the same by its digest"
    own = folder / "trials" / "0000"
    again = (*RUN, "--data", tiny_data, "--study", tmp_path / "again", "--warm-start", own / "architecture.yaml")
    weights = tmp_path / "own.safetensors"
    shutil.copyfile(own / "weights.safetensors", weights)
    before = f"that network itself began with {LITE} (Apache-2.0, SHA-256 {sha256[:12]})"
    assert before in ussearch(*again, "--pretrained", weights, "--dry-run").out
    inside = ("--pretrained", own / "weights.safetensors", "--dry-run")
    flattered = "trained or selected the network in"
    assert flattered not in ussearch(*again, *inside).out and flattered in ussearch(*again, *inside, "--seed", 5).out
    assert flattered not in ussearch(*again, *inside, "--seed", 5, "--split-file", folder / "split.json").out
    assert ussearch(*again, "--pretrained", weights).status == 0
    bundle = Bundle.load(tmp_path / "again" / "bundle")
    (tier,) = {each for each in ("edge", "cloud") if bundle.manifest.entry(each).pretrained}  # type: ignore[arg-type]
    entry = bundle.manifest.entry(tier).pretrained
    assert entry is not None and entry.earlier is not None
    assert (entry.weights, [each.weights for each in entry.earlier]) == ("the user's own", [LITE])
    assert before in (bundle.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert origins_in(bundle.folder / tier / "weights.safetensors") == entry.origins
    weights.write_bytes(b"something else")
    lost = ussearch("run", "--study", tmp_path / "again", "--resume", "--trials", 3)
    assert lost.status == 2 and "has changed: bring the file back" in lost.err
    other = ussearch(*again, "--pretrained", "off", "--resume")
    assert other.status == 2 and "choice of pretrained weights" in other.err
