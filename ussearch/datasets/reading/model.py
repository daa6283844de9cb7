"""How the files of a data set are read: decided once from all of them, shown, and kept with the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ussearch.runtime.grey_scale import GreyScale

Folders = Literal["split", "classes", "patients"]
"""What sub-folders can mean."""


@dataclass(frozen=True)
class ReadingOptions:
    """What the user says of the files; None is left to the files themselves, and asked where they do not tell.

    Attributes:
        reader: layout to read instead of recognising it.
        lesion: labels of masks that are lesion, such as ``1,2``.
        fill_outlines: whether masks are outlines, and what they enclose is lesion.
        folders: what sub-folders mean: ``split``, ``classes`` or ``patients``.
        groups: which images stay together: ``folder``, a pattern with a group, or the name of a column.
        grey_scale: ``LOW,HIGH``, the values that become black and white.
        region: which ultrasound region of DICOM files is used: ``largest``, ``whole`` or a number from 1.
    """

    reader: str | None = None
    lesion: str | None = None
    folders: Folders | None = None
    groups: str | None = None
    grey_scale: str | None = None
    region: str | None = None
    fill_outlines: bool = False


class LabelRow(BaseModel):
    """One label of the masks: a level, an index of a palette, a colour ``#rrggbb``, or ``transparent``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    name: str = Field(default="", description="what the data set calls it; empty where it does not")
    meaning: Literal["lesion", "background"]
    pixels: int = Field(description="in all masks together")
    masks: int = Field(description="that hold it")

    @property
    def title(self) -> str:
        """What people are told: its name, or the label itself."""
        return self.name or self.label


class MaskReading(BaseModel):
    """The table that makes lesion of the labels of masks.

    Attributes:
        labels: every label with its meaning; empty where no mask was looked at.
        noise: how many levels beside them, of a former JPEG or of soft edges, are read as the nearest one.
        noise_pixels: how many pixels carry those.
        alpha: whether the alpha channel carries the annotation.
        palette_colours: whether the colours of palettes are the labels, instead of their indices.
        lesion: what the user said, None where the files told it.
        drawn: whether annotations are shapes: labels are their names' numbers, and 0 is what no shape covers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[LabelRow, ...] = ()
    noise: int = 0
    noise_pixels: int = 0
    alpha: bool = False
    palette_colours: bool = False
    lesion: str | None = None
    drawn: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether lesion is the one label that is not zero."""
        named = {row.label: row.meaning for row in self.labels}
        plain = all((label == "0") == (meaning == "background") for label, meaning in named.items())
        return plain and not self.alpha


class Reading(BaseModel):
    """What was decided about a data set's files.

    Attributes:
        grey_scale: the values that become black and white.
        masks: which labels of the masks are lesion.
        region: the ultrasound region that is used of DICOM files, as ``ReadingOptions`` names it.
        cut_pixels: annotated pixels outside of that region, and ``cut_images`` the images that lose some.
        fill_outlines: whether masks are outlines that are filled.
        own_masks: masks that ``infer`` wrote and nobody has edited since.
        folders: what sub-folders mean; None where there are none, or the reader knows.
        groups: what keeps images together besides near-duplicates, as the user said it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grey_scale: GreyScale = GreyScale()
    masks: MaskReading = MaskReading()
    region: str = "largest"
    cut_pixels: int = 0
    cut_images: int = 0
    own_masks: int = 0
    fill_outlines: bool = False
    folders: Folders | None = None
    groups: str | None = None
