"""Boosted trees as a model of the gain: one node of the graph, for runtimes that have ``TreeEnsembleRegressor``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from pydantic import BaseModel, ConfigDict

Floats = npt.NDArray[np.float64]

ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 1
TREES, DEPTH, RATE, SUBSAMPLE, SMALLEST_LEAF = 24, 2, 0.12, 0.7, 15
"""Few and shallow: a few hundred images support no more, and the file may grow by 20 KiB at most."""
LEAF = -1


class Tree(BaseModel):
    """Nodes by number, the root first: a value of ``feature`` up to ``threshold`` goes ``left``, a larger one right.

    A leaf has the feature -1, and its ``value`` adds to the prediction.
    """

    model_config = ConfigDict(frozen=True)

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def predict(self, values: Floats) -> Floats:
        """Return the value [N] of the leaf that each row of ``values`` [N, F] comes to."""
        feature, threshold = np.asarray(self.feature), np.asarray(self.threshold)
        left, right = np.asarray(self.left), np.asarray(self.right)
        rows, node = np.arange(len(values)), np.zeros(len(values), np.int64)
        while (feature[node] != LEAF).any():
            goes_left = values[rows, np.maximum(feature[node], 0)] <= threshold[node]
            node = np.where(feature[node] == LEAF, node, np.where(goes_left, left[node], right[node]))
        return np.asarray(self.value)[node]


def boosted_trees(features: Floats, gain: Floats, seed: int) -> tuple[Tree, ...]:
    """Fit trees to standardised features [N, F]; a leaf alone, the first, is the mean gain."""
    from sklearn.ensemble import GradientBoostingRegressor

    fitted = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        subsample=SUBSAMPLE,
        min_samples_leaf=SMALLEST_LEAF,
        random_state=seed,
    ).fit(features, gain)
    mean = Tree(feature=(LEAF,), threshold=(0.0,), left=(0,), right=(0,), value=(float(gain.mean()),))
    return mean, *(_tree(each[0].tree_, RATE) for each in fitted.estimators_)


def tree_node(trees: tuple[Tree, ...], given: str, made: str) -> onnx.NodeProto:
    """Return the node that gives the sum of all trees, ``made`` [N, 1], for ``given`` [N, F]."""
    sizes = [len(tree.feature) for tree in trees]
    numbers = [(tree, node) for tree, size in enumerate(sizes) for node in range(size)]
    leaves = [(tree, node) for tree, node in numbers if trees[tree].feature[node] == LEAF]
    modes = ["LEAF" if trees[tree].feature[node] == LEAF else "BRANCH_LEQ" for tree, node in numbers]
    attributes: dict[str, Any] = {
        "n_targets": 1,
        "nodes_treeids": [tree for tree, _ in numbers],
        "nodes_nodeids": [node for _, node in numbers],
        "nodes_featureids": [max(trees[tree].feature[node], 0) for tree, node in numbers],
        "nodes_values": [trees[tree].threshold[node] for tree, node in numbers],
        "nodes_modes": modes,
        "nodes_truenodeids": [trees[tree].left[node] for tree, node in numbers],
        "nodes_falsenodeids": [trees[tree].right[node] for tree, node in numbers],
        "target_treeids": [tree for tree, _ in leaves],
        "target_nodeids": [node for _, node in leaves],
        "target_ids": [0] * len(leaves),
        "target_weights": [trees[tree].value[node] for tree, node in leaves],
    }
    return helper.make_node("TreeEnsembleRegressor", [given], [made], domain=ML_DOMAIN, **attributes)


def _tree(tree: Any, rate: float) -> Tree:
    """Return scikit-learn's tree with its thresholds as FP32, rounded down: ``x <= t`` then stays what it was."""
    inner = tree.children_left != LEAF
    exact = np.where(inner, tree.threshold, 0.0)
    rounded = exact.astype(np.float32)
    rounded = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return Tree(
        feature=tuple(np.where(inner, tree.feature, LEAF).tolist()),
        threshold=tuple(rounded.astype(float).tolist()),
        left=tuple(np.where(inner, tree.children_left, 0).tolist()),
        right=tuple(np.where(inner, tree.children_right, 0).tolist()),
        value=tuple(np.where(inner, 0.0, rate * tree.value[:, 0, 0]).tolist()),
    )
