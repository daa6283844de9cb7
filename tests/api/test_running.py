"""``ussearch.run``, and what the package offers at its top."""

from __future__ import annotations

import typing

import pytest

import ussearch
from ussearch.api.options import RunOptions
from ussearch.studies.request import RunRequest


def test_options_are_those_of_a_run() -> None:
    assert set(typing.get_type_hints(RunOptions)) == set(RunRequest.model_fields) - {"profile"}


@pytest.mark.parametrize("name", sorted(RunRequest.model_fields))
def test_every_option_may_be_as_it_is_by_default(name: str) -> None:
    """A default of None is no type error for who passes it on."""
    if RunRequest.model_fields[name].default is None:
        assert type(None) in typing.get_args(typing.get_type_hints(RunOptions)[name])


def test_wrong_options_are_said_in_a_sentence() -> None:
    with pytest.raises(ussearch.UserError, match=r"run has no option 'datum': did you mean data"):
        ussearch.run("jetson-nano", datum="x")  # type: ignore[call-arg]  # the mistake of the test
    with pytest.raises(ussearch.UserError, match=r"run is not a run as asked for: trials: .* valid integer"):
        ussearch.run("jetson-nano", trials="many")  # type: ignore[arg-type]  # the mistake of the test
    with pytest.raises(ussearch.UserError, match="did you mean jetson-nano"):
        ussearch.run("jetson-nanno")


def test_the_package_names_what_it_offers() -> None:
    assert {"run", "Study", "Bundle", "UserError"} <= set(dir(ussearch))
    assert all(getattr(ussearch, name).__doc__ for name in ussearch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Stduy'"):
        _ = ussearch.Stduy
