"""No command opens a socket to anywhere but those that are told to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TINY_RUN, Command

FORBIDDEN = """
import socket

def forbidden(*arguments, **named):
    raise RuntimeError("a socket was asked for")

class Local(socket.socket):
    def __init__(self, family=-1, *arguments, **named):
        if family not in (socket.AF_UNIX,):
            forbidden()
        super().__init__(family, *arguments, **named)

socket.getaddrinfo = socket.create_connection = forbidden
socket.socket = Local
"""
"""Pairs of local sockets stay, over which a driver talks with its workers: they lead nowhere else."""


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise RuntimeError("a socket was asked for")

    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, forbidden, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)


def test_a_socket_would_be_seen(ussearch: Command, no_sockets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ussearch.weights.download.located", lambda source: None)
    outcome = ussearch("weights", "get", "mobilenetv3-large")
    assert outcome.status == 70, "the test's own error, from the only command that is told to"


def test_commands_that_look(ussearch: Command, no_sockets: None, tiny_data: Path) -> None:
    run = ("run", "--profile", "jetson-nano", "--data", tiny_data, *TINY_RUN, "--pretrained", "auto", "--dry-run")
    for words in (run, ("data", "check", tiny_data), ("weights", "list"), ("presets", "lv-unet"), ("profiles",)):
        assert ussearch(*words).status == 0, words


@pytest.mark.slow
def test_a_whole_run_with_workers_and_what_follows(tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FORBIDDEN, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    study, bundle = tmp_path / "s", tmp_path / "s" / "bundle"
    image = min((tiny_data / "images").iterdir())
    start = ("--pretrained", "auto", "--warm-start", "efficientnet-lite0-unet", "--workers", 2)
    for words in (
        ("run", "--profile", "jetson-nano", "--data", tiny_data, "--study", study, *TINY_RUN, *start),
        ("report", study, "--out", tmp_path / "report.html"),
        ("verify", bundle, "--data", tiny_data),
        ("infer", bundle, image, "--out", tmp_path / "masks"),
        ("export", study, "--out", tmp_path / "other", "--no-compress"),
    ):
        command = [sys.executable, "-m", "ussearch", *map(str, words)]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
