"""How much each layer suffers from 8 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx

from ussearch.compress.quantisation.graph import name_of
from ussearch.compress.quantisation.qdq import Quantiser
from ussearch.compress.quantisation.ranges import Images, session
from ussearch.compress.quantisation.settings import Settings


def sensitivities(quantiser: Quantiser, settings: Settings, images: Images) -> dict[str, float]:
    """Return, for each layer, the mean change of a pixel's probability when it alone is quantised, largest first.

    One layer quantised in a float network, not one layer in float in a quantised network (Wu et al. 2020, "Integer
    Quantization for Deep Learning Inference", section 6.1): where two layers spoil the output, freeing either of them
    shows nothing. Probabilities, not Dice: they need no masks, and a few images rank all layers without ties.
    A dozen ``images`` [N, C, S, S] suffice; the time is one small file and N runs a layer.
    """
    everything = frozenset(name_of(node) for node in quantiser.prepared.graph.node)
    truth = _probabilities(quantiser.prepared, images)
    found = {}
    for layer in quantiser.layers:
        alone = quantiser.model(replace(settings, float_nodes=everything - {layer}))
        found[layer] = float(np.abs(_probabilities(alone, images) - truth).mean())
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _probabilities(model: onnx.ModelProto, images: Images) -> npt.NDArray[np.float32]:
    """Return float32 [N, classes, S, S]; float arithmetic, so that the host's integer kernels play no part."""
    running = session(model.SerializeToString(), optimised=False)
    name = running.get_inputs()[0].name
    logits = np.concatenate([running.run(None, {name: image[None].astype(np.float32)})[0] for image in images])
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)
