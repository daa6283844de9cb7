"""Run the pages of the documentation that can be run, as a reader would: every block marked ``sh``, in order.

    python tests/docs/run_tutorials.py --python VENV/bin/python [PAGE ...]

Blocks marked otherwise (``text``, ``bash``) are for reading. All blocks of a page share one shell in one empty folder,
in which the commands of the given Python's environment are found first. The standard library is all that is needed.
"""
# ruff: noqa: T201  (a program: it prints)

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
NEEDS = {"busi": "BUSI"}
"""Variables without which a page cannot be run, by the page's stem."""
_FENCE = re.compile(r"^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(page: Path) -> list[tuple[str, str]]:
    """Return language and text of a page's fenced blocks, in order."""
    return [(each["language"], each["text"]) for each in _FENCE.finditer(page.read_text(encoding="utf-8"))]


def missing(page: Path) -> str:
    """Return the variable that the page needs and that is not set, or an empty string."""
    needed = NEEDS.get(page.stem, "")
    return "" if not needed or os.environ.get(needed) else needed


def environment(python: Path, folder: Path) -> dict[str, str]:
    """Return the variables of a reader who works in ``folder``: nothing cached, no profiles, no checkout."""
    own = {
        "PATH": f"{python.absolute().parent}{os.pathsep}{os.environ['PATH']}",
        "USSEARCH_CACHE_DIR": str(folder / ".cache"),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "NO_COLOR": "1",
    }
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own


def run(page: Path, folder: Path, variables: Mapping[str, str]) -> int:
    """Run the page's blocks in ``folder`` and return the exit status of the first that fails, or 0."""
    blocks = [text for language, text in fenced(page) if language == "sh"]
    steps = [f"printf '%s' {shlex.quote('$ ' + block)}\n{block}" for block in blocks]
    script = "\n".join(["set -euo pipefail", *steps])
    return subprocess.run(["bash", "-c", script], cwd=folder, env=dict(variables), check=False).returncode


def main() -> int:
    """Run the named pages, or all tutorials; one whose data is not there is left out with a word."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="whose ussearch is run")
    parser.add_argument("pages", nargs="*", type=Path, help="tutorials; all of docs/tutorials where left out")
    given = parser.parse_args()
    failed = 0
    for page in given.pages or sorted(TUTORIALS.glob("*.md")):
        if variable := missing(page):
            print(f"{page.name}: left out, {variable} is not set", flush=True)
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="ussearch-") as folder:
            status = run(page, Path(folder), environment(given.python, Path(folder)))
        print(f"{page.name}: {'failed' if status else 'ran'} in {time.monotonic() - start:.0f} s", flush=True)
        failed += bool(status)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
