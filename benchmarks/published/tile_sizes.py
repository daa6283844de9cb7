"""How many channels, pixels and columns convolutions compute at a time: what was tried, and how 256 pixels come out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from published import measured
from published.class_gates import mape
from published.fits import Fits, priced, weights
from published.runtimes import CUDA, ORT_4, ORT_5
from ussearch.hardware_profiles.latency.cost_features import Tiles
from ussearch.hardware_profiles.latency.network_fitting import charges, fit_network_prices

_COLUMNS = tuple(Tiles(columns=columns) for columns in (1, 4, 6, 8, 16))
TRIED = {
    CUDA: (
        "jetson-nano",
        (Tiles(), *(Tiles(channels=32, pixels=pixels) for pixels in (32, 64, 128)), Tiles(channels=32, columns=16)),
    ),
    ORT_4: ("raspberry-pi-4", _COLUMNS),
    ORT_5: ("raspberry-pi-5", _COLUMNS),
}
"""Sizes of tiles that were tried, by runtime, with the device's name in YOLOBench."""


@dataclass(frozen=True)
class Tiled:
    """A size of tiles, the error on YOLOBench's sizes that prices with it were fitted to, and that at 256 pixels."""

    name: str
    tiles: Tiles
    others_mape: float
    at_256_mape: float


def tiles(fits: Fits) -> Iterator[Tiled]:
    """Yield every size of tiles that was tried on the runtimes that YOLOBench measured at 256 pixels."""
    for name, (device, sizes) in TRIED.items():
        others = measured.yolo(fits.data / "latency", device)
        at_256 = measured.yolo(fits.data / "latency2", device, at_256=True)
        for each in sizes:
            known = charges(others.networks, each)
            model = fit_network_prices(known, others.latency_ms, weights(others.families), tiles=each)
            found = priced(model, charges(at_256.networks, each))
            errors = mape(priced(model, known), others.latency_ms), mape(found, at_256.latency_ms)
            yield Tiled(name, each, *errors)
