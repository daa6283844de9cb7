"""The search: a study is a folder; ask, evaluate, keep, tell; resume; the front.

Knows evaluators only by their protocol, so that remote workers can take the place of training.
Prints nothing: progress is told by ``ussearch.events``.
"""

from ussearch.run_config import SamplerSettings
from ussearch.studies.config import FullLength, StudyConfig
from ussearch.studies.data_source import DataSource
from ussearch.studies.estimates import TrainingSpeed, estimate_training_seconds, measure_speed
from ussearch.studies.front import front, front_hypervolume, hypervolume, non_dominated
from ussearch.studies.records import Role, TrialRecord
from ussearch.studies.search import SearchInterrupted, search
from ussearch.studies.study import Study
from ussearch.studies.suggest import Suggestion

__all__ = [
    "DataSource",
    "FullLength",
    "Role",
    "SamplerSettings",
    "SearchInterrupted",
    "Study",
    "StudyConfig",
    "Suggestion",
    "TrainingSpeed",
    "TrialRecord",
    "estimate_training_seconds",
    "front",
    "front_hypervolume",
    "hypervolume",
    "measure_speed",
    "non_dominated",
    "search",
]
