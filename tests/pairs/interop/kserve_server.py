"""Run with KServe's own environment, ``kserve_server.py PORT``: a mask made of the hash of the pixels."""

import sys

from hash_mask import bits_of
from kserve import InferOutput, InferResponse, Model, ModelServer


class HashModel(Model):
    """Answers with binary tensors where it is asked to."""

    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        """Return the bits of the mask."""
        bits = bits_of(payload.inputs[0].as_numpy())
        output = InferOutput(name="mask", shape=list(bits.shape), datatype="UINT8")
        output.set_data_from_numpy(bits, binary_data=payload.use_binary_outputs)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    server = ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1, enable_docs_url=False)
    server.start([HashModel("m")])
