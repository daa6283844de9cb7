"""``ussearch.run``, and what the package offers at its top."""

from __future__ import annotations

import pytest

import ussearch


def test_wrong_options_are_said_in_a_sentence() -> None:
    with pytest.raises(ussearch.UserError, match=r"run has no option 'datum': did you mean data"):
        ussearch.run("jetson-nano", datum="x")  # type: ignore[call-arg]  # the mistake of the test
    with pytest.raises(ussearch.UserError, match=r"trials many is not possible: .* valid integer"):
        ussearch.run("jetson-nano", trials="many")  # type: ignore[arg-type]  # the mistake of the test
    with pytest.raises(ussearch.UserError, match=r"no key 'training\.epoch' in a run: did you mean training\.epochs"):
        ussearch.run("jetson-nano", training={"epoch": 3})
    with pytest.raises(ussearch.UserError, match="did you mean jetson-nano"):
        ussearch.run("jetson-nanno")


def test_the_package_names_what_it_offers() -> None:
    assert {"run", "Study", "Bundle", "UserError"} <= set(dir(ussearch))
    assert all(getattr(ussearch, name).__doc__ for name in ussearch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Stduy'"):
        _ = ussearch.Stduy
