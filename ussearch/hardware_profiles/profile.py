"""What a device can do, as data: limits, export rules, latency model, and where each number comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ussearch.hardware_profiles.latency_model import LatencyModel

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Basis = Literal["measured", "fit", "datasheet", "documentation", "derived", "chosen", "assumed"]
"""``fit``: from published measurements; ``chosen``: a decision of this project; ``assumed``: nobody
measured it.
"""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Provenance(_Part):
    """Where a number comes from."""

    basis: Basis
    source: str = Field(min_length=1)


class Limits(_Part):
    """What a network may take on the device."""

    memory_mib: float = Field(gt=0, description="RAM for the network's process")
    frames_per_second: float = Field(default=24, gt=0, description="real-time target")

    @property
    def latency_target_ms(self) -> float:
        """The latency at which the frame rate is met."""
        return 1000 / self.frames_per_second


class ExportRules(_Part):
    """What a model file for the device must look like."""

    format: Literal["onnx"] = "onnx"
    opset: int = Field(ge=11, le=21)
    ir_version: int = Field(ge=3, description="highest IR version that the device's parser reads")
    precisions: tuple[Precision, ...] = Field(min_length=1, description="arithmetic that exists on the device")
    absent_precisions: dict[Precision, str] = Field(default_factory=dict, description="with the reason")
    static_shapes: bool = True
    external_data: bool = False
    allowed_operators: frozenset[str] | None = Field(default=None, description="None: any operator of the opset")
    forbidden_operators: dict[str, str] = Field(default_factory=dict, description="operator to mend")


class Profile(_Part):
    """One (device, runtime, precision, threads), its rules and its latency model.

    ``provenance`` maps the dotted name of every number, or of the group that holds it, to its origin; a
    number without origin is refused.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    device: str
    runtime: str
    precision: Precision
    threads: int | None = Field(default=None, ge=1, description="None: a GPU, or not published")
    power_mode: str = ""
    facts: dict[str, float] = Field(default_factory=dict, description="datasheet facts, unit in the name")
    limits: Limits
    runtime_memory_mib: float = Field(ge=0, description="what the runtime takes before any network is loaded")
    export: ExportRules
    latency: LatencyModel
    forbidden_features: dict[str, str] = Field(default_factory=dict, description="architecture feature to reason")
    trust: str = Field(min_length=1, description="how far the predictions can be trusted, in one sentence")
    measured_operators: tuple[str, ...] = Field(default=(), description="kernels that the fit has seen")
    provenance: dict[str, Provenance]

    def to_yaml(self) -> str:
        """Return the profile as text that ``parse_profile`` reads."""
        data = self.model_dump(mode="json", exclude={"latency": {"label"}}, exclude_defaults=True)
        if self.export.allowed_operators is not None:
            data["export"]["allowed_operators"] = sorted(self.export.allowed_operators)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)

    @model_validator(mode="before")
    @classmethod
    def _label_predictions(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("latency"), dict):
            threads = f", {data['threads']} threads" if data.get("threads") else ""
            label = f"predicted for {data.get('name')}, {data.get('runtime')}, {data.get('precision')}{threads}"
            data = {**data, "latency": {**data["latency"], "label": label}}
        return data

    @model_validator(mode="after")
    def _every_number_has_an_origin(self) -> Profile:
        numbers = {
            "facts": self.facts,
            "limits": self.limits.model_dump(),
            "latency": self.latency.model_dump(),
        }
        names = [*_numbers(numbers), "runtime_memory_mib", "export.opset", "export.ir_version"]
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
