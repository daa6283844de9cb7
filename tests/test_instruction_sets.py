"""Trainings hold on processors of other instruction sets than this machine's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.margins import COLUMNS, INSTRUCTION_SETS, TABLE, declared, table

ROOT = Path(__file__).parent.parent
PLAIN = {**os.environ, **INSTRUCTION_SETS["DEFAULT"]}
MARGIN = 0.1
"""From the worst seed to the limit, as a share of what lies between the best and the worst."""
SHOWN = """
import torch
torch.nn.Conv2d(8, 8, 3)(torch.randn(1, 8, 8, 8))
print(torch.backends.cpu.get_cpu_capability())
"""


def test_the_variables_keep_pytorch_and_onednn_to_plain_instructions() -> None:
    environment = {**PLAIN, "ONEDNN_VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "DEFAULT"
    assert "avx" not in done.stdout.lower(), "no kernel of oneDNN, nor what it says it is limited to"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_trainings_hold_under_the_plain_instruction_set(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-m", "training and not slow", "-p", "no:cacheprovider", "--tb=short"]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'base'}"], capture_output=True, text=True, check=False, env=PLAIN, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_every_figure_keeps_its_limit_with_a_margin() -> None:
    """The margins that are kept are of today's set-ups and limits; ``python -m tests.margins --write`` makes them."""
    assert TABLE.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)
    expected = {
        (test, name, figure, str(bound), instructions): bound
        for test, name, reached in declared()
        for figure, bound in reached.bounds.items()
        for instructions in INSTRUCTION_SETS
    }
    rows = {tuple(row[:5]): [float(number) for number in row[5:]] for row in table()}
    assert rows.keys() == expected.keys()
    for key, (least, _, most) in rows.items():
        bound = expected[key]  # type: ignore[index]
        worst = least if bound.above else most
        assert bound.kept(worst), key
        assert abs(worst - bound.limit) >= MARGIN * (most - least), f"{key}: seeds spread too far for the limit"
