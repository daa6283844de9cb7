"""The figures of the package's structure: sizes of modules, names in more than one room.

``__init__`` files, commands and members of registries are not counted: they are as long as what they hold. Run
``python benchmarks/structure.py`` in a checkout; nothing is imported, the files are read as text.
"""

from __future__ import annotations

import ast
import statistics
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "ussearch"
REGISTRIES = ("search_spaces/blocks", "datasets/readers", "compress/steps", "hardware_profiles/onnx_files/rules")
"""Folders whose files are members of one registry each; ``base`` and ``rule`` say what a member is."""
BOARD = ("serving/board/run_edge.py", "hardware_profiles/measuring/measure.py")
"""Files that are copied to boards as they are, so that they cannot be divided."""
SHORT, LONG = 50, 250


def modules() -> dict[str, int]:
    """Return the lines of every module that counts, by its path in the package."""
    app = ast.parse((PACKAGE / "cli" / "app.py").read_text(encoding="utf-8"))
    commands = {
        f"cli/{alias.name}.py"
        for node in ast.walk(app)
        if isinstance(node, ast.ImportFrom) and node.module == "ussearch.cli"
        for alias in node.names
    }
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        member = name.startswith(REGISTRIES) and path.stem not in {"base", "rule", "view"}
        if path.stem in {"__init__", "__main__"} or name in commands or member or name in BOARD:
            continue
        found[name] = len(path.read_text(encoding="utf-8").splitlines())
    return found


def doubled_classes() -> dict[str, list[str]]:
    """Return the public classes whose name stands in several rooms, with their modules."""
    places = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(PACKAGE).as_posix())
    return {name: found for name, found in places.items() if len({each.split("/")[0] for each in found}) > 1}


def without_docstring() -> list[str]:
    """Return the modules whose docstring does not say in a first line what they are."""
    return [
        path.relative_to(PACKAGE).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if len(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "") < 20
    ]


def main() -> None:
    """Print the figures."""
    lines = modules()
    short = [name for name, count in lines.items() if count < SHORT]
    long = {name: count for name, count in lines.items() if count > LONG}
    print(f"modules: {len(lines)}, lines: {sum(lines.values())}, median {statistics.median(lines.values()):.0f}")
    print(f"under {SHORT} lines: {len(short)}, one in {len(lines) / max(1, len(short)):.1f}: {', '.join(short)}")
    print(f"over {LONG} lines: {', '.join(f'{name} {count}' for name, count in long.items()) or 'none'}")
    print("classes of one name in several rooms:")
    for name, found in doubled_classes().items():
        print(f"  {name}: {', '.join(found)}")
    print(f"modules without a docstring: {', '.join(without_docstring()) or 'none'}")


if __name__ == "__main__":
    main()
