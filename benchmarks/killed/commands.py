"""The commands that are killed, each on its tiny study, in processes that are forked from this one."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from killed.operations import Operation, Watch
from ussearch.cli.app import main
from ussearch.run_options import config_from
from ussearch.studies import plan

STUDY = "study"
TINY = (
    "--profile x86-server --trials 3 --warm-start unext --epochs 1 --final-epochs 1 --final-restarts 1 --image-size 32"
)
ALONE = "--workers 1 --threads 1 --no-compress"
FEW, ENOUGH = 40, 160
"""Phantoms: a router is trained out of fold from 100 images for training on, which is 160 in all."""


@dataclass(frozen=True)
class Command:
    """A command, how many phantoms its study has, what is removed from a finished study before it is killed."""

    name: str
    arguments: str
    again: str
    phantoms: int
    without: tuple[str, ...] | None
    """None: there is no study before."""

    def prepare(self, finished: Path, place: Path) -> Path:
        """Make the folder ``place`` with what the command finds, and return the study in it."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        if self.without is not None:
            shutil.copytree(finished / STUDY, place / STUDY)
            for name in self.without:
                shutil.rmtree(place / STUDY / name, ignore_errors=True)
        return place / STUDY


def _run(phantoms: int) -> str:
    return f"run --study {STUDY} {TINY} {ALONE} --phantoms {phantoms}"


COMMANDS = (
    Command("run", _run(FEW), f"{_run(FEW)} --resume", FEW, None),
    Command("export", f"export {STUDY} --steps fuse", f"export {STUDY} --steps fuse", FEW, ("finalists",)),
    Command("route", f"route {STUDY} --folds 2", f"route {STUDY} --folds 2", ENOUGH, ("router",)),
    Command(
        "compress",
        f"compress {STUDY} --steps fuse,prune --epochs 1 --no-uniform --max-drop 100",
        f"compress {STUDY} --steps fuse,prune --epochs 1 --no-uniform --max-drop 100",
        FEW,
        ("finalists", "compressed"),
    ),
)


def warm_up() -> None:
    """Load what commands load, and measure the machine's speed once for all of them: forked processes have it then."""
    speed = plan.measure_speed(32, seconds=0.1)
    plan.measure_speed = lambda *_, **__: speed  # type: ignore[attr-defined]
    plan.plan(config_from({"profile": "x86-server", "phantoms": FEW, "image_size": 32, "trials": 3}))


def finished_study(folder: Path, phantoms: int) -> Path:
    """Return a folder with a finished study and its bundle, made once."""
    made = folder / f"finished-{phantoms}"
    if not (made / "done").exists():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        status, _ = executed(_run(phantoms), made)
        if status:
            raise SystemExit(f"The study cannot be made: {(made / 'log.txt').read_text()}")
        (made / "done").touch()
    return made


def executed(arguments: str, place: Path, kill_at: int = 0) -> tuple[int, list[Operation]]:
    """Run ``ussearch ARGUMENTS`` in the folder ``place``; return its status (-9: killed) and what it did there.

    What it did is known of a process that was not killed only.
    """
    told = place.parent / f"{place.name}.operations"
    told.unlink(missing_ok=True)
    process = os.fork()
    if process == 0:
        _child(arguments, place, kill_at, told)
    _, status = os.waitpid(process, 0)
    operations = json.loads(told.read_text()) if told.exists() else []
    return os.waitstatus_to_exitcode(status), [Operation(*each) for each in operations]


def _child(arguments: str, place: Path, kill_at: int, told: Path) -> None:
    status = 70
    try:
        os.chdir(place)
        with (place / "log.txt").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.argv = ["ussearch", *arguments.split()]
        watch = Watch(place / STUDY, kill_at)
        watch.begin()
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        sys.stdout.flush()
        told.write_text(json.dumps([(each.kind, each.path, each.source) for each in watch.operations]))
    finally:
        os._exit(status)
