"""The library leaves the process as it was; what is of the whole process belongs to programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ussearch.process_settings import intra_op_threads

PROGRAM = """
import gc, importlib, json, logging, pkgutil, sys, warnings
import optuna, torch
import ussearch

def state():
    root, tree = logging.getLogger(), logging.getLogger("ussearch")
    return {
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "garbage collector": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        "root logger": [root.level, root.disabled, list(map(repr, root.handlers)), list(map(repr, root.filters))],
        "tree": [tree.level, tree.propagate, list(map(repr, tree.handlers))],
        # Other packages add filters for warnings of their own when they are imported; those for any are looked at.
        "filters": [str(each) for each in warnings.filters if each[2].__module__ == "builtins" and not each[1]],
        "optuna": optuna.logging.get_verbosity(),
        "precision": [str(torch.get_default_dtype()), torch.is_grad_enabled()],
    }

def options():
    return json.loads(sys.argv[1])

optuna.logging.set_verbosity(optuna.logging.INFO)
torch.set_num_threads(2)
states = {"before": state()}
names = [each.name for each in pkgutil.walk_packages(ussearch.__path__, "ussearch.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
states["imported"] = state()
assert ussearch.run("jetson-nano", **options()).verification.passed
states["run"] = state()
print(json.dumps({"modules": len(names), "states": states}))
"""
OPTIONS = {"phantoms": 40, "image_size": 64, "trials": 2, "epochs": 1, "final_epochs": 1, "warm_start": ""}


@pytest.mark.parametrize("compress", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_importing_everything_and_a_run_from_python_change_nothing(compress: bool, tmp_path: Path) -> None:
    given = {**OPTIONS, "workers": 1, "threads": 1, "compress": compress, "study": str(tmp_path / "study")}
    command = [sys.executable, "-c", PROGRAM, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # and nothing else was printed
    assert told["modules"] > 300
    assert told["states"]["imported"] == told["states"]["before"]
    assert told["states"]["run"] == told["states"]["before"]
    assert told["states"]["before"]["threads"][0] == 2
    assert "A new study created" not in done.stderr


def test_threads_are_given_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), intra_op_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
