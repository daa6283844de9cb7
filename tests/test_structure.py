"""The house: imports point one way, and the command line starts without anything heavy."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import ussearch

PACKAGE = Path(ussearch.__file__).parent
LEAVES = {
    "errors",
    "registry",
    "files",
    "documents",
    "regression_tree",
    "deprecations",
    "schema",
    "logs",
    "process_settings",
}
ALLOWED: dict[str, set[str]] = {"search_spaces": set(), "runtime": set(), "serving": {"runtime"}}
ALLOWED["datasets"] = {"runtime"}
ALLOWED["hardware_profiles"] = {"search_spaces"}
ALLOWED["evaluators"] = {"search_spaces", "runtime", "datasets", "hardware_profiles"}
ALLOWED["studies"] = {*ALLOWED["evaluators"], "evaluators"}
ALLOWED["compress"] = {*ALLOWED["evaluators"], "evaluators"}
ALLOWED["pairs"] = {*ALLOWED["studies"], "studies", "compress", "serving"}
ALLOWED["report"] = {*ALLOWED["pairs"], "pairs"} - {"serving"}
ALLOWED["events"] = {"evaluators", "studies", "compress", "pairs"}
ALLOWED["pipeline"] = {*ALLOWED["pairs"], "pairs", "events"}
ALLOWED["api"] = {*ALLOWED, "pipeline"}
"""What each folder may import besides itself and the leaf modules; ``cli`` may import everything."""
HEAVY = ("torch", "ray", "monai", "onnxruntime", "optuna", "sklearn", "scipy", "matplotlib", "plotly", "numpy")


def imported_parts(path: Path) -> set[str]:
    """Return the first-level parts of ussearch that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [alias.name for alias in node.names if (PACKAGE / f"{alias.name}.py").is_file()]
            names = [f"ussearch.{name}" for name in modules] if node.module == "ussearch" else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ussearch.")}
    return found


def files_of(part: str) -> list[Path]:
    path = PACKAGE / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part: str) -> None:
    allowed = ALLOWED[part] | LEAVES | {part}
    wrong = {path.name: imported_parts(path) - allowed for path in files_of(part)}
    assert not {name: parts for name, parts in wrong.items() if parts}


def test_leaves_import_nothing_else() -> None:
    for leaf in LEAVES:
        assert imported_parts(PACKAGE / f"{leaf}.py") <= LEAVES


def test_every_folder_says_what_lives_there() -> None:
    for part in (each for each in (*ALLOWED, "cli") if (PACKAGE / each).is_dir()):
        assert (
            len(ast.get_docstring(ast.parse((PACKAGE / part / "__init__.py").read_text(encoding="utf-8"))) or "") > 30
        )


@pytest.mark.parametrize("code", ["import ussearch", "import ussearch.cli"])
def test_nothing_heavy_is_imported_at_start(code: str) -> None:
    program = f"import sys; {code}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout.split() == []


@pytest.mark.parametrize("room", ["ussearch.serving.client", "ussearch.serving.server"])
def test_serving_stands_on_the_runtime_alone(room: str) -> None:
    """A device or a server has none of what the search needs."""
    absent = ("torch", "optuna", "scipy", "sklearn", "matplotlib", "onnx", "pydicom", "ray")
    program = (
        f"import sys, {room}; own = [name for name in sys.modules if name.startswith('ussearch')]; "
        f"print(len(own), *[name for name in {absent!r} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    count, *heavy = output.stdout.split()
    assert int(count) < 60
    assert heavy == []


def processor_seconds_of_children() -> float:
    """What finished children took of a processor, which does not depend on how busy the machine is."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_answers_at_once() -> None:
    command = [sys.executable, "-m", "ussearch", "--help"]
    times = []
    for _ in range(5):
        start = processor_seconds_of_children()
        output = subprocess.run(command, capture_output=True, text=True, check=True)
        times.append(processor_seconds_of_children() - start)
    assert "run" in output.stdout
    assert min(times) < 0.4
