"""The wheel carries every file of the package, and works where there is no checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import ussearch

ROOT = Path(__file__).parents[2]
METADATA = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "constraints.txt")
METADATA = (*METADATA, "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md")


def files_of_the_package(folder: Path) -> set[str]:
    """Return the paths of everything in the tree but what Python compiled."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"ussearch/{path.relative_to(folder).as_posix()}" for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with its sdist and wheel in ``dist``, built without an environment of their own."""
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path_factory.mktemp("source")
    out = source / "dist"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ussearch", source / "ussearch", ignore=ignore)
    for name in METADATA:
        shutil.copyfile(ROOT / name, source / name)
    program = f"from setuptools import build_meta as b; b.build_sdist({str(out)!r}); b.build_wheel({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return source


def test_the_wheel_has_every_file_and_no_other(built: Path) -> None:
    (wheel,) = built.glob("dist/*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert names == files_of_the_package(built / "ussearch")
    assert {Path(name).suffix for name in names} >= {".py", ".yaml", ".js", ".css", ".typed"}


def test_the_wheel_can_be_run_and_says_what_it_is(built: Path) -> None:
    (wheel,) = built.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (entry,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        assert "ussearch = ussearch.cli:main" in archive.read(entry).decode()
        text = archive.read(metadata).decode()
    assert f"Version: {ussearch.__version__}\n" in text and "Requires-Python: >=3.10" in text


def test_the_sdist_has_all_that_a_wheel_is_made_of(built: Path) -> None:
    (sdist,) = built.glob("dist/*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert names >= files_of_the_package(built / "ussearch") | set(METADATA)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_an_installed_wheel_does_the_main_job_and_the_tutorials() -> None:
    pytest.importorskip("build")
    program = Path(__file__).parent / "try_wheel.py"
    assert subprocess.run([sys.executable, str(program)], check=False).returncode == 0
