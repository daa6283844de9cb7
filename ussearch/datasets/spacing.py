"""How large the pixels of images are, where the data says it: in a table, or in the header of a DICOM file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ussearch.datasets.dataset import Dataset, Sample
from ussearch.datasets.files import FileSource
from ussearch.datasets.reading.raw_images import is_dicom_sample


def spacing_of(dataset: Dataset, sample: Sample) -> tuple[float, float] | None:
    """Return height and width in mm of a pixel of what is used of an image; None where nothing tells.

    What a table says counts more than a header. Raises UserError where a DICOM file cannot be read.
    """
    is_dicom = isinstance(dataset.source, FileSource) and is_dicom_sample(sample.image)
    if sample.spacing_mm is not None or not is_dicom:
        return sample.spacing_mm
    from ussearch.datasets.dicom import open_dicom

    return open_dicom(sample.image).spacing_mm("largest" if dataset.reading is None else dataset.reading.region)


def spacings_of(dataset: Dataset) -> npt.NDArray[np.float64] | None:
    """Return the spacing of each image in mm, [N, 2], NaN where it is unknown; None where it is of all."""
    found = [spacing_of(dataset, sample) for sample in dataset.samples]
    return np.array([each or (np.nan, np.nan) for each in found], np.float64) if any(found) else None
