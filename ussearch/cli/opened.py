"""The bundle that a command is given, by its own folder or by its study's, and its images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ussearch.datasets import ImageSet
    from ussearch.pairs import Bundle


def bundle_at(place: Path) -> Bundle:
    """Return the bundle in ``place``: its own folder, or that of a study with one; raises UserError without one."""
    from ussearch.pairs import Bundle
    from ussearch.studies import Study

    return Bundle.load(place / "bundle" if Study.exists(place) else place)


def bundle_with_images(place: Path, data: Path | None) -> tuple[Bundle, ImageSet]:
    """Return the bundle in ``place`` and its images: of a study those that it was made from.

    Raises UserError where there is no bundle, or nobody says where its data is.
    """
    from ussearch.errors import UserError
    from ussearch.pairs.bundles.verify import PHANTOMS, images_of
    from ussearch.studies import Study
    from ussearch.studies.context import reopen_context

    bundle = bundle_at(place)
    if Study.exists(place):
        return bundle, reopen_context(Study.open(place), "cpu", data).images
    if data is None and bundle.manifest.data.phantoms is None:
        raise UserError(f"{place} was made from {bundle.manifest.data.name}: give the folder of that data with --data.")
    return bundle, images_of(bundle, data or Path(PHANTOMS))
