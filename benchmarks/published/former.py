"""What profiles shipped before classes of kernels had prices of their own: what the page calls "before"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from published.fits import Fits
from published.tables import Floats
from ussearch.hardware_profiles.latency.roofline import Roofline

FORMER = Path(__file__).parents[1] / "data" / "former_prices.yaml"


@dataclass(frozen=True)
class Former:
    """What a profile shipped before classes of kernels had prices of their own."""

    latency: Roofline
    covered: frozenset[str]


@cache
def former() -> dict[str, Former]:
    """Return what was shipped before, by runtime."""
    rows = yaml.safe_load(FORMER.read_text(encoding="utf-8"))
    return {
        name: Former(Roofline.model_validate(row["latency"]), frozenset(row["kernel_classes"]))
        for name, row in rows.items()
    }


def before_ms(fits: Fits, name: str, profile: str = "") -> Floats:
    """Return what was predicted before for a runtime's networks, NaN where there was nothing."""
    table, shipped = fits.measured(name), former().get(profile or name)
    if shipped is None:
        return np.full(len(table.networks), np.nan)
    return np.array([shipped.latency.total_ms(network.kernels) for network in table.networks])
