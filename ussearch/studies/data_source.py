"""Which data a study learns from, as the study keeps it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ussearch.datasets import ImageSet, Reading
from ussearch.datasets.counts import Losses, losses_of


class DataSource(BaseModel):
    """Which data a study learns from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    reader: str
    root: str
    fingerprint: str
    images: int
    phantoms: dict[str, Any] | None = None
    """The generator's parameters, where the data was made up."""
    reading: Reading | None = None
    """How the files were read; None where there were none, and in studies of older versions."""
    losses: Losses | None = None
    """What the way to the network lost of the data; None in studies of older versions."""

    @classmethod
    def of(cls, image_set: ImageSet, root: str = "", phantoms: dict[str, Any] | None = None) -> DataSource:
        """Describe a prepared data set that was read from ``root``, or made with the parameters ``phantoms``."""
        return cls(
            name=image_set.name,
            reader=image_set.reader,
            root=root,
            fingerprint=image_set.fingerprint,
            images=len(image_set),
            phantoms=phantoms,
            reading=image_set.reading,
            losses=losses_of(image_set),
        )
