"""Which data a study learns from, as the study keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ussearch.datasets import ImageSet, Reading
from ussearch.datasets.counts import Losses, losses_of
from ussearch.errors import UserError


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


def require_there(root: Path) -> None:
    """Raise UserError where the data of a study no longer lies in ``root``."""
    if not root.exists():
        raise UserError(f"{root} does not exist, where the study's data lay: say where it lies now with --data.")
