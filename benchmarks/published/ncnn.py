"""ncnn's benchmark page: two dozen networks on a hundred machines, with their totals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from published.tables import Floats, Names, read_rows
from ussearch.hardware_profiles.kernels.kernel import BYTES_PER_ELEMENT
from ussearch.hardware_profiles.latency.roofline import GMAC, MIB

KERNEL_CLASSES = (
    *("add", "average_pool", "concat", "conv 11x11", "conv 3x3", "conv 5x5", "conv 7x7"),
    *("depthwise_conv 3x3", "depthwise_conv 5x5", "global_pool", "grouped_conv 3x3", "matmul", "max_pool", "mul"),
    *("pointwise_conv", "split"),
)
"""What the 24 networks are built of, from their published definitions: the table itself has only totals."""


@dataclass(frozen=True)
class Machine:
    """The rows of one machine of the page."""

    device: str
    threads: int
    powersave: int
    gpu: bool


@dataclass(frozen=True)
class Networks:
    """Networks measured on one machine: GMACs without depthwise ones, MiB, operators, depthwise GMACs [networks, 4]."""

    names: Names
    charges: Floats
    latency_ms: Floats


def load(data: Path, machine: Machine) -> Networks:
    """Read the FP32 networks measured on ``machine`` whose MACs are known.

    NOTE: rows ``*_int8`` are left out: in GPU blocks they run on the CPU.
    """
    known = {row["model"]: row for row in read_rows(data / "ncnn_networks.csv") if int(row["macs"])}
    rows = [row for row in read_rows(data / "ncnn.csv.gz") if _is_of(row, machine) and row["model"] in known]
    rows = [row for row in rows if not row["model"].endswith("_int8")]
    return Networks(
        names=np.array([row["model"] for row in rows]),
        charges=np.array([_charges(known[row["model"]]) for row in rows]),
        latency_ms=np.array([float(row["avg_ms"]) for row in rows]),
    )


def _is_of(row: dict[str, str], machine: Machine) -> bool:
    told = (row["device"], row["num_threads"], row["powersave"])
    wanted = (machine.device, str(machine.threads), str(machine.powersave))
    return told == wanted and (float(row["gpu_device"]) >= 0) == machine.gpu


def _charges(facts: dict[str, str]) -> tuple[float, float, float, float]:
    elements = sum(int(facts[key]) for key in ("act_in", "act_out", "params"))
    depthwise = int(facts["macs_dw"])
    dense = int(facts["macs"]) - depthwise
    return dense / GMAC, elements * BYTES_PER_ELEMENT / MIB, float(facts["ops"]), depthwise / GMAC
