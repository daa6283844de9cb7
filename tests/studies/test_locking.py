"""One driver a study; dead ones are recognised at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ussearch.errors import UserError
from ussearch.studies.locking import Holder, held, process_start


def test_the_lock_is_there_for_the_block_only(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    with held(path) as holder:
        assert Holder.model_validate_json(path.read_text()) == holder == Holder.this_process()
    assert list(tmp_path.iterdir()) == []


def test_a_live_holder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    with held(path):
        with pytest.raises(UserError, match=f"process {os.getpid()} on "), held(path):
            pass
        assert path.exists()


def dead_process() -> Holder:
    """Return a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = Holder(host=Holder.this_process().host, pid=child.pid, started=process_start(child.pid) or "")
    assert holder.alive
    child.communicate()
    return holder


@pytest.mark.parametrize("case", ["dead", "another start", "unreadable", "empty"])
def test_stale_locks_are_taken_over(tmp_path: Path, case: str) -> None:
    path = tmp_path / "lock.json"
    other_start = Holder.this_process().model_copy(update={"started": "long ago"})
    texts = {"dead": dead_process, "another start": lambda: other_start}
    path.write_text(texts[case]().model_dump_json() if case in texts else "{" if case == "unreadable" else "")
    with held(path) as holder:
        assert Holder.model_validate_json(path.read_text()) == holder
    assert list(tmp_path.iterdir()) == []


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(child.pid) is None
    child.wait()


def test_another_machines_holder_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_text(Holder(host="elsewhere", pid=1, started="x").model_dump_json())
    with pytest.raises(UserError, match=r"on elsewhere.*delete"), held(path):
        pass


def test_a_lock_of_someone_else_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    other = Holder(host="elsewhere", pid=1, started="x").model_dump_json()
    with held(path):
        path.write_text(other)
    assert path.read_text() == other


def test_the_holder_mends_what_a_dead_driver_left(tmp_path: Path) -> None:
    study = tmp_path / "study"
    (study / "steps" / ".prune.aside").mkdir(parents=True)
    (study / "steps" / ".fuse.aside").mkdir()
    (study / "steps" / "fuse").mkdir()
    left = [study / f".bundle.{dead_process().pid}.abc.part", study / f".record.json.{os.getpid()}.abc.part"]
    left[0].mkdir()
    left[1].write_text("{")
    with held(study / "lock.json"):
        assert sorted(path.name for path in study.rglob("*")) == ["fuse", "lock.json", "prune", "steps"]


def test_a_folder_made_for_the_lock_goes_with_it_where_it_stays_empty(tmp_path: Path) -> None:
    with held(tmp_path / "studies" / "one" / "lock.json"):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    with held(tmp_path / "there" / "lock.json"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]
