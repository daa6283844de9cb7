"""What a candidate is worth: accuracy after training by one recipe, and costs of its deploy form.

Knows architectures, data and profiles; knows nothing of studies, samplers or fronts.
"""

from ussearch.evaluators.baselines import trivial_baselines
from ussearch.evaluators.costs import Costs, TracedNetwork, costs, trace, trace_ensemble
from ussearch.evaluators.evaluation import CostsByTier, Evaluation, Tier
from ussearch.evaluators.evaluator import Evaluator, TrainEvaluator
from ussearch.evaluators.metrics.scores import CONVENTION, Scores, Summary, score
from ussearch.evaluators.metrics.segmentation import objective_of
from ussearch.evaluators.prediction import predict
from ussearch.evaluators.pretrained import FROM_SCRATCH, Pretrained, PretrainedStart
from ussearch.evaluators.training.engine import train
from ussearch.evaluators.training.recipe import Recipe
from ussearch.evaluators.training.result import EpochRecord, OnEpoch, TrainingFailed, TrainingResult
from ussearch.evaluators.training.task import TrainingTask
from ussearch.runtime.masks import THRESHOLD

__all__ = [
    "CONVENTION",
    "FROM_SCRATCH",
    "THRESHOLD",
    "Costs",
    "CostsByTier",
    "EpochRecord",
    "Evaluation",
    "Evaluator",
    "OnEpoch",
    "Pretrained",
    "PretrainedStart",
    "Recipe",
    "Scores",
    "Summary",
    "Tier",
    "TracedNetwork",
    "TrainEvaluator",
    "TrainingFailed",
    "TrainingResult",
    "TrainingTask",
    "costs",
    "objective_of",
    "predict",
    "score",
    "trace",
    "trace_ensemble",
    "train",
    "trivial_baselines",
]
