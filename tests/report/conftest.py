"""Studies with records made by hand: everything a report shows of them is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.studies.conftest import CLOUD, EDGE, SPACE, SPLIT, epoch_record, made_costs, make_config
from ussearch.evaluators import Evaluation, Summary
from ussearch.report import ReportData, gather
from ussearch.search_spaces import Architecture
from ussearch.studies import Study, TrialRecord


def make_summary(objective: float, sd: float = 0.2, images: int = 100) -> Summary:
    """Return the summary of images that all show a lesion."""
    return {
        "images": images,
        "lesion_images": images,
        "lesion_dice": objective,
        "lesion_dice_sd": sd,
        "dice_all": objective,
        "false_positive_rate": None,
        "empty_share": 0.0,
        "objective": objective,
        "hd95": 9.0,
    }


def make_record(trial_id: int, objective: float, latency_ms: float = 10.0, **changes: Any) -> TrialRecord:
    """Return a record of a network with this selection and latency; ``changes`` are of record or evaluation."""
    architecture = SPACE.sample(trial_id)
    evaluation: dict[str, Any] = {
        "architecture_id": architecture.id,
        "seed": trial_id,
        "fidelity": "trained",
        "epochs": 1,
        "image_size": 64,
        "accelerator": "cpu",
        "metrics": make_summary(objective),
        "costs": {"edge": made_costs(EDGE, latency_ms, 610.0), "cloud": made_costs(CLOUD, latency_ms / 5, 60.0)},
        "history": (epoch_record(),),
    }
    record: dict[str, Any] = {
        "trial_id": trial_id,
        "role": "edge",
        "architecture_id": architecture.id,
        "choices": None,
        "started": f"2026-01-01T00:00:{trial_id:02d}",
        "finished": f"2026-01-01T00:01:{trial_id:02d}",
    }
    evaluation |= {name: value for name, value in changes.items() if name in Evaluation.model_fields}
    record |= {name: value for name, value in changes.items() if name not in Evaluation.model_fields}
    return TrialRecord(**record, evaluation=Evaluation(**evaluation))


def make_material(folder: Path, records: Sequence[TrialRecord], **config: Any) -> ReportData:
    """Keep the records in a new study, whose data is nowhere, and return its material."""
    study = Study.create(folder, make_config(**config), SPLIT)
    study.keep_baselines({"empty": make_summary(0.0), "Otsu": make_summary(0.2)})
    for record in records:
        architecture: Architecture = SPACE.sample(record.trial_id)
        study.keep(record, architecture.model_copy(update={"name": record.name}))
    return gather(folder)
