"""Version, supported Pythons and lowest versions are said in several files; all of them say the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import ussearch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.packaging.lowest_versions import HEAD, lowest, project  # noqa: E402  (the path is set first)

WORKFLOWS = ROOT / ".github" / "workflows"


def supported() -> list[str]:
    """The Pythons of the classifiers."""
    prefix = "Programming Language :: Python :: 3."
    return [
        each.removeprefix("Programming Language :: Python :: ") for each in project()["classifiers"] if prefix in each
    ]


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return found


def test_every_file_says_the_same_version() -> None:
    (top, *_) = re.findall(
        r"^## \[(.+?)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert top == citation["version"] == ussearch.__version__
    assert "version" in project()["dynamic"] and "version" not in project()


def test_the_workflow_tests_every_supported_python_and_the_lowest_versions() -> None:
    rows = workflow("ci.yml")["jobs"]["tests"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in rows} == set(supported())
    assert project()["requires-python"] == f">={supported()[0]}"
    assert [row["python"] for row in rows if "constraints-lowest.txt" in row["constraint"]] == [supported()[0]]


def test_constraints_of_the_lowest_versions_are_those_of_the_project() -> None:
    made = "\n".join([HEAD, *sorted(lowest(), key=str.lower)]) + "\n"
    assert (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8") == made, (
        "run tests/packaging/lowest_versions.py"
    )


@pytest.mark.parametrize("name", ["ci.yml", "nightly.yml"])
def test_workflows_call_targets_that_there_are(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    jobs = workflow(name)["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    called = {word for command in commands for word in re.findall(r"^make ([a-z-]+)$", command)}
    called |= {each for job in jobs for each in job.get("strategy", {}).get("matrix", {}).get("target", ())}
    assert called and called <= targets


def test_hooks_are_the_checks_of_lint() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", "lint"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    recipe = subprocess.check_output(command, cwd=ROOT, text=True, env=outside)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    tools = {hook["entry"].replace(" --force-exclude", "") for hook in hooks}
    assert tools == {line.replace(" --check", "").replace(" .", "") for line in recipe.splitlines()[-3:]}


def test_the_nightly_profile_draws_other_examples() -> None:
    program = "import tests.conftest, hypothesis; print(hypothesis.settings.default.derandomize)"
    told = {}
    for profile in ("ussearch", "nightly"):
        command = ["env", f"HYPOTHESIS_PROFILE={profile}", sys.executable, "-c", program]
        told[profile] = subprocess.check_output(command, cwd=ROOT, text=True).strip()
    assert told == {"ussearch": "True", "nightly": "False"}
