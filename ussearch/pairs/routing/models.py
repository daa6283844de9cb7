"""Models of the gain of the cloud over the edge: each is a few numbers that become nodes of the edge's graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from ussearch.pairs.routing.boosting import boosted_trees
from ussearch.registry import Registry
from ussearch.regression_tree import RegressionTree

Floats = npt.NDArray[np.float64]

FAR = 4.0
"""Standardised features are held within this many standard deviations: what lies beyond was never seen."""
RIDGE_PENALTIES = tuple(10.0**exponent for exponent in range(-1, 5))
HIDDEN = 8
MLP_PENALTY = 3.0
"""Of squared weights beside the squared error of standardised targets: with a few hundred images, mostly shrinkage."""


class Layer(BaseModel):
    """``x @ weights + bias`` with weights [inputs, outputs]; between two layers stands a ReLU."""

    model_config = ConfigDict(frozen=True)

    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]


class Fitted(NamedTuple):
    """What a kind of model learned: layers, or trees."""

    layers: tuple[Layer, ...] = ()
    trees: tuple[RegressionTree, ...] = ()


class GainModel(BaseModel):
    """Features [N, F] to the predicted gain [N] in Dice: standardise, hold within ``FAR``, layers or trees."""

    model_config = ConfigDict(frozen=True)

    kind: str
    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    layers: tuple[Layer, ...] = ()
    trees: tuple[RegressionTree, ...] = ()

    def predict(self, features: Floats) -> Floats:
        """Return the predicted gain [N]."""
        values = np.clip((features - np.asarray(self.mean)) / np.asarray(self.scale), -FAR, FAR)
        if self.trees:
            return np.asarray(sum(tree.predict(values) for tree in self.trees))
        for number, layer in enumerate(self.layers):
            values = np.maximum(values, 0) if number else values
            values = values @ np.asarray(layer.weights) + np.asarray(layer.bias)
        return np.asarray(values[:, 0])

    def for_network(self, features: Floats) -> GainModel:
        """Return the model standardised by what another network shows on images of its own, [N, F]."""
        mean, scale = moments(features)
        return self.model_copy(update={"mean": tuple(mean.tolist()), "scale": tuple(scale.tolist())})


Fit = Callable[[Floats, Floats, int], Fitted]
"""(standardised features [N, F], gain [N], seed) -> what was learned."""
MODELS: Registry[Fit] = Registry("router model")
BOOSTING = "boosting"
PLAIN = ("ridge", "mlp")
"""Models of plain operators, which every runtime has."""


def fit_model(
    kind: str, names: tuple[str, ...], features: Floats, networks: npt.NDArray[np.int64], gain: Floats, *, seed: int
) -> GainModel:
    """Fit the model ``kind`` to features [N, F] that several ``networks`` [N] gave on images that they did not see.

    Each network's features are standardised by themselves: what differs between networks says nothing about images.
    The model returned is standardised for the first network; ``for_network`` suits it to another.
    """
    layers, trees = MODELS[kind](standardised(features, networks), gain, seed)
    mean, scale = (tuple(each.tolist()) for each in moments(features[networks == networks[0]]))
    return GainModel(kind=kind, features=names, mean=mean, scale=scale, layers=layers, trees=trees)


def standardised(features: Floats, networks: npt.NDArray[np.int64]) -> Floats:
    """Return features [N, F] less the mean and over the standard deviation of their own network, within ``FAR``."""
    result = np.empty_like(features)
    for network in np.unique(networks):
        chosen = networks == network
        mean, scale = moments(features[chosen])
        result[chosen] = np.clip((features[chosen] - mean) / scale, -FAR, FAR)
    return result


def moments(features: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation [F] of features [N, F]; a feature that never changes has the latter 1."""
    scale = features.std(axis=0)
    return features.mean(axis=0), np.where(scale > 1e-6, scale, 1.0)


@MODELS.register("ridge")
def ridge(features: Floats, gain: Floats, seed: int) -> Fitted:
    """Fit a linear model, its penalty chosen by leave-one-out."""
    from sklearn.linear_model import RidgeCV

    fitted = RidgeCV(alphas=RIDGE_PENALTIES).fit(features, gain)
    return Fitted(layers=(_layer(fitted.coef_[:, None], [fitted.intercept_]),))


@MODELS.register("mlp")
def mlp(features: Floats, gain: Floats, seed: int) -> Fitted:
    """Fit one hidden layer of ``HIDDEN`` rectified units by L-BFGS."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    centre, spread = float(gain.mean()), float(gain.std()) or 1.0
    network = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,), alpha=MLP_PENALTY, solver="lbfgs", max_iter=300, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(features, (gain - centre) / spread)
    first, second = network.coefs_
    output = _layer(second * spread, network.intercepts_[1] * spread + centre)
    return Fitted(layers=(_layer(first, network.intercepts_[0]), output))


@MODELS.register(BOOSTING)
def boosting(features: Floats, gain: Floats, seed: int) -> Fitted:
    """Fit boosted trees."""
    return Fitted(trees=boosted_trees(features, gain, seed))


def _layer(weights: Floats, bias: Floats | list[float]) -> Layer:
    return Layer(weights=tuple(map(tuple, np.asarray(weights).tolist())), bias=tuple(np.asarray(bias).tolist()))
