"""A study as a Python object, and the outcome of finishing one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ussearch import pipeline, studies
from ussearch.api.bundle import Bundle
from ussearch.deprecations import renamed_arguments
from ussearch.evaluators import Tier
from ussearch.events import OnEvent, ignore
from ussearch.pairs import Pair
from ussearch.pairs.delivery.compression import CompressionRequest
from ussearch.pairs.delivery.export_pair import choose_pair
from ussearch.pairs.delivery.router_training import RoutingRequest
from ussearch.pairs.routing.policies import share_policy
from ussearch.report import write_report
from ussearch.studies.card import TrialCard, trial_card
from ussearch.studies.front_picture import front_picture
from ussearch.studies.pareto import ParetoReport, pareto_report
from ussearch.studies.plots import save_front


class Study(studies.Study):
    """The folder of a search, finished or running; nothing is cached, every call reads what is there.

    >>> import ussearch
    >>> study = ussearch.Study.load("study")
    >>> study
    Study('study': 3 of 6 trials, discs on jetson-nano)
    >>> [record.trial_id for record in study.front()]
    [1, 2]
    >>> study.best_pair().edge.number
    2
    >>> study.trial(2).evaluation.metrics["lesion_dice"]
    0.7
    """

    @classmethod
    def load(cls, folder: Path | str) -> Study:
        """Open the study in ``folder``; raises UserError where there is none."""
        found = studies.Study.open(Path(folder))
        return cls(found.folder, found.config)

    def __repr__(self) -> str:
        config = self.config
        counts = config.counted(len(self.trials()))
        return f"Study({str(self.folder)!r}: {counts}, {config.data.name} on {config.edge.name})"

    def pareto(self) -> ParetoReport:
        """Return the fronts and everything that they were chosen from, as ``ussearch pareto`` does.

        >>> import ussearch
        >>> report = ussearch.Study.load("study").pareto()
        >>> report.front, report.edge, report.cloud
        ((1, 2), (1, 2), (1, 2))
        >>> report.to_dict()["limits"]["edge"]["profile"]
        'jetson-nano'
        """
        return pareto_report(self)

    def table(self) -> list[dict[str, Any]]:
        """Return a row for every finished trial, those on the front first; ``pandas.DataFrame`` takes it as it is.

        >>> import ussearch
        >>> [(row["trial"], row["latency_ms"], row["on_front"]) for row in ussearch.Study.load("study").table()]
        [(1, 10.0, True), (2, 20.0, True), (0, 30.0, False)]
        """
        report = self.pareto()
        return [report.row(record) for record in report.ordered]

    def plot(self, out: Path | str) -> Path:
        """Draw the front into the file ``out`` (png, svg, pdf); raises UserError where nothing can be drawn."""
        save_front(front_picture(self.pareto()), Path(out))
        return Path(out)

    @renamed_arguments("ussearch.Study.show")
    def show(self, trial: int, tier: Tier = "edge") -> TrialCard:
        """Return one candidate in full, its milliseconds those of ``tier``, as ``ussearch show`` does.

        Raises UserError where no such trial has finished.

        >>> import ussearch
        >>> card = ussearch.Study.load("study").show(2)
        >>> card
        TrialCard(trial 2, 824b4e0b3e45, edge: ... ms)
        >>> abs(sum(card.milliseconds_by_part().values()) - card.prediction.latency_ms) < 1e-9
        True
        """
        return trial_card(self, trial, tier)

    def best_pair(self, edge: int | None = None, cloud: int | None = None) -> Pair:
        """Return the candidates that ``export`` would take; ``edge`` and ``cloud`` name trials instead.

        Raises UserError where none fits, or a named one is unknown, failed or outside the limits.
        """
        return choose_pair(self, edge, cloud)

    @property
    def bundle(self) -> Bundle:
        """The bundle that lies in the study; raises UserError where there is none."""
        return Bundle.load(self.folder / "bundle")

    def report(self, out: Path | str | None = None, data: Path | str | None = None, *, names: bool = False) -> Path:
        """Write the study's HTML report and return its path, ``report.html`` in the study unless ``out`` is given.

        ``data`` says where the images lie now, if they were moved; with ``names`` files, folders and classes are called
        by their names, else images are numbered. Raises UserError as ``report.write_report``.

        >>> import ussearch
        >>> ussearch.Study.load("study").report("page.html").stat().st_size > 1_000_000
        True
        """
        return write_report(self.folder, _path(out), _path(data), names=names)

    @renamed_arguments("ussearch.Study.export")
    def export(
        self,
        out: Path | str | None = None,
        *,
        edge: int | None = None,
        cloud: int | None = None,
        offload_share: float | None = None,
        compress: bool = True,
        budget_seconds: float | None = None,
        data: Path | str | None = None,
        accelerator: str = "auto",
        on_event: OnEvent = ignore,
    ) -> Outcome:
        """Train the best pair, or the named one, at full length and write its verified bundle, as ``ussearch export``.

        Args:
            out: folder of the bundle, ``bundle`` in the study unless given.
            edge, cloud: numbers of trials.
            offload_share: share of images that may go to the cloud, 0 to 1; None: the usual one where routing pays.
            compress: whether the edge network goes through the chain of compression, for ``budget_seconds`` at most.
            data: where the data set lies now, if it was moved.
            accelerator: ``auto``, ``cpu`` or ``cuda``, where training runs.
            on_event: is told what happens (``ussearch.events``).

        Raises UserError where a trial cannot serve, the data is gone, or ``out`` holds something else than a bundle.
        """
        spec = pipeline.ExportRequest(
            edge=edge,
            cloud=cloud,
            out=_path(out),
            routing=RoutingRequest(share_policy(offload_share), budget_seconds=0.0),
            compression=CompressionRequest(budget_seconds=budget_seconds) if compress else None,
        )
        done = pipeline.export(self.folder, spec, data=_path(data), accelerator=accelerator, on_event=on_event)
        return Outcome.of(done)


@dataclass(frozen=True, repr=False)
class Outcome(pipeline.Delivery):
    """What ``run`` and ``export`` end in: the study, its pair, the bundle, whether that was verified, and how it came.

    ``to_dict`` gives everything as JSON-ready data, the same that the commands print with ``--json``.
    """

    study: Study
    bundle: Bundle

    @classmethod
    def of(cls, delivery: pipeline.Delivery) -> Outcome:
        """Return the delivery with the study and the bundle of this interface."""
        found = {each.name: getattr(delivery, each.name) for each in fields(delivery)}
        return cls(
            **found | {"study": Study.load(delivery.study.folder), "bundle": Bundle.load(delivery.bundle.folder)}
        )

    def __repr__(self) -> str:
        verified = "verified" if self.verification.passed else "NOT verified"
        return f"Outcome({self.study!r}, {self.bundle!r}, {verified}, {sum(self.seconds.values()):.0f} s)"


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)
