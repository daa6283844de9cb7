"""A regression tree as plain numbers: read off scikit-learn's, kept in YAML and JSON, evaluated with numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator
from typing_extensions import Self

Floats = npt.NDArray[np.float64]
LEAF = -1


class RegressionTree(BaseModel):
    """Nodes by number, the root first: a value of ``feature`` up to ``threshold`` goes ``left``, a larger one right.

    A leaf has the feature -1, and its ``value`` is the prediction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    @model_validator(mode="after")
    def _leads_onward(self) -> Self:
        """Refuse trees that would loop: both children of a node come after it."""
        lengths = {len(self.feature), len(self.threshold), len(self.left), len(self.right), len(self.value)}
        inner = [index for index, feature in enumerate(self.feature) if feature >= 0]
        if len(lengths) != 1 or any(
            not index < child < len(self.feature) for index in inner for child in (self.left[index], self.right[index])
        ):
            raise ValueError("a tree's nodes must point to later nodes")
        return self

    @classmethod
    def constant(cls, value: float) -> Self:
        """Return the tree that is one leaf."""
        return cls(feature=(LEAF,), threshold=(0.0,), left=(0,), right=(0,), value=(value,))

    @classmethod
    def from_sklearn(
        cls,
        fitted: Any,
        rate: float,
        round_threshold: Callable[[Floats], Floats],
        round_value: Callable[[Floats], Floats],
    ) -> Self:
        """Return scikit-learn's tree (``tree_`` of a regressor), its leaves times ``rate``."""
        inner = fitted.children_left != LEAF
        value = np.where(inner, 0.0, rate * fitted.value.reshape(-1))
        return cls(
            feature=tuple(np.where(inner, fitted.feature, LEAF).tolist()),
            threshold=tuple(round_threshold(np.where(inner, fitted.threshold, 0.0)).tolist()),
            left=tuple(np.where(inner, fitted.children_left, 0).tolist()),
            right=tuple(np.where(inner, fitted.children_right, 0).tolist()),
            value=tuple(round_value(value).tolist()),
        )

    def predict(self, features: Floats) -> Floats:
        """Return the value [N] of the leaf that each row of ``features`` [N, F] comes to."""
        feature, threshold = np.asarray(self.feature), np.asarray(self.threshold)
        left, right = np.asarray(self.left), np.asarray(self.right)
        rows, node = np.arange(len(features)), np.zeros(len(features), np.int64)
        while (inner := feature[node] >= 0).any():
            goes_left = features[rows, np.maximum(feature[node], 0)] <= threshold[node]
            node = np.where(inner, np.where(goes_left, left[node], right[node]), node)
        return np.asarray(self.value)[node]
