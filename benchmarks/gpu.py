"""What training does on this machine's GPU: the same as on the CPU? in bfloat16? in which batches, by how many workers?

Compares steps with the CPU's, times trainings of presets on phantoms (batches of 4 to 64, bfloat16 and float32, one to
four processes, CUDA graphs), counts launches, and judges what a plan predicts. Takes ten minutes at most; rows are kept
one by one in ``benchmarks/data/gpu.json``, so that the same command goes on where it was stopped. Writes
``docs/results/gpu.md`` once there are rows of a GPU.

    python benchmarks/gpu.py [--device cuda] [--seconds 600] [--rows FILE] [--quick]
    python benchmarks/gpu.py --page          # the page alone, from rows that were measured elsewhere

It sees nothing but the checkout. Beside torch, numpy, scipy, pillow, PyYAML, onnx and safetensors it needs monai,
pydantic and platformdirs; ``--page`` needs the whole package.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]  # the checkout need not be installed
ROWS, PAGE = ROOT / "benchmarks" / "data" / "gpu.json", ROOT / "docs" / "results" / "gpu.md"


def main(arguments: list[str] | None = None) -> None:
    """Measure what is not measured yet, as long as there is time, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to see whether the program runs")
    parser.add_argument("--seconds", type=float, default=600.0, help="no measurement begins after so many")
    parser.add_argument("--rows", type=Path, default=ROWS, help="file that keeps the rows")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run? Writes no page")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page of the rows")
    parser.add_argument("--one-of-many", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.page:
        write_page(asked.rows)
        return
    import torch
    from cards.bench import Bench
    from cards.measures import measures, one_of_many

    from ussearch.accelerators import choose_device
    from ussearch.errors import UserError
    from ussearch.process_settings import settle

    try:
        device = choose_device(asked.device)
    except UserError as error:
        raise SystemExit(str(error)) from error
    torch.set_num_threads(1)
    settle()
    bench = Bench.quick(device) if asked.quick else Bench(device)
    if asked.one_of_many:
        one_of_many(bench)
        return
    left = measured(measures(bench, quick=asked.quick), asked.rows, machine(device), asked.seconds)
    print(f"{left} measurements are left: run it again." if left else "All is measured.")
    if device.type == "cuda" and not asked.quick:
        print("The page: python benchmarks/gpu.py --page, where the whole package is installed.")


def machine(device: Any) -> dict[str, str]:
    """Return what the rows belong to."""
    import torch

    from ussearch.accelerators import device_name, is_card

    capability = ".".join(map(str, torch.cuda.get_device_capability(device))) if is_card(device) else ""
    return {
        "device": device_name(device),
        "capability": capability,
        "torch": torch.__version__,
        "CUDA": torch.version.cuda or "",
        "python": platform.python_version(),
    }


def measured(
    wanted: Any, path: Path, made_on: dict[str, str], seconds: float, clock: Callable[[], float] = time.monotonic
) -> int:
    """Measure what ``path`` does not have yet, and return how many are left when the time is up.

    What fails is a row that says so. Raises SystemExit where the rows were measured on another machine, and where an
    error has spoilt this process for the card: the next run goes on behind it.
    """
    from ussearch.accelerators import SpoiltProcess, watched

    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"machine": made_on, "rows": {}}
    if kept["machine"] != made_on:
        raise SystemExit(f"{path} was measured on {kept['machine']}, this is {made_on}: give another file by --rows.")
    start, left = clock(), 0
    for key, measure in wanted:
        if key in kept["rows"]:
            continue
        if clock() - start >= seconds:
            left += 1
            continue
        try:
            with watched(measure.args[0].device):
                row: dict[str, Any] = measure()
        except SpoiltProcess as error:
            _keep(path, kept, key, {"failed": str(error)})
            raise SystemExit(f"{key}: {error}") from error
        except (RuntimeError, ValueError) as error:
            row = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        _keep(path, kept, key, row)
        print(key, {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()})
    return left


def _keep(path: Path, kept: dict[str, Any], key: str, row: dict[str, Any]) -> None:
    from ussearch.files import write_atomically

    kept["rows"][key] = row
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(kept, indent=1))


def write_page(rows: Path, page: Path = PAGE) -> None:
    """Write the page; raises SystemExit where there are no rows of a GPU."""
    from cards.page import text_of

    kept = json.loads(rows.read_text(encoding="utf-8")) if rows.is_file() else {"machine": {}, "rows": {}}
    if not kept["machine"].get("capability") or not kept["rows"]:
        raise SystemExit(f"{rows} has no rows of a GPU: run python benchmarks/gpu.py where there is one.")
    page.write_text(text_of(kept), encoding="utf-8")
    print(f"{page}: name it in mkdocs.yml, as `- Training on a GPU: results/gpu.md`.")


if __name__ == "__main__":
    main()
