"""Making a profile of the very machine that this runs on."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime

from ussearch.hardware_profiles.calibration.measurements import from_rows
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork, draw_networks
from ussearch.hardware_profiles.calibration.profiles import Calibrated, check_name, export_networks, profile_from
from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.bench import measure_here
from ussearch.hardware_profiles.memory import peak_memory_mib
from ussearch.hardware_profiles.profile import Limits, Profile, Provenance

LIKE = "x86-server"
RAM_SHARE = 0.25
FRAMES_PER_SECOND = 24.0
KEPT = frozenset({"export", "memory_copies", "postprocessing"})
"""What is taken over from the profile that the machine is like."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class CalibrationRequest:
    """What to measure, and how long."""

    name: str
    networks: int = 22
    threads: int = 1
    rounds: int = 3
    seconds: float = 0.8
    patience_s: float = 70.0
    """How long to go on with networks that only met a slowed core."""
    seed: int = 0
    like: str = LIKE
    profiles_dirs: tuple[Path, ...] = ()
    runner: str = ""
    """The text of ``run_edge.py``, whose post-processing is measured, too."""


def calibrate(request: CalibrationRequest, say: Say = lambda _: None) -> Calibrated:
    """Measure networks on this machine's onnxruntime and return its profile; writes nothing.

    ``say`` is told what happens, a short line at a time. Raises UserError for a request that cannot be met.
    """
    check_name(request.name)
    like = load_profile(request.like, request.profiles_dirs)
    say("drawing networks")
    networks = draw_networks(request.networks, request.seed, like)
    with tempfile.TemporaryDirectory(prefix="ussearch-calibration-") as folder:
        paths = export_networks(networks, like, Path(folder), lambda name: say(f"exported {name}"))
        rows = measure_here(
            paths,
            request.threads,
            say,
            rounds=request.rounds,
            seconds=request.seconds,
            patience_s=request.patience_s,
        )
        if request.runner:
            runner = Path(folder) / measure.RUNNER
            runner.write_text(request.runner, encoding="utf-8")
            found = measure.measure_postprocessing(runner)
            rows = [{**row, **found} for row in rows]
    results = from_rows(rows, f"{len(rows)} networks of ussearch measured here")
    say("fitting")
    return profile_from(request.name, results, networks, like, _this_machine(like, rows, networks))


def _this_machine(like: Profile, rows: list[dict[str, Any]], networks: list[CalibrationNetwork]) -> dict[str, Any]:
    """Return what of ``like`` does not hold for this machine."""
    ram_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    bare = like.model_copy(update={"runtime_memory_mib": 0.0})
    floors_mib = [
        row["peak_rss_mib"] - peak_memory_mib(each.kernels, sum(kernel.parameters for kernel in each.kernels), bare)
        for row, each in zip(rows, networks, strict=True)
    ]
    here = Provenance(basis="measured", source="this machine")
    chosen = Provenance(basis="chosen", source="a quarter of this machine's memory; 24 frames a second")
    kept = {key: value for key, value in like.provenance.items() if key.split(".")[0] in KEPT}
    return {
        "device": measure.machine(),
        "title": f"{measure.machine()} (onnxruntime {onnxruntime.__version__})",
        "power_mode": "",
        "processor": platform.machine(),
        "note": f"Export rules are those of {like.name}.",
        "facts": {"ram_gib": round(ram_mib / 1024, 1)},
        "limits": Limits(memory_mib=round(ram_mib * RAM_SHARE), frames_per_second=FRAMES_PER_SECOND),
        "runtime_memory_mib": round(max(median(floors_mib), 0.0), 1),
        "provenance": {**kept, "facts": here, "limits": chosen, "runtime_memory_mib": here, "latency": here},
    }
