"""The phantoms that routing is judged on were fixed before the router was written, and stay as they were."""

from __future__ import annotations

import hashlib
import json

import pytest

from ussearch.datasets import PhantomParameters
from ussearch.datasets.phantoms import GENERATOR_VERSION, make_phantom

VERSION = 1
PARAMETERS = "28129f060acb026034cd5533784a86de0f16960f5c5ad400078ec53e2520aae7"
"""SHA-256 of the default parameters as JSON with sorted keys."""
SEEN = [(453963, 83), (356100, 351), (475449, 0), (358479, 247)]
"""Sums of the grey levels and of the mask of the first phantoms at 64 pixels."""


def test_default_phantoms_are_those_of_before_the_router() -> None:
    text = json.dumps(PhantomParameters().model_dump(mode="json"), sort_keys=True)
    assert (GENERATOR_VERSION, hashlib.sha256(text.encode()).hexdigest()) == (VERSION, PARAMETERS)


def test_the_generator_makes_the_same_pixels() -> None:
    phantoms = [make_phantom(PhantomParameters(image_size=64), index) for index in range(len(SEEN))]
    # NOTE: another processor may round single pixels differently, so sums are compared, not digests
    assert [float(each.image.sum()) for each in phantoms] == pytest.approx([grey for grey, _ in SEEN], rel=1e-4)
    assert [float(each.mask.sum()) for each in phantoms] == pytest.approx([mask for _, mask in SEEN], abs=1)
