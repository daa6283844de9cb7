"""What a run is asked for, and the sizes of what nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field

from ussearch.errors import UserError
from ussearch.registry import nearest_names
from ussearch.studies.config import EvaluatorName
from ussearch.studies.samplers import SAMPLERS
from ussearch.studies.storage_url import require_driver

MOST_USUAL_WORKERS = 4
"""More of them draft so far ahead of what is known that a search of some dozen trials learns little."""
FINAL_TO_SEARCH_EPOCHS = 4
"""Full length in multiples of the length in the search, where only the latter was chosen."""


class RunRequest(BaseModel):
    """A run as the user asks for it; None leaves the choice to ``sizes_for``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    cloud_profile: str = "x86-server"
    profiles_dir: Path | None = None
    data: Path | None = None
    """None: the built-in phantoms."""
    phantoms: int = 300
    reader: str | None = None
    split_file: Path | None = None
    study: Path | None = None
    resume: bool = False
    out: Path | None = None
    """Folder of the bundle; None: inside the study."""
    trials: int | None = None
    epochs: int | None = None
    final_epochs: int | None = None
    final_seeds: int | None = None
    """Random starts of the full training of each network of the pair; None: two for data, where the budget allows."""
    halving: bool = False
    """Whether candidates are trained in brackets, the worse ones stopped early."""
    image_size: int | None = None
    recipe: Path | None = None
    """YAML with fields of ``evaluators.Recipe``; its ``epochs`` count unless ``epochs`` is given."""
    budget_seconds: float | None = None
    """Time for all training; without ``trials`` it decides how many there are."""
    seed_presets: tuple[str, ...] | None = None
    edge_share: float = 0.5
    offload_share: float | None = None
    """Share of images that may go to the cloud; None: the usual one where routing is worthwhile, else none."""
    compress: bool = True
    """Whether the edge network goes through the chain of compression."""
    sampler: str = "nsgaii"
    evaluator: str = "train"
    """How candidates are judged: train, shared or auto (``config.EvaluatorName``)."""
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    """Intra-op threads of each worker; 0: they share all cores."""
    workers: int | None = None
    """Trials evaluated at a time; None: what ``with_usual_workers`` says."""
    ray: str | None = None
    """Address of the Ray cluster that evaluates them; None: this machine."""
    storage: str | None = Field(default=None, repr=False)
    """URL of the database; None: a file in the study's folder. It may hold a password: never print it."""
    trial_timeout_seconds: float | None = None
    """Longest that one trial may take; None: a generous multiple of what is predicted."""

    def worker_threads(self, cores: int) -> int:
        """Return the intra-op threads of one worker: an equal share of the cores, one on a cluster."""
        if self.threads or self.ray is not None:
            return self.threads or 1
        return max(1, cores // self.trials_at_a_time)

    @property
    def trials_at_a_time(self) -> int:
        """The workers, where they are decided; else 1."""
        return self.workers or 1


@dataclass(frozen=True)
class Sizes:
    """How much a run trains; ``image_size`` in pixels a side."""

    trials: int
    epochs: int
    final_epochs: int
    image_size: int
    final_seeds: int


PHANTOM_SIZES = Sizes(trials=11, epochs=2, final_epochs=10, image_size=128, final_seeds=1)
"""Small: phantoms are there to try the program in minutes. Five presets and six samples; 82 steps each tell
candidates apart, the rest of the time goes to the pair, which gains from every further epoch."""
DATA_SIZES = Sizes(trials=40, epochs=25, final_epochs=100, image_size=256, final_seeds=2)


def sizes_for(request: RunRequest) -> Sizes:
    """Return the sizes asked for, the others by what the data is."""
    usual = PHANTOM_SIZES if request.data is None else DATA_SIZES
    epochs = usual.epochs if request.epochs is None else request.epochs
    final = usual.final_epochs if request.epochs is None else FINAL_TO_SEARCH_EPOCHS * epochs
    return Sizes(
        trials=usual.trials if request.trials is None else request.trials,
        epochs=epochs,
        final_epochs=final if request.final_epochs is None else request.final_epochs,
        image_size=usual.image_size if request.image_size is None else request.image_size,
        final_seeds=usual.final_seeds if request.final_seeds is None else request.final_seeds,
    )


def with_usual_workers(request: RunRequest, cores: int, *, on_gpu: bool) -> RunRequest:
    """Return the request with workers, where it names none.

    On a processor there is a worker for each of ``cores``, up to four: two networks side by side train in less than
    half the time of one after the other on both cores (``docs/results/workers.md``). On a GPU, on a Ray cluster and
    where threads were asked for there is one.
    """
    if request.workers is not None:
        return request
    if on_gpu or request.ray is not None or request.threads:
        return request.model_copy(update={"workers": 1})
    return request.model_copy(update={"workers": max(1, min(cores, MOST_USUAL_WORKERS))})


def check_request(request: RunRequest) -> None:
    """Raise UserError for the first number that cannot be meant."""
    for name, least in (("trials", 1), ("epochs", 1), ("final_epochs", 1), ("final_seeds", 1), ("phantoms", 40)):
        value = getattr(request, name)
        if value is not None and value < least:
            option = name.replace("_", "-")
            raise UserError(f"--{option} {value} is not possible: expected at least {least}.")
    for name in ("edge_share", "offload_share"):
        value = getattr(request, name)
        if value is not None and not 0 <= value <= 1:
            raise UserError(f"--{name.replace('_', '-')} {value} is not possible: expected a share from 0 to 1.")
    if request.seed < 0 or request.threads < 0:
        raise UserError("--seed and --threads cannot be negative: expected whole numbers from 0.")
    if request.budget_seconds is not None and request.budget_seconds < 1:
        raise UserError(f"--budget of {request.budget_seconds:g} s is not possible: expected a time such as 30m or 2h.")
    _check_workers(request)
    _check_evaluator(request)
    if request.sampler not in SAMPLERS:
        raise UserError(f"Unknown sampler {request.sampler!r}: {nearest_names(request.sampler, list(SAMPLERS))}")


def _check_workers(request: RunRequest) -> None:
    """Raise UserError for workers, a time limit or a database that cannot be meant."""
    if request.workers is not None and request.workers < 1:
        raise UserError(f"--workers {request.workers} is not possible: expected at least 1.")
    limit_s = request.trial_timeout_seconds
    if limit_s is not None and limit_s < 1:
        raise UserError(f"--trial-timeout of {limit_s:g} s is not possible: expected a time such as 30m or 2h.")
    if request.storage is not None:
        require_driver(request.storage)


def _check_evaluator(request: RunRequest) -> None:
    names = get_args(EvaluatorName)
    if request.evaluator not in names:
        raise UserError(f"Unknown evaluator {request.evaluator!r}: {nearest_names(request.evaluator, list(names))}")
    if request.evaluator != "train" and request.halving:
        raise UserError(
            f"--halving and --evaluator {request.evaluator} are two ways to train less: give one of the two."
        )
