"""Build the package, install its wheel into a fresh environment, and use it where there is no checkout.

    python tests/packaging/try_wheel.py [--python VENV/bin/python] [--keep DIR]

Builds the sdist, and the wheel from it, so that it is seen to be complete; installs the wheel by ``constraints.txt``,
runs the commands below in an empty folder, then the tutorials as they are written. ``make package`` and a slow test run
this. ``--python`` uses an environment that has the wheel already.
"""
# ruff: noqa: T201  (a program: it prints)

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "tests" / "docs" / "run_tutorials.py"
sys.path.insert(0, str(ROOT))
from tests.docs.run_tutorials import environment  # noqa: E402  (the path is set first)

COMMANDS = (
    "ussearch --version",
    "python -m ussearch --help",
    "ussearch presets",
    "ussearch presets unext --profile jetson-nano",
    "ussearch profiles",
    "ussearch profiles jetson-nano",
    "ussearch run --profile jetson-nano --phantoms 48 --image-size 64 --trials 3 --epochs 1 --final-epochs 1 "
    "--workers 1 --budget 2m --study study",
    "ussearch pareto study --plot front.png",
    "ussearch show study 0",
    "ussearch verify study/bundle --data phantoms",
    "ussearch report study",
    "ussearch infer study/bundle study/bundle/vectors/00/image.png",
    "ussearch profile kit --out kit",
    "python study/bundle/run_edge.py --self-test",
    "python -c \"import ussearch; print(ussearch.Bundle.load('study/bundle').predict('masks/image_mask.png'))\"",
)
"""What must work from an empty folder: the main job, every kind of file that the package carries, both interfaces."""
LEFT = ("front.png", "study/report.html", "study/bundle/MODEL_CARD.md", "masks/image_mask.png", "kit/measure.py")
"""What the commands leave."""


def build(out: Path) -> Path:
    """Build sdist and wheel into ``out`` and return the wheel."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    print(f"built {sdist.name} ({sdist.stat().st_size / 1024:.0f} KiB) and {wheel.name}", flush=True)
    return wheel


def installed(wheel: Path, folder: Path) -> Path:
    """Return the Python of a new environment in ``folder`` that has the wheel and what it needs, nothing else."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    return python


def use(folder: Path, variables: Mapping[str, str]) -> None:
    """Run every command in ``folder``; raises CalledProcessError for the first that fails."""
    where = "import ussearch; print(ussearch.__file__)"
    place = subprocess.check_output(["python", "-c", where], cwd=folder, env=dict(variables), text=True).strip()
    if str(ROOT / "ussearch") in place:
        raise SystemExit(f"{place} is the checkout, an installed wheel was expected")
    for command in COMMANDS:
        start = time.monotonic()
        done = subprocess.run(
            shlex.split(command), cwd=folder, env=dict(variables), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"$ {command}\n{done.stdout}{done.stderr}failed with status {done.returncode}")
        print(f"$ {command}  # {time.monotonic() - start:.0f} s", flush=True)
    if missing := [name for name in LEFT if not (folder / name).is_file()]:
        raise SystemExit(f"the commands left no {', '.join(missing)}")


def main() -> int:
    """Build, install, use; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", type=Path, help="an environment that has the wheel; else one is made")
    parser.add_argument("--keep", type=Path, help="where sdist and wheel are kept")
    parser.add_argument("--no-tutorials", action="store_true", help="only the commands")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ussearch-package-") as name:
        place = Path(name)
        python = given.python or installed(build(given.keep or place / "dist"), place / "environment")
        (place / "empty").mkdir()
        use(place / "empty", environment(python, place))
        if given.no_tutorials:
            return 0
        return subprocess.run([sys.executable, str(TUTORIALS), "--python", str(python)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
