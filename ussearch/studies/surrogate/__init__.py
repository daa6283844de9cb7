"""The surrogate-assisted sampler: learn what accuracy comes from, propose what should move the front most.

``sampler.py`` is what Optuna sees, ``proposal.py`` one proposal, ``forecast.py`` what it expects of candidates. Whoever
knows costs before training tells them through ``pricing.py``.
"""

from ussearch.studies.surrogate.architecture_pricing import ArchitecturePricing
from ussearch.studies.surrogate.pricing import Description, NoPricing, Offer, Pricing
from ussearch.studies.surrogate.sampler import SurrogateSampler

__all__ = ["ArchitecturePricing", "Description", "NoPricing", "Offer", "Pricing", "SurrogateSampler"]
