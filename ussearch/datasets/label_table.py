"""Which labels of the masks are lesion: decided by all masks of a data set together, or asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from ussearch.datasets.mask_labels import TRANSPARENT, WHITE, LabelCounts, LabelPlane, code_of, distance, name_of
from ussearch.datasets.reading import LabelRow, MaskReading
from ussearch.errors import Answer, Question, UserError

FLAT = 0.2  # share of a label's pixels among their like that no noise reaches: JPEG and soft edges stay below 0.1
APART, NEAR = 32, 16  # levels: noise lies near one of two main ones that lie far apart ...
MANY = 8  # ... or there are so many levels that they cannot be structures
MOST_LABELS = 32
PHOTOGRAPH = 0.3  # share of pixels that are neither; no mask has it


@dataclass(frozen=True)
class MaskFacts:
    """What one mask file holds.

    Attributes:
        counts: its labels, without regard to alpha.
        visible: its labels where alpha shows them; None where it has no alpha, or one that is constant.
        all_transparent: whether a constant alpha hides everything.
        colours: of a palette, the code of each index's colour.
        size: height and width in pixels.
    """

    counts: LabelCounts
    visible: LabelCounts | None
    all_transparent: bool
    colours: dict[int, int] | None
    size: tuple[int, int]

    @classmethod
    def of(cls, plane: LabelPlane) -> MaskFacts:
        """Count what a file holds."""
        visible = None
        if plane.alpha is not None:
            visible = LabelCounts.of(plane.labels(by_alpha=True, by_colour=False))
        height, width = plane.codes.shape
        return cls(LabelCounts.of(plane.codes), visible, plane.all_transparent, plane.colours, (height, width))

    def read(self, *, by_alpha: bool, by_colour: bool) -> LabelCounts:
        """Return the labels as the data set reads them."""
        if by_alpha and self.visible is not None:
            return self.visible
        if by_alpha and self.all_transparent:
            height, width = self.size
            every, edge = np.array([height * width]), np.array([2 * (height + width) - 4])
            return LabelCounts(np.array([TRANSPARENT]), every, every, edge)
        if by_colour and self.colours:
            codes = np.array([self.colours.get(int(code), int(code)) for code in self.counts.codes], np.int64)
            return replace(self.counts, codes=codes)
        return self.counts


@dataclass
class _Label:
    """One label over all masks."""

    pixels: int = 0
    masks: int = 0
    flat: int = 0
    border: int = 0
    in_few: bool = False
    """Whether any mask holds it beside one other label at most."""
    seen: set[int] = field(default_factory=set)
    """The numbers of the masks that hold it."""

    @property
    def is_main(self) -> bool:
        return self.in_few or self.flat >= FLAT * self.pixels


def decide_labels(masks: Sequence[MaskFacts], lesion: str | None = None) -> MaskReading:
    """Decide which labels are lesion.

    Zero (a level, an index, black; with alpha what is transparent) and the label that is most frequent at the borders
    must be the same to be the background; one other label is the lesion.

    Args:
        masks: all mask files of the data set.
        lesion: labels that the user named, such as ``1,2``.

    Raises:
        Question: several structures, or a background that is not plain.
        UserError: masks that are photographs, or a label that no mask holds.
    """
    by_alpha = any(mask.visible is not None for mask in masks)
    by_colour = _palettes_contradict(masks)
    found = _gathered(mask.read(by_alpha=by_alpha, by_colour=by_colour) for mask in masks)
    if not found:
        return MaskReading(lesion=lesion)
    main, noise = _without_noise(found)
    _refuse_photographs(found, main, noise)
    chosen = _named(lesion, main) if lesion is not None else _told(found, main, noise, by_alpha)
    rows = tuple(
        LabelRow(
            label=name_of(code),
            meaning="lesion" if code in chosen else "background",
            pixels=found[code].pixels,
            masks=found[code].masks,
        )
        for code in sorted(main)
    )
    return MaskReading(
        labels=rows,
        noise=len(noise),
        noise_pixels=sum(found[code].pixels for code in noise),
        alpha=by_alpha,
        palette_colours=by_colour,
        lesion=lesion,
    )


def _palettes_contradict(masks: Sequence[MaskFacts]) -> bool:
    """Whether one index has several colours in the palettes of the set, so that colours are its labels."""
    colour_of: dict[int, int] = {}
    return any(
        colour_of.setdefault(index, colour) != colour
        for mask in masks
        for index, colour in (mask.colours or {}).items()
    )


def _gathered(masks: Iterable[LabelCounts]) -> dict[int, _Label]:
    found: dict[int, _Label] = {}
    for number, counts in enumerate(masks):
        for code, pixels, flat, border in zip(
            counts.codes.tolist(), counts.pixels.tolist(), counts.flat.tolist(), counts.border.tolist(), strict=True
        ):
            label = found.setdefault(code, _Label())
            label.pixels += pixels
            label.masks += 1
            label.flat += flat
            label.border += border
            label.in_few |= counts.few
            label.seen.add(number)
    return found


def _without_noise(found: Mapping[int, _Label]) -> tuple[set[int], set[int]]:
    """Return the labels, and what is the noise of a former JPEG or of soft edges beside them."""
    main = {code for code, label in found.items() if label.is_main}
    rare = set(found) - main
    if len(rare) >= MANY and len(main) <= 1:  # structures so small that no pixel of theirs has like neighbours
        furthest = max(rare, key=lambda code: distance(code, next(iter(main), 0)))
        main, rare = main | {furthest}, rare - {furthest}
    apart = any(distance(one, other) >= APART for one, other in combinations(main, 2))
    near = all(min(distance(code, other) for other in main) <= NEAR for code in rare) if main else False
    if rare and (len(rare) >= MANY or (apart and near)):
        return main, rare
    return main | rare, set()


def _refuse_photographs(found: Mapping[int, _Label], main: set[int], noise: set[int]) -> None:
    every = sum(label.pixels for label in found.values())
    between = sum(found[code].pixels for code in noise)
    if len(main) > MOST_LABELS or between > PHOTOGRAPH * every:
        raise UserError(
            f"The masks hold {len(found)} levels or colours, as photographs do, where a few flat labels were expected: "
            "export masks instead of pictures with the annotation drawn into them, or name the folder that holds them."
        )


def _named(lesion: str, main: set[int]) -> set[int]:
    """Return the labels that the user named; each must be there."""
    chosen = set()
    for name in lesion.split(","):
        code = code_of(name)
        if code is None or code not in main:
            raise UserError(
                f"--lesion {lesion} is not possible: no mask holds a label {name.strip()!r}, expected some of "
                f"{', '.join(map(name_of, sorted(main)))} with commas between."
            )
        chosen.add(code)
    if chosen == main:
        raise UserError(f"--lesion {lesion} is not possible: it leaves no background; name fewer labels.")
    return chosen


def _told(found: Mapping[int, _Label], main: set[int], noise: set[int], by_alpha: bool) -> set[int]:
    """Return the labels that are lesion as the files tell; raises Question where they do not."""
    zero = TRANSPARENT if by_alpha else 0
    borders = {code: found[code].border for code in main}
    for code in noise:
        borders[min(main, key=lambda other: distance(code, other))] += found[code].border
    frequent = max(sorted(main), key=lambda code: borders[code])
    others = main - {zero}
    if zero not in main or frequent != zero:
        raise _background_question(found, main, zero, frequent)
    if len(others) <= 1:
        return others
    if others == {1, WHITE} and not found[1].seen & found[WHITE].seen:
        return others  # both are how tools write "annotated", and no mask tells them apart
    raise Question(
        f"The masks hold {len(others)} labels besides the background {name_of(zero)}, and which of them are lesion "
        "cannot be told",
        *_table(found, main),
        [
            *(Answer(f"label {name_of(code)} alone", {"lesion": name_of(code)}) for code in sorted(others)),
            Answer("all of them as one", {"lesion": ",".join(map(name_of, sorted(others)))}),
        ],
    )


def _background_question(found: Mapping[int, _Label], main: set[int], zero: int, frequent: int) -> Question:
    answers = [
        Answer(f"{name_of(code)} is the background", {"lesion": ",".join(map(name_of, sorted(main - {code})))})
        for code in dict.fromkeys((zero, frequent))
        if code in main and len(main) > 1
    ]
    if len(main) == 1:
        only = next(iter(main))
        raise UserError(
            f"All masks hold the label {name_of(only)} alone, where a background and a lesion were expected: nothing "
            "can be learnt; give masks that mark lesions."
        )
    missing = "" if zero in main else f", and none is {name_of(zero)}"
    return Question(
        f"The masks' labels do not tell what is background: {name_of(frequent)} is the most frequent at the borders"
        f"{missing or f', and {name_of(zero)} is there too'}",
        *_table(found, main),
        answers,
    )


def _table(found: Mapping[int, _Label], main: set[int]) -> tuple[list[str], list[list[object]]]:
    every, edges = (
        sum(values) for values in zip(*((each.pixels, each.border) for each in found.values()), strict=True)
    )
    rows: list[list[object]] = [
        [
            name_of(code),
            f"{found[code].pixels:,}",
            f"{found[code].pixels / every:.2%}",
            found[code].masks,
            f"{found[code].border / max(edges, 1):.1%}",
        ]
        for code in sorted(main)
    ]
    return ["label", "pixels", "of all", "in masks", "of the borders"], rows
