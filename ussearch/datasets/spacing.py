"""How large the pixels of images are, where the data says it: in a table, or in the header of a DICOM file."""

from __future__ import annotations

from collections.abc import Sequence

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


def with_tables(headers: npt.NDArray[np.float64], samples: Sequence[Sample]) -> npt.NDArray[np.float64] | None:
    """Return spacings in mm [N, 2] of headers (NaN where they do not tell) with those of tables in their places.

    None where the spacing of all images is unknown.
    """
    found = np.array([each.spacing_mm or tuple(told) for each, told in zip(samples, headers, strict=True)], np.float64)
    return None if np.isnan(found).all() else found
