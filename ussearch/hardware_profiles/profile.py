"""What a device can do, as data: limits, export rules, latency model, and where each number comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ussearch import schema
from ussearch.hardware_profiles.kernels.kernel import KNOWN, Kernel
from ussearch.hardware_profiles.latency.boosted import BoostedPrices
from ussearch.hardware_profiles.latency.kernel_cost_model import KernelCostModel
from ussearch.hardware_profiles.latency.model import DATASHEET_FACTOR, LatencyPrediction
from ussearch.hardware_profiles.latency.roofline import Roofline
from ussearch.hardware_profiles.postprocessing_time import SIDE, PostprocessingTime
from ussearch.hardware_profiles.profile_text import digested_yaml, profile_yaml
from ussearch.hardware_profiles.validation import Validation

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Parser = Literal["tensorrt-8", "edge-tpu"]
Basis = Literal["measured", "fit", "prior", "datasheet", "documentation", "derived", "chosen", "assumed"]
"""``fit``: from published measurements; ``prior``: another runtime's prices, since too little was measured of this one;
``chosen``: a decision of this project; ``assumed``: nobody measured it.
"""


AnyLatencyModel = Annotated[Roofline | KernelCostModel | BoostedPrices, Field(discriminator="kind")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Provenance(_Part):
    """Where a number comes from."""

    basis: Basis
    source: str = Field(min_length=1)


class Limits(_Part):
    """What a network and the post-processing behind it may take on the device."""

    memory_mib: float = Field(gt=0, description="RAM for the network's process")
    frames_per_second: float = Field(default=24, gt=0, description="real-time target")

    @property
    def latency_target_ms(self) -> float:
        """The latency at which the frame rate is met."""
        return 1000 / self.frames_per_second


class ExportRules(_Part):
    """What a model file for the device must look like."""

    format: Literal["onnx", "tflite"] = Field(default="onnx", description="what the device's runtime reads")
    parser: Parser | None = Field(default=None, description="what imports the file, where it has rules of its own")
    opset: int = Field(ge=11, le=21)
    ir_version: int = Field(ge=3, description="highest IR version that the device's parser reads")
    precisions: tuple[Precision, ...] = Field(min_length=1, description="arithmetic that exists on the device")
    absent_precisions: dict[Precision, str] = Field(default_factory=dict, description="with the reason")
    paying_precisions: dict[Precision, str] = Field(
        default_factory=dict, description="arithmetic that was measured to be faster than FP32, with the evidence"
    )
    channel_multiple: Literal[1, 4, 8, 16, 32] = Field(
        default=8, description="widths in multiples of this run at full speed; others may be slower with fewer channels"
    )
    static_shapes: bool = True
    external_data: bool = False
    allowed_operators: frozenset[str] | None = Field(default=None, description="None: any operator of the opset")
    forbidden_operators: dict[str, str] = Field(default_factory=dict, description="operator to mend")


class MemoryCopies(_Part):
    """How many times a runtime holds weights and activations; once, where nobody measured it.

    onnxruntime keeps weights as read and as rearranged for its kernels, and its arena does not give back what one layer
    needed before the next asks for another size.
    """

    weights: float = Field(default=1.0, ge=0)
    activations: float = Field(default=1.0, ge=0)
    weights_while_loading: float = Field(default=1.0, ge=0)


class Profile(_Part):
    """One (device, runtime, precision, threads), its rules and its latency model.

    A device with several runtimes has one profile each: ``name@variant``, the default one plainly ``name``.
    ``validation`` is None where nobody measured the device. ``provenance`` maps the dotted name of every number, or of
    the group that holds it, to its origin; a number without origin is refused.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*(@[a-z0-9][a-z0-9._-]*)?$")
    variant: str = Field(default="", description="which of the device's runtimes")
    variants: tuple[str, ...] = Field(default=(), description="all of them, the default first")
    default_reason: str = Field(default="", description="why the first of the runtimes is the default one")
    title: str
    device: str
    runtime: str
    precision: Precision
    threads: int | None = Field(default=None, ge=1, description="None: a GPU, or not published")
    power_mode: str = ""
    processor: str = Field(
        default="", description="instruction set (x86_64, aarch64), where networks run on the main processor"
    )
    facts: dict[str, float] = Field(default_factory=dict, description="datasheet facts, unit in the name")
    limits: Limits
    runtime_memory_mib: float = Field(ge=0, description="what the runtime takes before any network is loaded")
    memory_copies: MemoryCopies = MemoryCopies()
    postprocessing: PostprocessingTime | None = Field(
        default=None, description="of a mask on the main processor; None: nobody knows, and it counts 0 ms"
    )
    export: ExportRules
    latency: AnyLatencyModel
    validation: Validation | None = None
    forbidden_features: dict[str, str] = Field(default_factory=dict, description="architecture feature to reason")
    note: str = Field(default="", description="what else a user should know before trusting the predictions")
    provenance: dict[str, Provenance]

    @property
    def label(self) -> str:
        """What kind of number a prediction is: that of this device, runtime, precision and number of threads."""
        threads = f", {self.threads} thread{'s' if self.threads > 1 else ''}" if self.threads else ""
        return f"predicted for {self.name}, {self.runtime}, {self.precision}{threads}"

    @property
    def prior_only(self) -> bool:
        """Whether the prices are those of another runtime, because too little was measured of this one."""
        return "latency" in self.provenance and self.provenance["latency"].basis == "prior"

    @property
    def trust(self) -> str:
        """How far the predictions can be trusted, in a sentence or two."""
        if self.prior_only:
            known = f"A prior only, {self.provenance['latency'].source}."
        elif self.validation is None:
            known = f"Datasheet only: expect about {DATASHEET_FACTOR:g}× optimism."
        else:
            sentence = self.validation.sentence()
            known = f"{sentence[0].upper()}{sentence[1:]}."
        return " ".join(filter(None, (known, self._postprocessing_trust, self.note)))

    @property
    def _postprocessing_trust(self) -> str:
        if self.postprocessing is None:
            return "Post-processing counts 0 ms: the profile does not say what it takes."
        basis = self.provenance["postprocessing"].basis
        return f"Post-processing counts {self.postprocessing.ms:.1f} ms at {SIDE}×{SIDE} pixels ({basis})."

    def postprocessing_ms(self, image_size: int) -> float:
        """Return what of the latency limit is for post-processing at ``image_size`` pixels a side."""
        return self.postprocessing.at(image_size) if self.postprocessing else 0.0

    def network_limit_ms(self, image_size: int) -> float:
        """Return what is left of the latency limit for the network; 0 or less where post-processing takes it all."""
        return self.limits.latency_target_ms - self.postprocessing_ms(image_size)

    def limited_to(self, latency_ms: float) -> Profile:
        """Return the profile with another latency limit."""
        return self.model_copy(
            update={"limits": self.limits.model_copy(update={"frames_per_second": 1000 / latency_ms})}
        )

    def latency_limit(self, image_size: int) -> str:
        """Return the latency limit in words: ``41.7 ms, of which 2.1 ms are for post-processing``."""
        whole = f"{self.limits.latency_target_ms:.1f} ms"
        if self.postprocessing is None:
            return whole
        return f"{whole}, of which {self.postprocessing_ms(image_size):.1f} ms are for post-processing"

    def limits_in_words(self, image_size: int) -> str:
        """Return both limits in words: ``41.7 ms, of which 2.1 ms are for post-processing, and 1536 MiB``."""
        memory = f"{self.limits.memory_mib:.0f} MiB"
        if self.postprocessing is None:
            return f"{self.latency_limit(image_size)} (post-processing not counted) and {memory}"
        return f"{self.latency_limit(image_size)}, and {memory}"

    def predict(self, kernels: Sequence[Kernel]) -> LatencyPrediction:
        """Return the predicted latency of one forward pass over ``kernels``, batch 1, with its interval."""
        per_kernel_ms = self.latency.kernel_ms(kernels)
        latency_ms = sum(per_kernel_ms) + self.latency.ms_per_call
        uncovered: dict[str, float] = {}
        measured = self.validation.covered if self.validation else frozenset()
        for kernel, milliseconds in zip(kernels, per_kernel_ms, strict=True):
            if kernel.kernel_class not in measured:
                uncovered[kernel.kernel_class] = uncovered.get(kernel.kernel_class, 0.0) + milliseconds
        unknown_ms = sum(uncovered.values())
        known_ms = latency_ms - unknown_ms
        factor = 1 + (self.validation.relative_error if self.validation else 0.0)
        extent = self.validation.extent if self.validation else None
        return LatencyPrediction(
            latency_ms=latency_ms,
            low_ms=(known_ms + unknown_ms / DATASHEET_FACTOR) / factor,
            high_ms=(known_ms + unknown_ms * DATASHEET_FACTOR) * factor,
            per_kernel_ms=per_kernel_ms,
            call_ms=self.latency.ms_per_call,
            label=self.label,
            uncovered=uncovered,
            unpriced=tuple(sorted({kernel.operator for kernel in kernels} - KNOWN)),
            outside=tuple(extent.outside(kernels)) if extent else (),
        )

    def to_yaml(self) -> str:
        """Return the profile as text that ``parse_profile`` reads."""
        return profile_yaml(schema.PROFILE.numbered(self._written()))

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that name the content."""
        return hashlib.sha256(digested_yaml(self._written()).encode()).hexdigest()[:16]

    def _written(self) -> dict[str, Any]:
        """Return what a file says of it, in order."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        data["latency"] = {"kind": self.latency.kind, **data["latency"]}
        if self.export.allowed_operators is not None:
            data["export"]["allowed_operators"] = sorted(self.export.allowed_operators)
        return data

    @model_validator(mode="after")
    def _every_number_has_an_origin(self) -> Profile:
        numbers = {
            "facts": self.facts,
            "limits": self.limits.model_dump(),
            "latency": self.latency.model_dump(),
        }
        names = [*_numbers(numbers), "runtime_memory_mib", "export.opset", "export.ir_version"]
        if self.memory_copies != MemoryCopies():
            names.append("memory_copies")
        if self.postprocessing is not None:
            names.append("postprocessing")
        missing = [
            name for name in names if not any(name == key or name.startswith(f"{key}.") for key in self.provenance)
        ]
        if missing:
            raise ValueError(f"provenance is missing for {', '.join(missing)}")
        return self


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all numbers in nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{prefix}{key}"
