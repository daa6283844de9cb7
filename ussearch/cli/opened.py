"""A bundle with its images, for commands that judge it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ussearch.datasets import ImageSet
    from ussearch.pairs import Bundle


def bundle_with_images(place: Path, data: Path | None) -> tuple[Bundle, ImageSet]:
    """Return the bundle in ``place`` and its images: of a study those that it was made from.

    Raises UserError where there is no bundle, or nobody says where its data is.
    """
    from ussearch.errors import UserError
    from ussearch.pairs import Bundle
    from ussearch.pairs.bundles.verify import PHANTOMS, images_of
    from ussearch.studies import Study
    from ussearch.studies.context import reopen_context

    if Study.exists(place):
        study = Study.open(place)
        return Bundle.load(place / "bundle"), reopen_context(study, "cpu", data).images
    bundle = Bundle.load(place)
    if data is None and bundle.manifest.data.phantoms is None:
        raise UserError(f"{place} was made from {bundle.manifest.data.name}: give the folder of that data with --data.")
    return bundle, images_of(bundle, data or Path(PHANTOMS))
