"""Architecture search for ultrasound segmentation on edge devices.

``ussearch.run(profile="jetson-nano", data=...)`` is the whole road; the folders of the package are its parts. Importing
``ussearch`` is cheap: nothing heavy is imported before something runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ussearch.pipeline import Delivery

__version__ = "0.1.0"
__all__ = ["run"]


def run(profile: str, **options: Any) -> Delivery:
    """Search for ``profile``, train the best pair at full length, export and verify it.

    ``options`` are the fields of ``ussearch.studies.request.RunRequest``, such as ``data``, ``trials``, ``study``.
    Raises UserError for anything that cannot be done, in one sentence.
    """
    from ussearch.pipeline import run as run_pipeline
    from ussearch.studies.request import RunRequest

    return run_pipeline(RunRequest(profile=profile, **options))
