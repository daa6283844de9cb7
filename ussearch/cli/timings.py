"""``ussearch run --timings``: where the time of a run went."""

from __future__ import annotations

from rich.table import Table

from ussearch.cli.console import console
from ussearch.cli.tables import counted
from ussearch.pipeline import Delivery
from ussearch.studies.timings import TRAINING_STAGES, SearchTimings


def print_timings(delivery: Delivery) -> None:
    """Print the stages of a run, and within the search what the driver and the workers did."""
    total = sum(delivery.seconds.values())
    table = _table("Timings", "wall-clock s")
    for stage, seconds in delivery.seconds.items():
        _add(table, stage, seconds, total)
        if stage == "search" and delivery.search_timings is not None:
            for activity, spent in delivery.search_timings.driver_s.items():
                _add(table, f"  driver: {activity}", spent, total)
    _add(table, "all", total, total)
    console.print(table)
    if delivery.search_timings is None or delivery.outside_training is None:
        return
    console.print(_workers(delivery.search_timings))
    console.print(
        f"Outside training and evaluation: {delivery.outside_training:.1%} of the run's time "
        f"({', '.join(TRAINING_STAGES)} and what the search trains and evaluates are inside)."
    )


def _workers(timings: SearchTimings) -> Table:
    total = timings.workers * timings.wall_s
    table = _table(f"The search's time of {counted(timings.workers, 'worker')}", "worker-seconds")
    _add(table, "training and evaluating", timings.evaluation_s, total)
    _add(table, "starting", timings.starting_s, total)
    _add(table, "waiting for a draft", timings.lacking_s, total)
    _add(table, "sending results, waiting for the driver", timings.moving_s, total)
    _add(table, "nothing left to do", timings.ending_s, total)
    return table


def _table(title: str, unit: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column(unit, justify="right")
    table.add_column("share", justify="right")
    return table


def _add(table: Table, name: str, seconds: float, total: float) -> None:
    table.add_row(name, f"{seconds:.1f}", f"{seconds / total:.1%}" if total else "–")
