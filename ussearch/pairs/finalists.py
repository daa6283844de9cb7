"""The chosen candidates, trained at full length and kept in the study."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from ussearch.errors import UserError
from ussearch.evaluators import End, Evaluation, OnEpoch, TrainEvaluator
from ussearch.files import write_atomically
from ussearch.search_spaces import Network, build
from ussearch.studies import Study
from ussearch.studies.drafting import derived_seed

FULL_TRAINING = 2
"""Purpose of the derived seed, apart from sampling (0) and the search's training (1)."""


@dataclass(frozen=True)
class Finalist:
    """One end of the pair after its full training."""

    end: End
    slot: int
    network: Network
    evaluation: Evaluation
    weights: Path


def finalist_folder(study: Study, slot: int) -> Path:
    """Return where the study keeps a finalist; one that serves both ends is trained once."""
    return study.folder / "finalists" / f"{slot:04d}"


def train_finalist(
    study: Study, evaluator: TrainEvaluator, end: End, slot: int, on_epoch: OnEpoch | None = None
) -> Finalist:
    """Train a candidate of the study at the full length of ``evaluator.recipe``, from scratch, and keep it.

    A finalist that is there already, made from the same candidate by the same recipe, is taken as it is. Raises
    UserError where the training fails.
    """
    folder = finalist_folder(study, slot)
    made_from = _origin(study, evaluator, slot)
    kept = _kept(folder, made_from)
    if kept is None:
        seed = derived_seed(study.config.seed, slot, FULL_TRAINING)
        kept = evaluator.evaluate(study.architecture(slot), seed, on_epoch)
        if kept.weights is None:
            raise UserError(f"Trial {slot} cannot serve as the {end} network ({kept.failure}): choose another trial.")
        weights = {name: value.contiguous() for name, value in kept.weights.items()}
        write_atomically(folder / "weights.safetensors", save(weights))
        write_atomically(folder / "architecture.yaml", study.architecture(slot).to_yaml())
        record = {"made_from": made_from, "evaluation": kept.model_dump(mode="json")}
        write_atomically(folder / "record.json", json.dumps(record, indent=1))
    network = build(study.architecture(slot))
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return Finalist(end, slot, network.eval(), kept, folder / "weights.safetensors")


def _origin(study: Study, evaluator: TrainEvaluator, slot: int) -> dict[str, Any]:
    """Return everything that the full training depends on."""
    return {
        "slot": slot,
        "architecture_id": study.trial(slot).architecture_id,
        "recipe": evaluator.recipe.model_dump(mode="json"),
        "seed": study.config.seed,
        "fingerprint": study.config.data.fingerprint,
    }


def _kept(folder: Path, made_from: dict[str, Any]) -> Evaluation | None:
    path = folder / "record.json"
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    return Evaluation.model_validate(record["evaluation"]) if record["made_from"] == made_from else None
