"""Which images ranges are taken from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.errors import UserError

STRATA = 3
"""Of images with a lesion, by its area: the small ones are the hard ones."""


def calibration_images(masks: npt.NDArray[np.uint8], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the indices, ascending, of at most ``count`` images on which to calibrate (100 to 300 are usual).

    ``masks`` are [N, ...], 0 for background. Images without a lesion and those with a small, medium and large one are
    drawn in turn, so that each kind has an equal share as far as it goes. Deterministic in ``seed``.
    """
    if count < 1 or len(masks) == 0:
        raise UserError(f"Cannot choose {count} of {len(masks)} calibration images: expected at least one of each.")
    areas = np.count_nonzero(masks.reshape(len(masks), -1), axis=1)
    by_area = np.argsort(areas, kind="stable")
    empty, lesions = by_area[areas[by_area] == 0], by_area[areas[by_area] > 0]
    random = np.random.default_rng(seed)
    strata = [random.permutation(stratum) for stratum in (empty, *np.array_split(lesions, STRATA))]
    turns = sorted((place, kind) for kind, stratum in enumerate(strata) for place in range(len(stratum)))
    return np.array(sorted(strata[kind][place] for place, kind in turns[:count]), np.int64)
