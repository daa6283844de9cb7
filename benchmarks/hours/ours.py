"""The run that searches: ``ussearch run --budget`` by its command line, on an idle machine, judged by its bundle."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hours.arms import CLOUD, EDGE, Setting
from ussearch.hardware_profiles import load_profile
from ussearch.pairs import Bundle
from ussearch.pairs.bundles.route_report import route_report
from ussearch.pairs.routing.curves import curve
from ussearch.pairs.routing.router_comparison import LEARNED, SDC
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.studies import Study

OFFLOAD = 0.3
"""Share of images at which a pair is judged."""


@dataclass(frozen=True)
class Search:
    """A run: what it may start from, and which share of LV-UNet's milliseconds its device allows its network."""

    title: str
    pretrained: str
    share: float | None = None

    def name(self, number: int) -> str:
        """Return what its row and its study on the published list ``number`` are called."""
        return f"{self.title}-{self.pretrained}-split{number}"


def searched(setting: Setting, number: int, search: Search, pace: Callable[[], float]) -> dict[str, Any]:
    """Return the row of a run; it is made where it is not there yet, and continued where it was stopped.

    ``pace`` measures how much slower this machine is than the naive arms'.
    """
    name = search.name(number)
    if (row := setting.known(name)) is not None:
        return row
    study, slower = setting.scratch / name, pace()
    tighter: tuple[str, ...] = ()
    if search.share is not None:
        limit_ms = search.share * setting.latency_ms(setting.yardstick.architecture)
        whole_ms = limit_ms + load_profile(EDGE).postprocessing_ms(setting.image_size)
        tighter = ("--max-latency-ms", f"{whole_ms:.3f}")
    command = [
        *(sys.executable, "-m", "ussearch", "run", "--profile", EDGE, "--cloud-profile", CLOUD),
        *("--data", str(setting.lesions), "--split-file", str(setting.list_of(number))),
        *("--budget", f"{slower * setting.seconds:.0f}s", "--study", str(study)),
        *tighter,
        *("--image-size", str(setting.image_size), "--workers", str(setting.cores), "--pretrained", search.pretrained),
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
            "pace": round(slower, 3),
            "trials": len(Study.open(study).trials()),
            "latency_ms": edge.costs["latency_ms"],
            "cloud": bundle.architecture("cloud").name,
            "routing": bundle.manifest.router.requested_share > 0,
            "decisions": (study / "plan.jsonl").read_text(encoding="utf-8").splitlines(),
        },
    )


def answers(setting: Setting, number: int, name: str, tier: str) -> Any:
    """Return what a bundle's network says of the test list, float32 [N, 1, H, W], before any post-processing."""
    network = OnnxNetwork(setting.scratch / name / "bundle" / tier / "model.onnx")
    return network.probabilities(np.asarray(setting.images.images[list(setting.split(number).test)]))


def routed(setting: Setting, number: int, name: str) -> dict[str, Any]:
    """Return Dice of a pair on the test list with none, ``OFFLOAD`` and all of the images sent to the cloud."""
    place = f"routed-{name}"
    if (row := setting.known(place)) is not None:
        return row
    report = route_report(Bundle.load(setting.scratch / name / "bundle"), setting.images)
    own = report.confidences.get(LEARNED, report.confidences[SDC])
    quality = curve(report.samples.edge_dice, report.samples.cloud_dice, own).quality
    shares = {share: float(quality[round(share * (len(quality) - 1))]) for share in (0.0, OFFLOAD, 1.0)}
    return setting.keep(
        place,
        {
            "split": number,
            "worthwhile": report.routing_gain.worthwhile,
            "dice": {str(share): value for share, value in shares.items()},
        },
    )
