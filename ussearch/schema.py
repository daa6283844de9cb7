"""Version numbers of files: every kind of document has one, and each older version is brought to the next.

A file without a number is of the version before numbers were written. What an older version lacks an upgrade adds; a
newer version is refused. Numbers belong to files, never to what they hold: no id, fingerprint or key of a cache is made
from one. ``docs/files.md`` lists all kinds, and when a number rises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ussearch.errors import UserError

KEY = "schema_version"
Upgrade = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def unchanged(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Upgrade a version that differs from the next one in its number alone."""
    return content


@dataclass(frozen=True)
class Schema:
    """One kind of document.

    ``file`` says where it lies, ``what`` what it is, with an article. ``upgrades`` holds for each older version the
    function that brings it to the next one. ``unnumbered`` is the version of a file without a number, ``otherwise``
    what a user can do besides updating the program.
    """

    file: str
    what: str
    version: int = 1
    upgrades: Mapping[int, Upgrade] = field(default_factory=lambda: {0: unchanged})
    unnumbered: int = 0
    otherwise: str = ""

    def numbered(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``content`` with the number of the current version before it."""
        return {KEY: self.version, **content}

    def current(self, content: Any, origin: str) -> Any:
        """Return what a document of any known version holds, in the words of the current one and without the number.

        What is no mapping is left for the validation to refuse. Raises UserError naming ``origin`` for a newer version,
        and for one that never was.
        """
        if not isinstance(content, Mapping):
            return content
        version, content = content.get(KEY, self.unnumbered), {key: content[key] for key in content if key != KEY}
        if type(version) is int and version > self.version:
            raise UserError(
                f"{origin} has the format {version} of a newer ussearch, formats up to {self.version} were expected: "
                f"update ussearch{self.otherwise}."
            )
        if type(version) is not int or version < min(self.unnumbered, self.version):
            raise UserError(
                f"{origin} is not {self.what}: {KEY} is {version!r}, a whole number from {self.unnumbered} to "
                f"{self.version} was expected; restore it, or make it again."
            )
        for older in range(version, self.version):
            content = self.upgrades[older](content)
        return dict(content)

    def to_json(self, content: BaseModel | Mapping[str, Any], indent: int | None = None) -> str:
        """Return a numbered document as JSON text."""
        if isinstance(content, BaseModel):
            dumped: Mapping[str, Any] = json.loads(content.model_dump_json())  # which writes null for what is no number
            return json.dumps(self.numbered(dumped), indent=indent, ensure_ascii=False)
        return json.dumps(self.numbered(content), indent=indent)

    def from_json(self, text: str, origin: str) -> Any:
        """Return what a JSON text of any known version holds; raises ValueError where it is no JSON."""
        return self.current(json.loads(text), origin)

    def read(self, path: Path) -> Any:
        """Return what a JSON file of any known version holds; raises OSError and ValueError besides."""
        return self.from_json(path.read_text(encoding="utf-8"), str(path))

    def header(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """Return the numbered header of a safetensors file, in which everything is text."""
        return {KEY: str(self.version), **metadata}

    def from_header(self, metadata: Mapping[str, str] | None, origin: str) -> dict[str, str]:
        """Return what the header of any known version says; raises UserError as ``current`` does."""
        found: dict[str, Any] = dict(metadata or {})
        number = found.get(KEY, "")
        if number.isdecimal():
            found[KEY] = int(number)
        known: dict[str, str] = self.current(found, origin)
        return known


def renamed_keys(content: Any, names: Mapping[str, str]) -> Any:
    """Return JSON-ready data with keys under their new ``names``, however deep they lie."""
    if isinstance(content, Mapping):
        return {names.get(key, key): renamed_keys(value, names) for key, value in content.items()}
    if isinstance(content, list):
        return [renamed_keys(value, names) for value in content]
    return content


RESULT_NAMES = {"selection": "objective", "rung_selection": "rung_objective", "slot": "trial_id"}
"""How results of version 0 are called since."""


def _results_from_0(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Version 1 calls the selection the objective, a slot a trial's id, and the training's device an accelerator."""
    found: dict[str, Any] = renamed_keys(content, RESULT_NAMES)
    evaluation = found.get("evaluation")
    if isinstance(evaluation, dict) and "device" in evaluation:
        found["evaluation"] = renamed_keys(evaluation, {"device": "accelerator"})
    return found


def _checkpoint_from_0(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """Version 1 calls the selection of an epoch its objective."""
    try:
        progress = json.loads(header["progress"])
    except (KeyError, TypeError, ValueError):  # told by whoever reads it
        return header
    return {**header, "progress": json.dumps(renamed_keys(progress, RESULT_NAMES))}


def _study_from_0(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Version 1 holds the run's configuration in one part, ``run``, its budget included."""
    old = dict(content)
    edge, cloud = old.get("edge"), old.get("cloud")
    sampler, data = old.pop("sampler", None), old.get("data")
    run = {
        "profile": edge.get("name", "") if isinstance(edge, dict) else "",
        "cloud_profile": cloud.get("name", "") if isinstance(cloud, dict) else "",
        "seed": old.pop("seed", 0),
        "data": {"path": (data.get("root") or None) if isinstance(data, dict) else None},
        "space": {
            "image_size": old.pop("image_size", None),
            "warm_start": old.pop("seeds", []),
            "edge_share": old.pop("edge_share", 0.5),
        },
        "search": {
            "trials": old.pop("trials", None),
            "evaluator": old.pop("evaluator", "train"),
            "halving": old.get("halving") is not None,
            **({} if sampler is None else {"sampler": sampler}),
        },
        "training": {
            "epochs": old["recipe"].get("epochs") if isinstance(old.get("recipe"), dict) else None,
            "final_epochs": old.pop("final_epochs", 100),
            "final_restarts": old.pop("final_seeds", 1),
        },
        "execution": {"workers": old.pop("workers", 1)},
    }
    return {"run": run, **old}


def _study_from_1(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Version 2 trains every candidate, without brackets; how else it was is the study's, and no option of a run."""
    old = {key: value for key, value in content.items() if key != "shared_epochs"}
    run = old.get("run")
    search = run.get("search") if isinstance(run, dict) else None
    if not isinstance(run, dict) or not isinstance(search, dict):
        return old
    kept = {key: value for key, value in search.items() if key not in {"evaluator", "halving"}}
    return {**old, "run": {**run, "search": kept}, "evaluator": search.get("evaluator", "train")}


def _full_training_from_1(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Version 2 draws no weights from shared ones: the best of all attempts counts as the best of the others."""
    made_from = content.get("made_from")
    if not isinstance(made_from, dict) or not isinstance(made_from.get("attempts"), list):
        return content
    attempts = [each for each in made_from["attempts"] if not isinstance(each, dict) or each.get("start") != "drawn"]
    return {**content, "made_from": {**made_from, "attempts": attempts}}


RUN_CONFIG = Schema("the file for --config", "the configuration of a run")
STUDY = Schema("study.yaml", "a study", version=2, upgrades={0: _study_from_0, 1: _study_from_1})
SPLIT = Schema("split.json", "the record of a split")
BASELINES = Schema("baselines.json", "figures of trivial baselines", upgrades={0: _results_from_0})
STORAGE = Schema("storage.json", "the place of a database")
TRIAL = Schema("trials/NNNN/record.json", "the record of a trial", upgrades={0: _results_from_0})
CHECKPOINT = Schema("checkpoint.safetensors", "a training that was stopped", upgrades={0: _checkpoint_from_0})
ARCHITECTURE = Schema("architecture.yaml", "an architecture")
PROFILE = Schema("profile.yaml, and profiles of your own", "a profile")
RECIPE = Schema("the file for --recipe", "a recipe")
FULL_TRAINING = Schema(
    "finalists/NNNN/record.json, and of attempts and folds",
    "the record of a full training",
    version=2,
    upgrades={0: _results_from_0, 1: _full_training_from_1},
)
FOLD = Schema("router/PAIR/fold-N/ids.json", "the images of a fold")
COMPRESSION = Schema("compressed/NNNN/compression.json", "the record of a chain")
STEP = Schema("compressed/NNNN/steps/STEP/record.json", "the record of a step")
FORM = Schema("form.json", "the form of a network")
MEASURES = Schema("compressed/NNNN/steps/measures-*.json", "measures of a network")
SPECIALISED = Schema("specialised.json", "the report of ussearch specialise")
PLAN_LINE = Schema("a line of plan.jsonl", "what a study decided by the clock")
POSTPROCESSING = Schema("postprocessing.json", "what becomes of the probabilities of a pair")
ENSEMBLE = Schema("ensembles/EDGE-CLOUD.json, and ensemble.json of a bundle", "what answers in the cloud")
EVALUATION = Schema("BUNDLE-on-DATA.json", "the record of ussearch evaluate")
KINDS = (
    *(RUN_CONFIG, STUDY, SPLIT, BASELINES, STORAGE, TRIAL, CHECKPOINT, ARCHITECTURE, PROFILE, RECIPE, FULL_TRAINING),
    *(FOLD, COMPRESSION, STEP, FORM, MEASURES, SPECIALISED, PLAN_LINE, POSTPROCESSING, ENSEMBLE),
    EVALUATION,
)
"""Everything that a study keeps, and what stands beside a bundle; a bundle's manifest has versions of its own
(``runtime/manifest_versions.py``)."""
