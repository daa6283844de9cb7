"""Near-duplicates and groups against brute force."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ussearch.datasets import grouping
from ussearch.datasets.grouping import groups_of, joined, members, similar_pairs, thumbnail


def scene(seed: int, height: int = 90, width: int = 120) -> np.ndarray:
    coarse = np.random.default_rng(seed).normal(size=(10, 12))
    return np.clip(np.kron(coarse, np.ones((height // 10, width // 12))) * 40 + 128, 0, 255).astype(np.uint8)


def test_thumbnail_is_a_centred_unit_vector_of_cell_means() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    cells = image.reshape(32, 2, 32, 3).mean(axis=(1, 3)).ravel()
    expected = (cells - cells.mean()) / np.linalg.norm(cells - cells.mean())
    assert np.abs(thumbnail(image) - expected).max() < 2e-3  # Pillow rounds cells to whole levels
    assert not thumbnail(np.full((50, 50), 9, np.uint8)).any()


def test_brightness_size_and_small_marks_do_not_hide_a_duplicate() -> None:
    image = scene(1)
    brighter = np.clip(image * 1.1 + 8, 0, 255).astype(np.uint8)
    larger = np.kron(image, np.ones((2, 2), np.uint8))
    marked = image.copy()
    marked[40:44, 50:54] = 255
    thumbnails = np.stack([thumbnail(picture) for picture in (image, brighter, larger, marked, scene(2))])
    pairs = {tuple(pair) for pair in similar_pairs(thumbnails, grouping.DUPLICATE_CORRELATION).tolist()}
    assert pairs == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}


def test_blocks_give_the_same_pairs_as_one_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = np.argwhere(np.triu(vectors @ vectors.T, 1) > 0.7)
    monkeypatch.setattr(grouping, "_BLOCK", 7)
    assert sorted(map(tuple, similar_pairs(vectors, 0.7))) == sorted(map(tuple, whole))


@given(st.integers(1, 30), st.data())
def test_union_find_gives_connected_components(count: int, data: st.DataObject) -> None:
    node = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=40))
    graph = networkx.Graph(pairs)
    graph.add_nodes_from(range(count))
    groups = joined(count, pairs)
    for component in networkx.connected_components(graph):
        assert len({groups[item] for item in component}) == 1
    assert len(set(groups)) == networkx.number_connected_components(graph)
    assert sorted(map(sorted, members(groups))) == sorted(
        sorted(component) for component in networkx.connected_components(graph) if len(component) > 1
    )


def test_patients_and_near_duplicates_chain() -> None:
    same, other = thumbnail(scene(1)), thumbnail(scene(2))
    groups = groups_of(np.stack([same, other, same, thumbnail(scene(3))]), ["a", "b", "b", None])
    assert groups[0] == groups[1] == groups[2] != groups[3]
