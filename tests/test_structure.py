"""The house: imports point one way, and the command line starts without anything heavy."""

from __future__ import annotations

import ast
import re
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
    "events",
    "own_files",
}
LEAVES |= {"run_config", "run_options", "storage_url", "logs", "process_settings"}
ALLOWED: dict[str, set[str]] = {part: set() for part in ("accelerators", "search_spaces", "weights", "runtime")}
ALLOWED["serving"] = {"runtime"}
ALLOWED["datasets"] = {"accelerators", "runtime"}
ALLOWED["hardware_profiles"] = {"search_spaces"}
ALLOWED["evaluators"] = {"accelerators", "search_spaces", "weights", "runtime", "datasets", "hardware_profiles"}
ALLOWED["studies"] = {*ALLOWED["evaluators"], "evaluators"}
ALLOWED["compress"] = {*ALLOWED["evaluators"], "evaluators"}
ALLOWED["pairs"] = {*ALLOWED["studies"], "studies", "compress", "serving"}
ALLOWED["report"] = {*ALLOWED["pairs"], "pairs"} - {"serving"}
ALLOWED["timetable"] = {*ALLOWED["pairs"], "pairs"}
ALLOWED["pipeline"] = {*ALLOWED["timetable"], "timetable"}
ALLOWED["api"] = {*ALLOWED, "pipeline"}
"""What each folder may import besides itself and the leaf modules; ``cli`` may import everything."""
HEAVY = ("torch", "ray", "monai", "onnxruntime", "optuna", "sklearn", "scipy", "matplotlib", "plotly", "numpy")


def is_for_the_type_checker(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported_parts(path: Path, *, running: bool = False) -> set[str]:
    """Return the first-level parts of ussearch that a file imports, at any depth of its code.

    While it is ``running`` what it imports for the type checker does not count.
    """
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if running:
        tree.body = [node for node in tree.body if not is_for_the_type_checker(node)]
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [
                alias.name for alias in node.names if alias.name in ALLOWED or (PACKAGE / f"{alias.name}.py").is_file()
            ]
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
        assert imported_parts(PACKAGE / f"{leaf}.py", running=True) <= LEAVES


def test_every_folder_says_what_lives_there() -> None:
    for part in (each for each in (*ALLOWED, "cli") if (PACKAGE / each).is_dir()):
        assert (
            len(ast.get_docstring(ast.parse((PACKAGE / part / "__init__.py").read_text(encoding="utf-8"))) or "") > 30
        )


def test_only_a_training_task_trains() -> None:
    """Trials, finalists, folds and the chain are seeded, built and trained in one place."""
    training = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "train"
    ]
    assert training == ["evaluators/training/task.py"]


@pytest.mark.parametrize(("road", "most"), [("The road of a candidate", 7), ("The road of an answer", 2)])
def test_the_types_on_the_roads_are_where_the_page_says(road: str, most: int) -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split(f"## {road}\n")[1].split("\n## ")[0]
    listed = re.findall(r"^(\d)\. `(\w+)` \(`([\w/]+\.py)`\): \S", section, flags=re.MULTILINE)
    assert [int(number) for number, _, _ in listed] == list(range(1, most + 1))
    for _, name, file in listed:
        tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


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


LIBRARIES = "import pydantic, rich.console, typer, yaml"
"""What every command needs before it can say anything."""


def test_help_answers_at_once() -> None:
    """In three and a half times what the libraries take alone; torch takes ten times that.

    They are asked in turn: machines have been seen to need half as much again from one hour to the next.
    """
    commands = ([sys.executable, "-m", "ussearch", "--help"], [sys.executable, "-c", LIBRARIES])
    times: list[list[float]] = [[], []]
    for _ in range(7):
        for command, taken in zip(commands, times, strict=True):
            start = processor_seconds_of_children()
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            taken.append(processor_seconds_of_children() - start)
            assert ("run" in output) == (command is commands[0])
    answer_s, libraries_s = map(min, times)
    assert answer_s < 3.5 * libraries_s
