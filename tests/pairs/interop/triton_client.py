"""Run with tritonclient's own environment: ask a server in all four forms and write what it answered.

triton_client.py HOST:PORT MODEL IMAGE.npy OUT.npz
"""

import sys

import numpy as np
import tritonclient.http as triton

address, model, source, target = sys.argv[1:]
image = np.load(source)
client = triton.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
metadata = client.get_model_metadata(model)
found = {}
for binary_in in (True, False):
    for binary_out in (True, False):
        given = triton.InferInput(metadata["inputs"][0]["name"], list(image.shape), "UINT8")
        given.set_data_from_numpy(image, binary_data=binary_in)
        wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("mask", "logits")]
        answer = client.infer(model, [given], outputs=wanted, request_id="17")
        assert answer.get_response()["id"] == "17"
        for name in ("mask", "logits"):
            found[f"{name}-{binary_in}-{binary_out}"] = answer.as_numpy(name)
found["all-logits"] = client.infer(model, [given]).as_numpy("logits")
try:
    client.infer("other", [given])
except triton.InferenceServerException as error:
    found["refusal"] = np.array(error.message())
np.savez(target, **found)
