"""What was finished when a command was killed, and whether it is there afterwards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from killed.operations import Operation
from ussearch.pairs import verify_bundle
from ussearch.studies import Study

FINISHED = re.compile(
    r"trials/\d+/record\.json|finalists/\d+/(attempts/[^/]+/)?record\.json|compressed/\d+/compression\.json|"
    r"compressed/\d+/steps/[^/]+/record\.json|compressed/\d+/steps/training-[^/]+/weights\.safetensors|"
    r"router/[^/]+/fold-\d+/(edge|cloud)/(attempts/[^/]+/)?record\.json|router/[^/]+/out_of_fold\.csv|"
    r"bundle/bundle\.yaml"
)
"""The files that make a trial, a network, a step, a fold or a bundle count; each is written last."""
BEING_WRITTEN = re.compile(r"(^|/)\.[^/]+\.part/")
BUNDLE = "bundle/bundle.yaml"
REWRITTEN = (BUNDLE, "compression.json", "out_of_fold.csv")
"""What a command writes anew from what is kept: it has to be there, old or new."""
STAGES = (
    ("search", ("trials", "study.db", "log.txt")),
    ("full training", ("finalists", "ensembles")),
    ("compress", ("compressed",)),
    ("folds", ("router",)),
    ("export", ("bundle",)),
)


def stage_of(operation: Operation) -> str:
    """Return which stage of a command an operation belongs to, by where it writes."""
    top = PurePosixPath(operation.title).parts[0].removesuffix(".part").removesuffix(".aside").strip(".")
    return next((stage for stage, names in STAGES if top in names), "study and lock")


def finished_before(there: Sequence[str], operations: Sequence[Operation]) -> set[str]:
    """Return what is finished after ``operations``, beginning with the files ``there``: paths in the study."""
    files = set(there)
    for each in operations:
        if each.kind == "removal":
            files.discard(each.path)
        elif each.kind == "rename":
            moved = {path for path in files if path.startswith(f"{each.source}/")}
            files = (files - moved) | {each.path + path.removeprefix(each.source) for path in moved}
            files.add(each.path)
        elif each.kind == "write":
            files.add(each.path)
    return set(_as_readers_see(files))


def _as_readers_see(files: set[str]) -> Iterator[str]:
    """Yield the finished: what was set aside counts where nothing took its place, what is being written does not."""
    for path in files:
        named = _named(path)
        superseded = named != path and any(other.startswith(f"{_folder_set_aside(path)}/") for other in files)
        if not superseded and FINISHED.fullmatch(named) and not BEING_WRITTEN.search(named):
            yield named


def _named(path: str) -> str:
    return re.sub(r"(^|/)\.([^/]+)\.aside/", r"\1\2/", path)


def _folder_set_aside(path: str) -> str:
    return _named(re.sub(r"(\.aside/).*", r"\1", path)).rstrip("/")


def files_in(study: Path) -> list[str]:
    """Return every file below the study."""
    return [path.relative_to(study).as_posix() for path in study.rglob("*") if path.is_file()]


def digests(study: Path, finished: set[str]) -> dict[str, str]:
    """Return the digest of everything finished that can be read, also where it was set aside."""
    there = {_named(name): study / name for name in files_in(study) if _named(name) != name}
    there |= {name: study / name for name in finished if (study / name).is_file()}
    return {name: hashlib.sha256(there[name].read_bytes()).hexdigest() for name in finished & there.keys()}


def trained_again(study: Path, before: dict[str, str], seconds: dict[str, float]) -> list[str]:
    """Return what is not as it was when the command was killed; an attempt may have become the network kept."""
    changed = []
    for name, digest in before.items():
        path = study / name
        if name.endswith(REWRITTEN):
            same = path.is_file()
        elif path.is_file():
            same = hashlib.sha256(path.read_bytes()).hexdigest() == digest
        else:
            same = name in seconds and seconds[name] in _seconds_kept(path)
        if not same:
            changed.append(name)
    return changed


def training_seconds(study: Path, finished: set[str]) -> dict[str, float]:
    """Return how long each finished attempt took: no second training takes as long to the last digit."""
    found = {}
    for name in finished:
        place = study / name
        for path in (place, _aside(study, name)):
            if "/attempts/" in name and path.is_file():
                found[name] = float(json.loads(path.read_text())["evaluation"]["training_seconds"])
    return found


def _aside(study: Path, name: str) -> Path:
    folder, _, rest = name.partition("/attempts/")
    parent, _, last = folder.rpartition("/")
    return study / parent / f".{last}.aside" / "attempts" / rest


def _seconds_kept(attempt: Path) -> list[float]:
    record = attempt.parents[2] / "record.json"
    return [each["training_seconds"] for each in json.loads(record.read_text())["attempts"]] if record.is_file() else []


def outcome(study: Path) -> dict[str, Any]:
    """Return what a study that was not disturbed has, too: architectures, Dice, what the chain decided, the bundle."""
    found: dict[str, Any] = {
        f"trial {each.trial_id}": (each.architecture_id, each.objective) for each in Study.open(study).trials()
    }
    for path in sorted(study.glob("finalists/*/record.json")):
        found[f"finalist {path.parent.name}"] = json.loads(path.read_text())["evaluation"]["metrics"]
    for path in sorted(study.glob("compressed/*/compression.json")):
        record = json.loads(path.read_text())
        found[f"chain {path.parent.name}"] = [(each["step"], each["kept"]) for each in record["records"]]
    if (study / "bundle").exists():
        manifest = json.loads((study / BUNDLE).read_text())
        found["bundle"] = (verified(study / "bundle"), manifest["metrics"], manifest["router"])
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def verified(bundle: Path) -> bool:
    """Return whether the bundle that readers find is whole and does what it says."""
    return verify_bundle(bundle).passed


def left_over(study: Path) -> list[str]:
    """Return temporary files, folders that were set aside, and locks."""
    names = [path.relative_to(study).as_posix() for path in study.rglob("*")]
    return [name for name in names if name.endswith((".part", ".aside", "lock.json"))]
