"""No result changes: the same seeded study by an older commit and by this checkout, compared file by file.

Both run the command line (``run`` with compression and a learned router, then ``export`` of another pair without it) on
the same images, with one thread and one worker. Architectures, Dice, weights and ONNX files must be equal to the bit.
In YAML and JSON, only what ``EXPLAINED`` lists may differ; every differing key is printed with its reason. Names that
changed since are known by ``RENAMED_OPTIONS``, ``RENAMED_KEYS`` and ``RENAMED_FILES``.

    python benchmarks/same_results.py [--before COMMIT] [--after CHECKOUT] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from ussearch.deprecations import RENAMED

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "0f14119"

IMAGES, SIDE = 160, 48
RUN = (
    *("run", "--profile", "raspberry-pi-4", "--data", "data", "--image-size", "32", "--seed", "3", "--trials", "4"),
    *("--epochs", "2", "--final-epochs", "3", "--seed-presets", "cea-net-standin", "--offload-share", "0.3"),
    *("--device", "cpu", "--threads", "1", "--workers", "1", "--study", "study", "--json"),
)
"""Data in a folder: a run on the built-in phantoms takes a fixed time, and what fits into it depends on the machine."""
EXPORT = (
    *("export", "study", "--edge", "2", "--cloud", "1", "--no-compress", "--offload-share", "0.2"),
    *("--device", "cpu", "--out", "second", "--json"),
)

RENAMED_OPTIONS: Mapping[str, str] = {each.old: each.new for each in RENAMED if each.kind == "option"}
"""Old option of the command line → its name in this checkout."""
RESULTS, CONFIGURATION, BUNDLE = ("study/*.json", "study/study.yaml", "*/bundle.yaml")
RENAMED_KEYS: Mapping[tuple[str, str], str] = {
    (RESULTS, "slot"): "trial_id",
    (RESULTS, "selection"): "objective",
    (RESULTS, "evaluation.device"): "evaluation.accelerator",
    (CONFIGURATION, "trials"): "run.search.trials",
    (CONFIGURATION, "image_size"): "run.space.image_size",
    (CONFIGURATION, "final_epochs"): "run.training.final_epochs",
    (CONFIGURATION, "final_seeds"): "run.training.final_restarts",
    (CONFIGURATION, "seeds"): "run.space.warm_start",
    (CONFIGURATION, "edge_share"): "run.space.edge_share",
    (CONFIGURATION, "sampler"): "run.search.sampler",
    (CONFIGURATION, "seed"): "run.seed",
    (CONFIGURATION, "workers"): "run.execution.workers",
    (BUNDLE, "origin"): "provenance",
    (BUNDLE, "final_seeds"): "final_restarts",
    (BUNDLE, "strata"): "subgroups",
    (BUNDLE, "selection"): "objective",
    (BUNDLE, "router.worth"): "router.routing_gain",
    (BUNDLE, "router.contest"): "router.router_comparison",
}
"""(pattern of the file's path, old key path) → new key path; a run of dotted keys anywhere in the path."""
RENAMED_FILES: Mapping[str, str] = {}
"""Beginning of an old path below the folder that the commands ran in → its beginning in this checkout."""
ADDED: Mapping[tuple[str, str], str] = {
    (CONFIGURATION, "run.*"): "the run's configuration in one part, its budget and paths included",
    **{
        (f"{name}.json", f"*{each.new}*"): "a new name beside the old one"
        for name in ("run", "export")
        for each in RENAMED
    },
}
"""(pattern of the file's path, pattern of the key path) → why there is a key that was not there before."""

ABSENT = "absent"
WHEN = "when it was made, and how long it took"
HOLDS = "the digest of a file whose text may differ as explained"
EXPLAINED: Mapping[tuple[str, str], str] = {
    ("*", "*schema_version"): "the number of the file's format",
    ("*", "*seconds"): WHEN,
    ("run.json", "seconds.*"): WHEN,
    ("export.json", "seconds.*"): WHEN,
    ("run.json", "search_seconds.*"): WHEN,
    ("run.json", "share_outside_training"): WHEN,
    ("study/trials/*", "started"): WHEN,
    ("study/trials/*", "finished"): WHEN,
    ("study/study.yaml", "created"): WHEN,
    ("*", "*metrics.convention"): "its last sentence says objective, where it said selection",
    ("*/bundle.yaml", "provenance.begun"): WHEN,
    ("*/bundle.yaml", "provenance.commands.*"): "options have new names",
    ("study/study.yaml", "command_line"): "where the program lies",
    ("study/study.yaml", "data.root"): "where the data lies",
    ("study/study.yaml", "versions.*"): "versions of packages",
    ("study/study.yaml", "shared_epochs"): "every candidate is trained, no weights are shared",
    ("*/bundle.yaml", "versions.*"): "versions of packages",
    ("*/bundle.yaml", "files.MODEL_CARD.md"): HOLDS,
    ("*/bundle.yaml", "files.run_edge.py"): HOLDS,
    ("*/bundle.yaml", "files.*.yaml"): HOLDS,
    ("*/bundle.yaml", "files.*.json"): HOLDS,
    ("*/bundle.yaml", "files.*weights.safetensors"): "the digest of a file whose header holds the number of its format",
}
"""(pattern of the file's path, pattern of the key path) → why a value may differ there."""
DURATION = re.compile(r"about \d+ s\b")
"""Sentences that name a duration are compared without it."""
UNREAD: Mapping[str, str] = {
    "*log.txt": WHEN,
    "*lock*": "who drives the study",
    "*.db*": "Optuna's database, made again from the records",
    "*MODEL_CARD.md": "prose made from bundle.yaml",
    "*run_edge.py": "the program for the board",
    "*bundle.sha256": HOLDS,
}
"""Files whose content is not compared, with the reason; they must be there."""


@dataclass
class Comparison:
    """What was equal, what differs and may, and what differs and may not."""

    equal: dict[str, int] = field(default_factory=dict)
    explained: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def same(self, kind: str, number: int = 1) -> None:
        """Count something that was equal."""
        self.equal[kind] = self.equal.get(kind, 0) + number

    def differs(self, file: str, key: str, before: Any, after: Any) -> None:
        """Note a difference in a key path, explained or not."""
        known = {**EXPLAINED, **(ADDED if before == ABSENT else {})}
        reasons = [why for (path, keys), why in known.items() if _fits(file, path) and _fits(key, keys)]
        if isinstance(before, str) and isinstance(after, str) and DURATION.sub("", before) == DURATION.sub("", after):
            reasons.append(WHEN)
        if not reasons:
            self.wrong.append(f"{file}: {key}: {_short(before)} → {_short(after)}")
        else:
            self.explained.append(f"{file}: {key} ({reasons[0]})")


def main() -> None:
    """Run both, compare, print; status 1 where something differs that may not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", default=BEFORE, help="commit to compare with")
    parser.add_argument("--after", type=Path, default=ROOT, help="checkout to compare; this one else")
    parser.add_argument("--keep", type=Path, help="folder to keep both results in")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        older = stack.enter_context(worktree(options.before))
        made(older, folder / "before", {})
        made(options.after.resolve(), folder / "after", RENAMED_OPTIONS)
        comparison = compared(folder / "before", folder / "after")
    for line in comparison.explained:
        print(f"differs, explained: {line}")
    for line in comparison.wrong:
        print(f"DIFFERS: {line}")
    print("equal: " + ", ".join(f"{number} {kind}" for kind, number in sorted(comparison.equal.items())))
    print(f"{len(comparison.explained)} explained differences, {len(comparison.wrong)} others")
    sys.exit(1 if comparison.wrong else 0)


@contextlib.contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """Yield a temporary checkout of ``commit``."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkout"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def made(checkout: Path, folder: Path, renamed: Mapping[str, str]) -> None:
    """Run both commands by the code of ``checkout`` in the new folder ``folder``; what they print is kept there."""
    write_data(folder / "data")
    paths = {"PYTHONPATH": str(checkout), "XDG_CACHE_HOME": str(folder / ".cache")}
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "120"}
    environment = {**os.environ, **threads, **paths}
    asked = [sys.executable, "-c", "import ussearch; print(ussearch.__file__)"]
    code = Path(subprocess.run(asked, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout)
    if not code.is_relative_to(checkout):
        sys.exit(f"{sys.executable} imports ussearch from {code.parent}, not from {checkout}")
    for name, words in (("run.json", RUN), ("export.json", EXPORT)):
        start = time.perf_counter()
        command = [sys.executable, "-m", "ussearch", *(renamed.get(word, word) for word in words)]
        done = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)
        (folder / name).write_text(done.stdout)
        if done.returncode:
            sys.exit(f"{checkout}: ussearch {words[0]} ended with {done.returncode}:\n{done.stderr}")
        print(f"{folder.name}: ussearch {words[0]}: {time.perf_counter() - start:.0f} s", flush=True)


def write_data(folder: Path) -> None:
    """Write seeded images, dark ellipses in speckle, and their masks; one in eight has none."""
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(IMAGES):
        y, x, height, width = random.uniform((0.3, 0.3, 0.1, 0.1), (0.7, 0.7, 0.3, 0.3))
        inside = ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < (0.0 if number % 8 == 0 else 1.0)
        grey = random.rayleigh(60.0, (SIDE, SIDE)) * np.where(inside, 0.4, 1.0) + 20.0 * rows
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(folder / "images" / f"{number:03d}.png")
        Image.fromarray(inside.astype(np.uint8) * 255).save(folder / "masks" / f"{number:03d}.png")


def compared(before: Path, after: Path) -> Comparison:
    """Compare everything in two folders."""
    comparison = Comparison()
    older, newer = _files(before), _files(after)
    wanted = {_renamed_file(name): name for name in older}
    for name in sorted(wanted.keys() | newer):
        if name not in newer:
            comparison.wrong.append(f"{name} is missing")
        elif name not in wanted:
            if not _unread(name):
                comparison.wrong.append(f"{name} was not there before")
        elif reason := _unread(name):
            comparison.explained.append(f"{name} is not compared ({reason})")
        else:
            _compare(comparison, name, before / wanted[name], after / name)
    for name, old in sorted(wanted.items()):
        if fnmatch.fnmatch(old, "study/trials/*/record.json") and name in newer:
            _compare_trial(comparison, name, before / old, after / name)
    return comparison


def _compare(comparison: Comparison, name: str, before: Path, after: Path) -> None:
    match before.suffix:
        case ".json" | ".yaml":
            old = _by_key(_parsed(before))
            old = {_renamed_key(name, key): value for key, value in old.items()}
            _compare_values(comparison, name, old, _by_key(_parsed(after)))
        case ".safetensors":
            old_header, old_data = _safetensors(before)
            new_header, new_data = _safetensors(after)
            _compare_values(comparison, name, _by_key(old_header), _by_key(new_header))
            _compare_bytes(comparison, "files of weights", name, old_data, new_data)
        case suffix:
            kind = "ONNX files" if suffix == ".onnx" else f"{suffix} files"
            _compare_bytes(comparison, kind, name, before.read_bytes(), after.read_bytes())


def _compare_values(comparison: Comparison, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    missing = object()
    for key in {**before, **after}:
        old, new = before.get(key, missing), after.get(key, missing)
        if old == new and type(old) is type(new):
            comparison.same("values in YAML, JSON and headers")
        else:
            comparison.differs(name, key, *(ABSENT if each is missing else each for each in (old, new)))


def _compare_bytes(comparison: Comparison, kind: str, name: str, before: bytes, after: bytes) -> None:
    if before == after:
        comparison.same(kind)
    else:
        old, new = (hashlib.sha256(each).hexdigest()[:12] for each in (before, after))
        comparison.wrong.append(f"{name}: digest {old} → {new}")


def _compare_trial(comparison: Comparison, name: str, before: Path, after: Path) -> None:
    """Compare a trial's architecture and Dice by themselves, because they are the result."""
    old = {_renamed_key(name, key): value for key, value in _by_key(_parsed(before)).items()}
    new = _by_key(_parsed(after))
    for title, key in (("architecture ids", "architecture_id"), ("Dice", "evaluation.metrics.lesion_dice")):
        there = _renamed_key(name, key)
        if there in old and old[there] == new.get(there):
            comparison.same(f"trials' {title}")
        else:
            comparison.wrong.append(f"{name}: {title} {old.get(there)} → {new.get(there)}")


def _files(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if path.parts[0] != ".cache"}


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def _safetensors(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, JSON within it parsed, and the bytes of its tensors."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def _by_key(value: Any, place: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings and lists by their dotted key path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {place: value}
    found: dict[str, Any] = {} if items else {place: value}
    for key, each in items:
        found |= _by_key(each, f"{place}.{key}" if place else str(key))
    return found


def _renamed_key(file: str, key: str) -> str:
    for (pattern, old), new in RENAMED_KEYS.items():
        if _fits(file, pattern):
            key = re.sub(rf"(?<![^.]){re.escape(old)}(?![^.])", new, key)
    return key


def _renamed_file(name: str) -> str:
    return next((new + name[len(old) :] for old, new in RENAMED_FILES.items() if name.startswith(old)), name)


def _unread(name: str) -> str | None:
    return next((reason for pattern, reason in UNREAD.items() if _fits(name, pattern)), None)


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


if __name__ == "__main__":
    main()
