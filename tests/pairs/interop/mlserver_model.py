"""Loaded by MLServer in its own environment: a model whose mask is made of the hash of the pixels."""

import numpy as np
from hash_mask import bits_of
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class HashModel(MLModel):
    """Answers in JSON, the only form that MLServer speaks over HTTP."""

    async def predict(self, payload):
        """Return the bits of the mask."""
        image = NumpyCodec.decode_input(payload.inputs[0]).astype(np.uint8)
        output = NumpyCodec.encode_output("mask", bits_of(image))
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=[output])
