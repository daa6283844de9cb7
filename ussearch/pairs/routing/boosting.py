"""Boosted trees as a model of the gain: one node of the graph, for runtimes that have ``TreeEnsembleRegressor``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from ussearch.regression_tree import LEAF, RegressionTree

Floats = npt.NDArray[np.float64]

ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 1
TREES, DEPTH, RATE, SUBSAMPLE, SMALLEST_LEAF = 24, 2, 0.12, 0.7, 15
"""Few and shallow: a few hundred images support no more, and the file may grow by 20 KiB at most."""


def boosted_trees(features: Floats, gain: Floats, seed: int) -> tuple[RegressionTree, ...]:
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
    trees = (RegressionTree.from_sklearn(each[0].tree_, RATE, _fp32_down, np.asarray) for each in fitted.estimators_)
    return RegressionTree.constant(float(gain.mean())), *trees


def tree_node(trees: tuple[RegressionTree, ...], given: str, made: str) -> onnx.NodeProto:
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


def _fp32_down(threshold: Floats) -> Floats:
    """Return thresholds as FP32 has them, rounded down: ``x <= t`` then stays what it was."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float64)
