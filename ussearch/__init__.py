"""Architecture search for ultrasound segmentation on edge devices.

``ussearch.run(profile="jetson-nano", data=...)`` is the whole road, ``ussearch.Study`` and ``ussearch.Bundle`` are what
it leaves; the folders of the package are its parts. Importing ``ussearch`` is cheap: nothing heavy is imported before
one of these names is used.

>>> import ussearch
>>> bundle = ussearch.Bundle.load("bundle")
>>> bundle.predict("scan.png").source
'edge'
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ussearch.errors import UserError

if TYPE_CHECKING:
    from ussearch.api import Bundle, CloudOptions, Outcome, PredictionResult, Study, run

__version__ = "0.2.0"
__all__ = ["Bundle", "CloudOptions", "Outcome", "PredictionResult", "Study", "UserError", "run"]


logging.getLogger(__name__).addHandler(logging.NullHandler())  # who runs it decides what is shown


def __getattr__(name: str) -> Any:
    """Import the names of ``ussearch.api`` where they are first used; old names still work."""
    from ussearch.deprecations import python_name

    name = python_name("ussearch", name)
    if name not in __all__:
        raise AttributeError(f"module 'ussearch' has no attribute {name!r}")
    from ussearch import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
