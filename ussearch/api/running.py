"""The whole road from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ussearch import pipeline
from ussearch.api.study import Outcome
from ussearch.events import OnEvent, ignore
from ussearch.run_config import RunConfig
from ussearch.run_options import config_from, renamed_options
from ussearch.studies.paths import asked_before


def run(
    profile: str | None = None,
    *,
    config: RunConfig | Path | str | None = None,
    on_event: OnEvent = ignore,
    **options: Any,
) -> Outcome:
    """Search for the device ``profile``, train the best pair at full length, export and verify it.

    ``options`` are those of ``ussearch run`` by their keywords, such as ``data``, ``trials``, ``study``, or sections of
    ``RunConfig``, such as ``training={"epochs": 20}``; without ``data`` it works on the built-in phantoms. ``config``
    is a ``RunConfig``, or a file of ``ussearch config``, over which ``options`` count more. ``on_event`` is told what
    happens (``ussearch.events``). Raises UserError for anything that cannot be done, in one sentence.

    >>> import ussearch
    >>> outcome = ussearch.run("jetson-nano", data="images", study="studies/mine")  # doctest: +SKIP
    >>> outcome.bundle.predict("scan.png").save("mask.png")  # doctest: +SKIP
    >>> ussearch.run("jetson-nano", trails=4)
    Traceback (most recent call last):
    ussearch.errors.UserError: run has no option 'trails': did you mean trials or threads or pretrained?
    """
    asked: dict[str, Any] = renamed_options(options)
    if profile is not None:
        asked["profile"] = profile
    if config is None:
        known = config_from(asked, base=asked_before(asked.get("study"), bool(asked.get("resume"))), place="")
    elif isinstance(config, RunConfig):
        known = config_from(asked, base=config.given(), place="")
    else:
        known = config_from(asked, Path(config), place="")
    return Outcome.of(pipeline.run(known, on_event))
