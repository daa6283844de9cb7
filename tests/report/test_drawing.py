"""Drawings of architectures: every block is there, nothing covers anything."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest

from tests.studies.conftest import SPACE
from ussearch.report.drawing import boxes, cells, draw
from ussearch.search_spaces import Architecture, Block, load_preset, preset_names

Rectangle = tuple[float, float, float, float]
NETWORKS = [load_preset(name).architecture for name in preset_names()] + [SPACE.sample(seed) for seed in range(12)]


def rectangles(svg: ElementTree.Element) -> list[Rectangle]:
    """Return left, top, right, bottom of every block."""
    found = []
    for each in svg.iter("rect"):
        x, y, width, height = (float(each.attrib[name]) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda each: each.name or each.id)
def test_blocks_lie_beside_each_other_and_inside(architecture: Architecture) -> None:
    svg = ElementTree.fromstring(draw(architecture))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    drawn = rectangles(svg)
    for one, other in itertools.combinations(drawn, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    assert all(x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height for x1, y1, x2, y2 in drawn)


@pytest.mark.parametrize("architecture", NETWORKS, ids=lambda each: each.name or each.id)
def test_every_stage_level_and_skip_is_drawn(architecture: Architecture) -> None:
    labels = [box.label for box in boxes(architecture)]
    assert sum(label.startswith("stage") for label in labels) == len(architecture.stages)
    assert sum(label.startswith("level") for label in labels) == len(architecture.decoder)
    svg = ElementTree.fromstring(draw(architecture))
    skips = [path for path in svg.iter("path") if path.get("class") == "skip"]
    assert len(skips) == sum(level.skip is not None for level in architecture.decoder)


def test_equal_blocks_are_one_cell() -> None:
    blocks = (Block(kind="conv", width=16), Block(kind="conv", width=16), Block(kind="conv", width=32, stride=2))
    assert [(cell.title, cell.detail) for cell in cells(blocks)] == [("2 × conv", "16 k3"), ("conv", "32 k3 s2")]


def test_names_are_escaped() -> None:
    evil = NETWORKS[0].model_copy(update={"name": '"><script>'})
    assert "<script>" not in draw(evil)
    ElementTree.fromstring(draw(evil))
