"""The run that searches: ``ussearch run --budget`` by its command line, on an idle machine, judged by its bundle."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np

from hours.arms import CLOUD, EDGE, Setting
from ussearch.pairs import Bundle
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.studies import Study


def searched(setting: Setting, number: int, pretrained: str) -> dict[str, Any]:
    """Return the row of a run; it is made where it is not there yet, and continued where it was stopped."""
    name = f"ours-{pretrained}-split{number}"
    if (row := setting.known(name)) is not None:
        return row
    study = setting.scratch / name
    command = [
        *(sys.executable, "-m", "ussearch", "run", "--profile", EDGE, "--cloud-profile", CLOUD),
        *("--data", str(setting.lesions), "--split-file", str(setting.list_of(number))),
        *("--budget", f"{setting.seconds:.0f}s", "--study", str(study)),
        *("--image-size", str(setting.image_size), "--workers", str(setting.cores), "--pretrained", pretrained),
        *(("--resume",) if Study.exists(study) else ()),
    ]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    bundle = Bundle.load(study / "bundle")
    edge = bundle.manifest.entry("edge")
    return setting.keep(
        name,
        {
            "name": name,
            "network": bundle.architecture("edge").name,
            "trial": edge.trial,
            "seconds": round(time.perf_counter() - start, 1),
            "trials": len(Study.open(study).trials()),
            "latency_ms": edge.costs["latency_ms"],
            "cloud": bundle.architecture("cloud").name,
            "decisions": (study / "plan.jsonl").read_text(encoding="utf-8").splitlines(),
        },
    )


def answers(setting: Setting, number: int, name: str, tier: str) -> Any:
    """Return what a bundle's network says of the test list, float32 [N, 1, H, W], before any post-processing."""
    network = OnnxNetwork(setting.scratch / name / "bundle" / tier / "model.onnx")
    return network.probabilities(np.asarray(setting.images.images[list(setting.split(number).test)]))
