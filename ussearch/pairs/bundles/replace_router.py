"""Another router for a finished bundle; its networks stay as they are."""

from __future__ import annotations

import shutil

import numpy as np
import numpy.typing as npt
from PIL import Image

from ussearch.datasets import ImageSet
from ussearch.datasets.counts import counts_of
from ussearch.errors import UserError
from ussearch.files import staged_directory
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.bundles.finalize import finalize
from ussearch.pairs.bundles.integrity import MANIFEST, SEAL
from ussearch.pairs.bundles.router import attach_and_evaluate
from ussearch.pairs.bundles.test_vectors import FOLDER
from ussearch.pairs.routing.attach_router import RouterSpec

Pixels = npt.NDArray[np.uint8]


def replace_router(bundle: Bundle, images: ImageSet, spec: RouterSpec) -> Bundle:
    """Give the bundle another router and replace it, whole or not at all.

    ``images`` is the data set that the bundle was made from. Raises UserError where it is another one, or the policy
    cannot be kept; the bundle is then as it was.
    """
    expected = bundle.manifest.data.fingerprint
    if images.fingerprint != expected:
        raise UserError(
            f"The images are not those of {bundle.folder} (fingerprint {images.fingerprint[:12]}, expected "
            f"{expected[:12]}): give the data set that it was made from."
        )
    examples = _examples(bundle)
    with staged_directory(bundle.folder) as folder:
        shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)
        for name in (MANIFEST, SEAL):
            (folder / name).unlink()
        manifest = bundle.manifest
        decided = attach_and_evaluate(
            folder, manifest.edge, bundle.profile("edge"), images, bundle.split(), examples=examples, spec=spec
        )
        data = manifest.data.model_copy(update={"counts": counts_of(images, bundle.split())})
        origin = manifest.origin and manifest.origin.changed_now()
        parts = {"edge": decided.edge, "router": decided.router, "data": data, "metrics": decided.metrics}
        finalize(folder, manifest.model_copy(update={**parts, "origin": origin}))
    return Bundle.load(bundle.folder)


def _examples(bundle: Bundle) -> list[Pixels]:
    """Return the images of the bundle's vectors."""
    examples = []
    for path in sorted((bundle.folder / FOLDER).glob("*/image.png")):
        with Image.open(path) as image:
            examples.append(np.asarray(image.convert("L")))
    return examples
