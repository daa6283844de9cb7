"""Who asks: Optuna's samplers by the names that users write, and the one that knows costs exactly.

``registry.py`` has the names, ``surrogate.py`` what Optuna sees of ours, ``acquisition.py`` one proposal of it,
``posterior.py`` what it expects of candidates. Whoever knows candidates before training tells of them through
``pricing.py``.
"""

from ussearch.studies.samplers.architecture_pricing import ArchitecturePricing
from ussearch.studies.samplers.pricing import Choices, Cost, Description, Pricing
from ussearch.studies.samplers.registry import FIRST_GENERATION, SAMPLERS, make_sampler
from ussearch.studies.samplers.surrogate import SurrogateSampler

__all__ = [
    "FIRST_GENERATION",
    "SAMPLERS",
    "ArchitecturePricing",
    "Choices",
    "Cost",
    "Description",
    "Pricing",
    "SurrogateSampler",
    "make_sampler",
]
