"""A bundle on other data, and at another operating point, from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import ussearch
from ussearch.errors import UserError


def test_evaluate_returns_the_cards_figures(finished: ussearch.Bundle, data_folder: Path) -> None:
    found = ussearch.Bundle.load(finished.folder).evaluate(data_folder)
    assert found.metrics.images == 32 and found.counts.parts["test"].lesions == 24
    assert found.own_images is not None and sum(found.own_images.values()) == 32
    assert "32 of the 32 images are those that the bundle was made from" in found.warnings[0]


def test_another_operating_point(finished: ussearch.Bundle, data_folder: Path, tmp_path: Path) -> None:
    bundle = ussearch.Bundle.load(finished.folder)
    made = bundle.at_threshold(tmp_path / "new", data_folder, sensitivity=0.5)
    assert isinstance(made, ussearch.Bundle) and made.manifest.parent is not None
    assert made.manifest.postprocessing is not None and made.manifest.postprocessing.edge.presence is not None
    with pytest.raises(UserError, match="give either"):
        bundle.at_threshold(tmp_path / "other", data_folder)
