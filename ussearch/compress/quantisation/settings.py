"""What can be chosen about a quantised file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ussearch.errors import UserError

Scheme = Literal["u8s8", "s8s8"]
"""How numbers become 8 bits, by the runtime that will read them.

``u8s8``: onnxruntime on x86 and ARM; unsigned activations with a zero point, signed weights per channel, a pair of
QuantizeLinear and DequantizeLinear around every operator that has an integer kernel, so that they fuse.
``s8s8``: TensorRT >= 8; activations and weights symmetric (TensorRT reads no zero points), biases in float (its parser
takes int32 ones for a wrong type), pairs only where a convolution or a sum reads: TensorRT fuses a convolution with the
activation behind it only where nothing stands between them.
"""
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

Method = Literal["minmax", "entropy", "percentile"]
"""How the range of an activation follows from its values on the calibration images (``ranges.py``)."""
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Settings:
    """Everything that decides a quantised file besides the network and the calibration images."""

    scheme: Scheme
    method: Method
    float_nodes: frozenset[str] = frozenset()
    """Names of nodes that are left in float."""
    weight_bits: Literal[7, 8] | None = None
    """None: 8, but 7 for ``u8s8``. Processors without VNNI add two products of 8 bits in 16 bits and saturate silently.
    On one with AVX2, of 36 phantoms' pixels 0.67 % left their mask or entered it with 8 bits and 0.23 % with 7, whose
    sums fit, at the same speed (``benchmarks/rounding.py``)."""

    def __post_init__(self) -> None:
        for idea, given, known in (("scheme", self.scheme, SCHEMES), ("calibration method", self.method, METHODS)):
            if given not in known:
                raise UserError(f"Unknown {idea} {given!r}: expected one of {', '.join(known)}.")

    @property
    def largest_weight(self) -> int:
        """The integer that the largest weight of a channel becomes."""
        bits = self.weight_bits or (7 if self.scheme == "u8s8" else 8)
        return 64 if bits == 7 else 127
