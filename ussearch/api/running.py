"""The whole road from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ussearch import pipeline
from ussearch.api.study import Outcome
from ussearch.documents import validated
from ussearch.errors import UserError
from ussearch.events import OnEvent, ignore
from ussearch.registry import nearest_names
from ussearch.studies.request import RunRequest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ussearch.api.options import RunOptions


def run(profile: str, *, on_event: OnEvent = ignore, **options: Unpack[RunOptions]) -> Outcome:
    """Search for the device ``profile``, train the best pair at full length, export and verify it.

    ``options`` are those of ``ussearch run`` (``ussearch.api.options.RunOptions``), such as ``data``, ``trials``,
    ``study``; without ``data`` it works on the built-in phantoms. ``on_event`` is told what happens
    (``ussearch.events``). Raises UserError for anything that cannot be done, in one sentence.

    >>> import ussearch
    >>> outcome = ussearch.run("jetson-nano", data="images", study="studies/mine")  # doctest: +SKIP
    >>> outcome.bundle.predict("scan.png").save("mask.png")  # doctest: +SKIP
    >>> ussearch.run("jetson-nano", trails=4)
    Traceback (most recent call last):
    ussearch.errors.UserError: run has no option 'trails': did you mean trials or threads?
    """
    known = [name for name in RunRequest.model_fields if name != "profile"]
    for name in options:
        if name not in known:
            raise UserError(f"run has no option {name!r}: {nearest_names(name, known)}")
    request = validated(RunRequest, {"profile": profile, **options}, "run", "a run as asked for", "mend that option")
    return Outcome.of(pipeline.run(request, on_event))
