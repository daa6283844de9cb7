"""How large the pixels of images are, where the data says it: in a table, or in the header of a DICOM file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Dataset, Sample
from ussearch.datasets.reading.raw_images import is_dicom_sample


def spacing_of(sample: Sample, region: str) -> tuple[float, float] | None:
    """Return height and width in mm of a pixel of what is used of an image; None where nothing tells.

    What a table says counts more than a header. Raises UserError where a DICOM file cannot be read.
    """
    if sample.spacing_mm is not None or not is_dicom_sample(sample.image):
        return sample.spacing_mm
    from ussearch.datasets.dicom import open_dicom

    return open_dicom(sample.image).spacing_mm(region)


def spacings_of(dataset: Dataset) -> npt.NDArray[np.float64] | None:
    """Return the spacing of each image in mm, [N, 2], NaN where it is unknown; None where it is of all."""
    region = "largest" if dataset.reading is None else dataset.reading.region
    return as_array([spacing_of(sample, region) for sample in dataset.samples])


def as_array(spacings: Sequence[tuple[float, float] | None]) -> npt.NDArray[np.float64] | None:
    """Return spacings as an array, [N, 2]; None where all are unknown."""
    if not any(spacings):
        return None
    return np.array([(np.nan, np.nan) if each is None else each for each in spacings], np.float64)
