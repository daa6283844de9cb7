"""A study is a folder: everything reads from it, nothing finished in it is ever lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from ussearch import logs, schema
from ussearch.datasets import ImageSet, Split
from ussearch.errors import UserError
from ussearch.evaluators import Evaluation, PretrainedStart, Summary, Tier
from ussearch.evaluators.inheritance import Relative
from ussearch.evaluators.pretrained import header
from ussearch.files import write_atomically
from ussearch.search_spaces import Architecture, Network, build
from ussearch.studies.config import FullLength, StudyConfig
from ussearch.studies.continuation import require_same_study
from ussearch.studies.damage import intact
from ussearch.studies.front import front
from ussearch.studies.locking import held
from ussearch.studies.records import TrialRecord

REPEAT = "restore it, or delete its folder to have the trial repeated"
LOCK, SPLIT = "lock.json", "split.json"


class Study:
    """The folder of one search.

    ``study.yaml`` (configuration), ``split.json``, ``baselines.json``, ``study.db`` (Optuna), ``log.txt`` and one
    folder a trial: ``trials/0007/`` with ``architecture.yaml``, ``weights.safetensors`` and ``record.json``, which is
    written last: a trial without it never finished. ``traceback.txt`` tells why a worker of the trial was lost.
    """

    def __init__(self, folder: Path, config: StudyConfig) -> None:
        """Use ``create``, ``open`` or ``resume``."""
        self.folder, self.config = folder, config

    @staticmethod
    def exists(folder: Path) -> bool:
        """Return whether a study lies in ``folder``; raises UserError where that cannot be read."""
        try:
            return (folder / "study.yaml").is_file()
        except OSError as error:
            raise UserError(f"Cannot read {folder}: {error.strerror}; choose a folder that can be read.") from error

    @classmethod
    def refuse_existing(cls, folder: Path) -> None:
        """Raise UserError where a new study would overwrite one."""
        if cls.exists(folder):
            raise UserError(
                f"{folder} holds a study already: add --resume to continue it, or name another folder for --study."
            )

    @classmethod
    def create(cls, folder: Path, config: StudyConfig, split: Split, image_set: ImageSet | None = None) -> Study:
        """Make a new study; ``image_set`` lets the split name its images.

        Raises UserError where the folder holds a study already or cannot be written.
        """
        cls.refuse_existing(folder)
        write_atomically(folder / SPLIT, schema.SPLIT.to_json(split.to_record(image_set), indent=1))
        study = cls(folder, config)
        study._write_config()
        return study

    @classmethod
    def open(cls, folder: Path) -> Study:
        """Open a study to read from it, while it runs or later; raises UserError where there is none."""
        path = folder / "study.yaml"
        if not cls.exists(folder):
            raise UserError(f"{folder} holds no study (no study.yaml): expected the folder given to --study.")
        return cls(folder, StudyConfig.from_yaml(_text(path), str(path)))

    @classmethod
    @contextmanager
    def driven(cls, folder: Path) -> Iterator[Study]:
        """Open a study and be its only driver for the block.

        Raises UserError where there is no study, or another driver is alive.
        """
        cls.open(folder)
        with held(folder / LOCK), logged(folder):
            yield cls.open(folder)

    @classmethod
    def resume(cls, folder: Path, config: StudyConfig) -> Study:
        """Open a study to continue it to ``config.trials`` trials.

        Raises UserError where it was made from other data or with other settings than ``config`` asks for.
        """
        study = cls.open(folder)
        require_same_study(study.config, config, str(folder))
        if config.trials != study.config.trials:
            study.config = study.config.changed(search={"trials": config.trials})
            study._write_config()
        return study

    def end_at(self, trials: int) -> None:
        """Keep how many trials there are in all: the time of the search is used up."""
        self.config = self.config.changed(search={"trials": trials})
        self._write_config()

    def lengthen(self, lengths: Mapping[Tier, FullLength]) -> None:
        """Keep how long each end of the pair is trained, as the time that is left allows."""
        edge, cloud = lengths["edge"], lengths["cloud"]
        changed = self.config.changed(training={"final_epochs": edge.epochs, "final_restarts": edge.restarts})
        self.config = changed.model_copy(update={"cloud_length": None if cloud == edge else cloud})
        self._write_config()

    @property
    def split(self) -> Split:
        """The split that every trial used."""
        path = self.folder / SPLIT
        with intact(path, "restore it from a copy: no other split gives the same figures"):
            return Split.from_record(schema.SPLIT.from_json(_text(path), str(path)))

    @property
    def baselines(self) -> dict[str, Summary]:
        """Figures of the trivial baselines on the validation part; empty before the search has begun."""
        path = self.folder / "baselines.json"
        if not path.exists():
            return {}
        with intact(path, "delete it, and the same command with --resume makes it again"):
            found: dict[str, Summary] = schema.BASELINES.from_json(_text(path), str(path))
        return found

    def keep_baselines(self, baselines: dict[str, Summary]) -> None:
        """Write the trivial baselines' figures."""
        write_atomically(self.folder / "baselines.json", schema.BASELINES.to_json(baselines, indent=1))

    def trials(self) -> tuple[TrialRecord, ...]:
        """Return every finished trial, by trial id."""
        return tuple(_record(path) for path in sorted((self.folder / "trials").glob("*/record.json")))

    def trial(self, trial_id: int) -> TrialRecord:
        """Return one finished trial; raises UserError naming those that there are."""
        path = self.trial_folder(trial_id) / "record.json"
        if not path.exists():
            known = ", ".join(str(record.trial_id) for record in self.trials()) or "none yet"
            raise UserError(f"{self.folder} has no finished trial {trial_id}: finished are {known}.")
        return _record(path)

    def front(self, tier: Tier = "edge", feasible_only: bool = False) -> tuple[TrialRecord, ...]:
        """Return the front of the finished trials (see ``front.front``)."""
        return front(self.trials(), tier, feasible_only, self.baselines)

    def trial_folder(self, trial_id: int) -> Path:
        """Return the folder of a trial."""
        return self.folder / "trials" / f"{trial_id:04d}"

    def checkpoint(self, trial_id: int) -> Path:
        """Return where the training of a trial is kept while it is stopped."""
        return self.trial_folder(trial_id) / "checkpoint.safetensors"

    def architecture(self, trial_id: int) -> Architecture:
        """Return the architecture of a trial."""
        path = self.trial_folder(trial_id) / "architecture.yaml"
        return Architecture.from_yaml(_text(path), str(path))

    def network(self, trial_id: int) -> Network:
        """Return the trained network of a trial, in training form and evaluation mode, on the CPU."""
        network, weights = build(self.architecture(trial_id)), self.weights(trial_id)
        with intact(self.weights_file(trial_id), REPEAT):
            network.load_state_dict(weights)
        return network.eval()

    def drop_weights(self, trial_id: int) -> None:
        """Delete the weights of a trial from which nothing starts any more."""
        self.weights_file(trial_id).unlink(missing_ok=True)

    def has_weights(self, trial_id: int) -> bool:
        """Return whether the weights of a trial are there: a search deletes those of beaten trials without children."""
        return self.weights_file(trial_id).is_file()

    def weights(self, trial_id: int) -> dict[str, Tensor]:
        """Return the trained weights of a trial, in training form; raises UserError where it has none."""
        from safetensors.torch import load_file

        path = self.weights_file(trial_id)
        if not path.exists():
            raise UserError(
                f"Trial {trial_id} of {self.folder} has no weights ({path.name}): it failed, or was beaten and its "
                "weights were deleted; choose one on the front."
            )
        with intact(path, REPEAT):
            return load_file(path)

    def weights_file(self, trial_id: int) -> Path:
        """Return where the weights of a trial lie, or lay."""
        return self.trial_folder(trial_id) / "weights.safetensors"

    def relative(self, trial_id: int) -> Relative:
        """Return a trial as what another network starts from."""
        record, architecture = self.trial(trial_id), self.architecture(trial_id)
        start = self._start_of(record.evaluation, architecture)
        origins = () if start is None else start.origins
        return Relative(trial_id, record.evaluation.age_epochs, architecture, self.weights(trial_id), origins)

    def start_of(self, trial_id: int) -> PretrainedStart | None:
        """Return what a trial began with that others trained, through all of its relatives; None from scratch."""
        return self._start_of(self.trial(trial_id).evaluation, self.architecture(trial_id))

    def _start_of(self, evaluation: Evaluation, architecture: Architecture) -> PretrainedStart | None:
        if evaluation.inherited is not None:
            return self.start_of(evaluation.inherited.relative)
        return self.config.pretrained.of(architecture) if evaluation.pretrained else None

    def keep(self, record: TrialRecord, architecture: Architecture) -> None:
        """Write a finished trial; the record comes last and makes it count."""
        from safetensors.torch import save

        folder = self.trial_folder(record.trial_id)
        write_atomically(folder / "architecture.yaml", architecture.to_yaml())
        if record.evaluation.weights is not None:
            weights = {name: value.contiguous() for name, value in record.evaluation.weights.items()}
            start = self._start_of(record.evaluation, architecture)
            origins = () if start is None else start.origins
            write_atomically(self.weights_file(record.trial_id), save(weights, header(origins)))
        write_atomically(folder / "record.json", schema.TRIAL.to_json(record, indent=1))

    def _write_config(self) -> None:
        write_atomically(self.folder / "study.yaml", self.config.to_yaml())


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Add what the package says in the block to ``log.txt`` of the study in ``folder``; for the holder of its lock."""
    with logs.listening(logs.LogFile(folder / "log.txt", begun=folder / "study.yaml"), logging.INFO):
        yield


def _record(path: Path) -> TrialRecord:
    with intact(path, REPEAT):
        return TrialRecord.model_validate(schema.TRIAL.from_json(_text(path), str(path)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path} ({error}): restore it, or start another study.") from error
