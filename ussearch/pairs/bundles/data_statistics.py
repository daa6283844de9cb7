"""What images a pair learnt from look like in numbers, and whether other images are like them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from ussearch.datasets import ImageSet

MOST_OUTSIDE = 0.3
"""Share of other images that may lie where only one in ten of the known ones does; above it they differ."""
MARGIN = 0.05
"""Of the spread between the 5th and the 95th percentile (and of their size): how far beyond both is still within."""
EMPTY_POINTS = 0.2
"""By how much the share of images without a lesion may differ."""
FEWEST = 10
"""With fewer images of either kind nothing is compared."""
Floats = npt.NDArray[np.float64]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Part):
    """How one figure of images is spread: where 5 %, 50 % and 95 % of them lie below; all None without images."""

    images: int
    p5: float | None
    median: float | None
    p95: float | None

    @classmethod
    def of(cls, values: Floats) -> Spread:
        """Return the spread of values [N]."""
        if not len(values):
            return cls(images=0, p5=None, median=None, p95=None)
        low, middle, high = (float(each) for each in np.percentile(values, (5, 50, 95)))
        return cls(images=len(values), p5=low, median=middle, p95=high)

    def outside(self, values: Floats) -> float:
        """Return the share of values [N] that lie beyond the 5th and the 95th percentile by more than the margin."""
        if self.p5 is None or self.p95 is None or not len(values):
            return 0.0
        margin = MARGIN * max(self.p95 - self.p5, abs(self.p95))
        return float(np.mean((values < self.p5 - margin) | (values > self.p95 + margin)))


class ImageStatistics(_Part):
    """Figures of the images that networks learnt from, of each image one value."""

    images: int
    empty_share: float = Field(description="share of the images without a lesion")
    brightness: Spread = Field(description="mean grey level, 0 to 255")
    contrast: Spread = Field(description="standard deviation of the grey levels")
    lesion_share: Spread = Field(description="share of an image that its lesion covers, images with one")
    height: Spread = Field(description="of the file's frame or region, pixels")
    width: Spread

    @classmethod
    def of(cls, images: ImageSet, chosen: Sequence[int]) -> ImageStatistics:
        """Return the statistics of the images ``chosen``."""
        found = values_of(images, chosen)
        empty = ~images.has_lesion[list(chosen)]
        spreads = {name: Spread.of(values) for name, values in found.items()}
        return cls(images=len(chosen), empty_share=float(empty.mean()) if len(empty) else 0.0, **spreads)

    def differences(self, images: ImageSet, chosen: Sequence[int]) -> Iterator[str]:
        """Yield a sentence for each figure in which the images ``chosen`` are not like these."""
        if min(self.images, len(chosen)) < FEWEST:
            yield f"Fewer than {FEWEST} images here or in training: whether they are alike is not told."
            return
        for name, values in values_of(images, chosen).items():
            known: Spread = getattr(self, name)
            share = known.outside(values)
            if share > MOST_OUTSIDE and known.p5 is not None and known.p95 is not None:
                yield (
                    f"{WORDS[name]}: {100 * share:.0f} % of the images lie outside of {known.p5:.3g} to "
                    f"{known.p95:.3g}, where nine in ten training images lie (median here {np.median(values):.3g}, "
                    f"there {known.median:.3g}); more than {100 * MOST_OUTSIDE:.0f} % is told."
                )
        empty = float((~images.has_lesion[list(chosen)]).mean())
        if abs(empty - self.empty_share) > EMPTY_POINTS:
            yield (
                f"Images without a lesion: {100 * empty:.0f} % here, {100 * self.empty_share:.0f} % in training; a "
                f"difference of more than {100 * EMPTY_POINTS:.0f} points is told."
            )


WORDS = {
    "brightness": "Mean grey level",
    "contrast": "Contrast (standard deviation of grey levels)",
    "lesion_share": "Share of the image that a lesion covers",
    "height": "Height in pixels",
    "width": "Width in pixels",
}


def values_of(images: ImageSet, chosen: Sequence[int]) -> dict[str, Floats]:
    """Return each figure of the images ``chosen``, [N] or fewer where some have none."""
    indices = list(chosen)
    pixels = np.asarray(images.images[indices], np.float64).reshape(len(indices), -1)
    shares = np.asarray(images.masks[indices]).reshape(len(indices), -1).astype(bool).mean(axis=1)
    nothing = np.zeros((0, 2), np.int64)
    sizes = (nothing if images.sizes is None else images.sizes[indices]).astype(np.float64)
    return {
        "brightness": pixels.mean(axis=1),
        "contrast": pixels.std(axis=1),
        "lesion_share": shares[shares > 0],
        "height": sizes[:, 0],
        "width": sizes[:, 1],
    }
