"""The mask of the tests' servers, for environments that lack the package: made of the hash of the pixels."""

import hashlib

import numpy as np


def bits_of(image):
    """Return the packed mask uint8 [1, 1, S, S / 8] of an image uint8 [1, 1, S, S]."""
    image = np.ascontiguousarray(image, np.uint8)
    side = image.shape[-1]
    bits = hashlib.shake_256(image.tobytes()).digest(side * side // 8)
    return np.frombuffer(bits, np.uint8).reshape(1, 1, side, side // 8)
