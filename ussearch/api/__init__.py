"""The package from Python: ``ussearch.run``, ``ussearch.Study``, ``ussearch.Bundle``.

Studies and bundles are those of the folders below with the commands as methods; every method calls what its command
calls. Nothing is computed here.
"""

from ussearch.api.bundle import Bundle
from ussearch.api.running import run
from ussearch.api.study import Outcome, Study
from ussearch.runtime.prediction import PredictionResult
from ussearch.serving.client import CloudOptions

__all__ = ["Bundle", "CloudOptions", "Outcome", "PredictionResult", "Study", "run"]
