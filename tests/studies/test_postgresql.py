"""Studies in a real PostgreSQL: two drivers at once, kills, passwords that stay secret."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from tests.studies.conftest import SPACE, FormulaEvaluator, make_config, outcome, run_search
from ussearch.errors import UserError
from ussearch.search_spaces import Architecture
from ussearch.studies import Study, search
from ussearch.studies.database import require_reachable
from ussearch.studies.resources import SearchResources

PASSWORD = f"secret{secrets.token_hex(8)}@/:%"
QUOTED = PASSWORD.replace("%", "%25").replace("@", "%40").replace("/", "%2F").replace(":", "%3A")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL on a loopback port."""

    port: int

    def url(self, password: str = QUOTED, port: int | None = None) -> str:
        return f"postgresql://tester:{password}@127.0.0.1:{port or self.port}/postgres"


def unprivileged() -> dict[str, int]:
    """Return the user and group that the server runs as: PostgreSQL refuses to be root."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="needs the extra `postgresql`: pip install 'ussearch[postgresql]'")
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("needs the programs initdb and pg_ctl of PostgreSQL")
    folder, port, owner = Path(tempfile.mkdtemp(prefix="ussearch-pg-")), free_port(), unprivileged()
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    data, key = str(folder / "data"), folder / "password"
    key.write_text(PASSWORD)
    key.chmod(0o644)

    def call(*command: str) -> None:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, env=environment, **owner)  # type: ignore[call-overload]

    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C"}
    try:
        call("initdb", "-E", "UTF8", "-D", data, "-U", "tester", "--auth=scram-sha-256", f"--pwfile={key}", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        call("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        yield Server(port)
        call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_database(url: str) -> SearchResources:
    return SearchResources(storage=url)


def names(server: Server) -> list[str]:
    return optuna.get_all_study_names(server.url())


def complete_slots(server: Server, name: str) -> list[int]:
    trials = optuna.load_study(study_name=name, storage=server.url()).trials
    assert all(trial.state.is_finished() for trial in trials)
    return [trial.user_attrs["trial_id"] for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]


def all_text(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_two_drivers_share_a_database_that_has_no_tables_yet(server: Server, tmp_path: Path) -> None:
    found: dict[str, list[tuple[int, str, str, float | None]]] = {}

    def drive(name: str, seed: int) -> None:
        folder = tmp_path / name / "study"  # equal names: only the database's names must differ
        found[name] = outcome(run_search(folder, trials=5, seed=seed, resources=in_database(server.url()))[1])

    drivers = [threading.Thread(target=drive, args=(name, seed)) for name, seed in (("a", 7), ("b", 8))]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    for name, seed in (("a", 7), ("b", 8)):
        assert found[name] == outcome(run_search(tmp_path / f"file-{name}", trials=5, seed=seed)[1])
        assert not (tmp_path / name / "study" / "study.db").exists()
    assert len(set(names(server))) == 2 and all(each.startswith("study-") for each in names(server))
    for each in names(server):
        assert sorted(complete_slots(server, each)) == list(range(5))


def test_an_interrupted_study_goes_on_in_its_database(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(BaseException):
        pass

    def die(call: int, architecture: Architecture) -> None:
        if call == 2:
            raise Stopped

    folder = tmp_path / "interrupted"
    with pytest.raises(Stopped):
        run_search(folder, FormulaEvaluator(before=die), trials=4, resources=in_database(server.url()))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)  # the address is remembered, the password is not
    study = Study.open(folder)
    records = search(study, FormulaEvaluator(), SPACE)
    assert outcome(records) == outcome(run_search(tmp_path / "undisturbed", trials=4)[1])
    (name,) = [each for each in names(server) if each.startswith("interrupted-")]
    assert sorted(complete_slots(server, name)) == [0, 1, 2, 3]
    assert not (folder / "study.db").exists()


def test_the_password_is_written_nowhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["ussearch", "run", "--storage", server.url(), f"--storage={server.url()}"])
    study, _ = run_search(tmp_path / "s", trials=1, resources=in_database(server.url()))
    text = all_text(study.folder)
    assert "postgresql://tester:***@127.0.0.1" in text  # the command line in study.yaml
    for wrong in (server.url(password="wrong-secret"), server.url(port=1), server.url() + "_missing"):
        with pytest.raises(UserError, match="cannot be used") as caught:
            require_reachable(wrong)
        text += str(caught.value) + repr(caught.value.__cause__)
    captured = capfd.readouterr()
    text += captured.out + captured.err
    assert PASSWORD not in text and QUOTED not in text and "wrong-secret" not in text and "secret" not in text


def test_a_database_that_goes_away_stops_the_search_with_a_sentence(server: Server, tmp_path: Path) -> None:
    import psycopg

    def cut(call: int, architecture: Architecture) -> None:
        if call == 1:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("DROP TABLE trials CASCADE")

    folder = tmp_path / "s"
    with pytest.raises(UserError, match="mend it or give another --storage") as caught:
        run_search(folder, FormulaEvaluator(before=cut), trials=3, resources=in_database(server.url()))
    assert "secret" not in str(caught.value)
    records = search(
        Study.open(folder), FormulaEvaluator(), SPACE, resources=SearchResources(storage=f"sqlite:///{tmp_path}/o.db")
    )
    assert outcome(records) == outcome(run_search(tmp_path / "undisturbed", trials=3)[1])


def test_configurations_differ_only_in_what_decides() -> None:
    assert "storage" not in make_config().model_dump()
