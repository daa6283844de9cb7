"""The options of ``ussearch.run`` for editors and type checkers: the fields of ``studies.request.RunRequest``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict


class RunOptions(TypedDict, total=False):
    """What a run may be told besides its profile; what is left out, the program chooses.

    Meanings are those of ``ussearch run --help`` and of ``RunRequest``.
    """

    cloud_profile: str
    profiles_dir: Path | str | None
    data: Path | str | None
    phantoms: int
    reader: str | None
    split_file: Path | str | None
    study: Path | str | None
    resume: bool
    out: Path | str | None
    trials: int | None
    epochs: int | None
    final_epochs: int | None
    final_seeds: int | None
    halving: bool
    image_size: int | None
    recipe: Path | str | None
    budget_seconds: float | None
    seed_presets: Sequence[str] | None
    edge_share: float
    offload_share: float | None
    compress: bool
    sampler: str
    evaluator: str
    seed: int
    device: str
    threads: int
    workers: int | None
    ray: str | None
    storage: str | None
    trial_timeout_seconds: float | None
