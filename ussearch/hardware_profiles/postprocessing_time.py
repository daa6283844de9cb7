"""What the post-processing of a mask takes beside the network: it runs as numpy on the device's main processor."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

SIDE = 256
"""The grid at which the time is given, in pixels a side."""


class PostprocessingTime(BaseModel):
    """Milliseconds of one mask behind the network, which 99 of 100 images do not exceed.

    Sigmoid and threshold are not among them. A call takes its own time whatever the grid, the rest grows with the
    grid's pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ms: float = Field(ge=0, description="at 256x256 pixels")
    ms_per_call: float = Field(default=0, ge=0, description="the part of it that does not depend on the grid")

    def at(self, image_size: int) -> float:
        """Return the milliseconds on a grid of ``image_size`` pixels a side."""
        return self.ms_per_call + (self.ms - self.ms_per_call) * (image_size / SIDE) ** 2

    @model_validator(mode="after")
    def _a_call_is_part_of_it(self) -> PostprocessingTime:
        if self.ms_per_call > self.ms:
            raise ValueError(f"ms_per_call is {self.ms_per_call:g}, expected at most the {self.ms:g} of ms")
        return self
