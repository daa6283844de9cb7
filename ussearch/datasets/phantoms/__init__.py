"""A generator of ultrasound-like phantoms, so that a first run needs no data.

Numbers decide a phantom: ``parameters``. ``tissue`` and ``lesions`` make maps of echo level and loss,
``speckle`` and ``imaging`` scan them, ``generator`` puts the parts together.
"""

from ussearch.datasets.phantoms.generator import Phantom, make_phantom, phantom_dataset, phantoms_from
from ussearch.datasets.phantoms.parameters import GENERATOR_VERSION, PhantomParameters

__all__ = [
    "GENERATOR_VERSION",
    "Phantom",
    "PhantomParameters",
    "make_phantom",
    "phantom_dataset",
    "phantoms_from",
]
