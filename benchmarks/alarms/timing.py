# ruff: noqa: F401, PTH123, UP006, UP035
# NOTE: also run by the interpreters of boards: Python 3.6 syntax, standard library, numpy and onnxruntime only.
"""What the post-processing of run_edge.py takes of a processor beside the network, image by image, in turns.

The command ``python timing.py FOLDER INPUTS.npy [ROUNDS]`` prints one line of JSON; the folder holds run_edge.py,
bundle.yaml and edge/model.onnx, as a bundle does.
"""

import importlib.util
import json
import platform
import sys
import time
from typing import Any, Dict, List

import numpy as np
import onnxruntime


def measured(folder: str, inputs: Any, rounds: int) -> Dict[str, Any]:
    """Return milliseconds of the network and of the post-processing on inputs uint8 [N, S, S], and their ratio."""
    spec = importlib.util.spec_from_file_location("run_edge", folder + "/run_edge.py")
    run_edge = importlib.util.module_from_spec(spec)  # type: Any  # type: ignore[arg-type]
    spec.loader.exec_module(run_edge)  # type: ignore[union-attr]
    with open(folder + "/bundle.yaml", encoding="utf-8") as file:
        how = json.load(file)["postprocessing"]["edge"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(folder + "/edge/model.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    network, after = np.full((rounds, len(inputs)), np.inf), np.full((rounds, len(inputs)), np.inf)
    for turn in range(rounds + 1):
        for number, image in enumerate(inputs):
            begun_s = time.process_time()
            logits = session.run(None, {name: image[None, None].astype(np.float32)})[0]
            between_s = time.process_time()
            run_edge.lesion_mask(run_edge.probabilities_of(logits), how)
            ended_s = time.process_time()
            np.greater_equal(run_edge.probabilities_of(logits), np.float32(0.5))
            plain_s = time.process_time() - ended_s
            if turn:  # the first round is for the caches
                network[turn - 1, number] = 1000 * (between_s - begun_s)
                after[turn - 1, number] = 1000 * (ended_s - between_s - plain_s)
    network, after = network.min(axis=0), after.min(axis=0)  # an image's own time, not what disturbs the machine
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "images": len(inputs),
        "network_p50_ms": round(float(np.percentile(network, 50)), 3),
        "network_p99_ms": round(float(np.percentile(network, 99)), 3),
        "post_p50_ms": round(float(np.percentile(after, 50)), 3),
        "post_p99_ms": round(float(np.percentile(after, 99)), 3),
    }


if __name__ == "__main__":
    found = measured(sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    sys.stdout.write(json.dumps(found) + "\n")
