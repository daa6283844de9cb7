"""Which labels of the masks are lesion: decided by all masks of a data set together, or asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ussearch.datasets.reading.label_noise import NEAR, FoundLabel, without_noise
from ussearch.datasets.reading.mask_facts import MaskFacts
from ussearch.datasets.reading.mask_labels import (
    TRANSPARENT,
    WHITE,
    LabelCounts,
    distance,
    label_code,
    label_name,
    name_of,
)
from ussearch.datasets.reading.model import LabelRow, MaskReading
from ussearch.errors import Answer, Question, UserError

MOST_LABELS = 32
INNER = 0.05  # share of all borders that a lesion may have
PHOTOGRAPH = 0.3  # share of pixels that are neither; no mask has it


def decide_labels(
    masks: Sequence[MaskFacts],
    lesion: str | None = None,
    names: Mapping[str, str] | None = None,
    *,
    drawn: bool = False,
) -> MaskReading:
    """Decide which labels are lesion.

    Zero (a level, an index, black; with alpha what is transparent) and the label that is most frequent at the borders
    must be the same to be the background; one other label is the lesion.

    Args:
        masks: all mask files of the data set.
        lesion: labels that the user named, such as ``1,2`` or ``cyst``.
        names: what the data set calls its labels.
        drawn: whether annotations are shapes, whose background is what none covers.

    Raises:
        Question: several structures, or a background that is not plain.
        UserError: masks that are photographs, or a label that no mask holds.
    """
    by_alpha = any(mask.visible is not None for mask in masks)
    by_colour = _by_colour(masks)
    found = _gathered(mask.read(by_alpha=by_alpha, by_colour=by_colour) for mask in masks)
    if not found:
        return MaskReading(lesion=lesion, drawn=drawn)
    names = names or {}
    main, noise = (set(found), set[int]()) if drawn else without_noise(found)
    if not drawn:
        _refuse_photographs(found, main, noise)
    if lesion is not None:
        chosen = _named(lesion, main, names)
    elif drawn:
        chosen = _the_one_structure(found, main, main - {0}, 0, names)
    else:
        chosen = _told(found, main, noise, by_alpha, names)
    rows = tuple(
        LabelRow(
            label=name_of(code),
            name=names.get(name_of(code), ""),
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
        drawn=drawn,
    )


def _by_colour(masks: Sequence[MaskFacts]) -> bool:
    """Whether the colours of the set's palettes are labels, instead of their indices.

    They are where all are greys, as viewers show them, and where an index has several colours or a colour several
    indices. Where one palette shows two indices in the same colour, only indices can tell them apart.
    """
    palettes = [mask.colours for mask in masks if mask.colours]
    pairs = {pair for colours in palettes for pair in colours.items()}
    if any(len(set(colours.values())) < len(colours) for colours in palettes):
        return False
    one_to_one = len(pairs) == len({index for index, _ in pairs}) == len({colour for _, colour in pairs})
    greys = all(colour <= WHITE for _, colour in pairs)
    return bool(pairs) and (greys or not one_to_one)


def _gathered(masks: Iterable[LabelCounts]) -> dict[int, FoundLabel]:
    found: dict[int, FoundLabel] = {}
    for number, counts in enumerate(masks):
        for code, pixels, flat, border in zip(
            counts.codes.tolist(), counts.pixels.tolist(), counts.flat.tolist(), counts.border.tolist(), strict=True
        ):
            label = found.setdefault(code, FoundLabel())
            label.pixels += pixels
            label.masks += 1
            label.flat += flat
            label.border += border
            label.in_few |= counts.few
            label.seen.add(number)
    return found


def _refuse_photographs(found: Mapping[int, FoundLabel], main: set[int], noise: set[int]) -> None:
    every = sum(label.pixels for label in found.values())
    between = sum(found[code].pixels for code in noise)
    if len(main) > MOST_LABELS or between > PHOTOGRAPH * every:
        raise UserError(
            f"The masks hold {len(found)} levels or colours, as photographs do, where a few flat labels were expected: "
            "export masks instead of pictures with the annotation drawn into them, or name the folder that holds them."
        )


def _named(lesion: str, main: set[int], names: Mapping[str, str]) -> set[int]:
    """Return the labels that the user named; each must be there."""
    chosen = set()
    for name in [lesion] if lesion in names.values() else lesion.split(","):
        code = label_code(name, names)
        if code is None or code not in main:
            there = ", ".join(label_name(each, names) for each in sorted(main))
            raise UserError(
                f"--lesion {lesion} is not possible: no mask holds a label {name.strip()!r}, expected some of "
                f"{there} with commas between."
            )
        chosen.add(code)
    if chosen == main:
        raise UserError(f"--lesion {lesion} is not possible: it leaves no background; name fewer labels.")
    return chosen


def _told(
    found: Mapping[int, FoundLabel], main: set[int], noise: set[int], by_alpha: bool, names: Mapping[str, str]
) -> set[int]:
    """Return the labels that are lesion as the files tell; raises Question where they do not."""
    zero = TRANSPARENT if by_alpha else 0
    if noise and zero not in main:  # black that a JPEG has made a little brighter
        zero = min((code for code in main if distance(code, zero) <= NEAR), default=zero)
    borders = {code: found[code].border for code in main}
    for code in noise:
        borders[min(main, key=lambda other: distance(code, other))] += found[code].border
    frequent = max(sorted(main), key=lambda code: borders[code])
    others = main - {zero}
    if zero not in main or frequent != zero:
        raise _background_question(found, main, zero, frequent, names)
    if others == {1, WHITE} and not found[1].seen & found[WHITE].seen:
        return others  # both are how tools write "annotated", and no mask tells them apart
    return _the_one_structure(found, main, others, zero, names)


def _the_one_structure(
    found: Mapping[int, FoundLabel], main: set[int], others: set[int], zero: int, names: Mapping[str, str]
) -> set[int]:
    """Return the labels besides the background where there is one at most; raises Question where there are several."""
    if len(others) <= 1:
        return others
    called = {code: label_name(code, names) for code in sorted(others)}
    called = {code: name_of(code) if "," in name else name for code, name in called.items()}  # commas divide labels
    ground = names.get(name_of(zero), "")
    told = f" {name_of(zero)}" if not ground else "" if ground == "background" else f" ({ground})"
    raise Question(
        f"The masks hold {len(others)} labels besides the background{told}, and which of them are lesion cannot be "
        "told",
        *_table(found, main, names),
        [
            *(Answer(f"label {name} alone", {"lesion": name}) for name in called.values()),
            Answer("all of them as one", {"lesion": ",".join(called.values())}),
        ],
    )


def _background_question(
    found: Mapping[int, FoundLabel], main: set[int], zero: int, frequent: int, names: Mapping[str, str]
) -> Question:
    edges = sum(found[code].border for code in main)
    inner = {code for code in main if found[code].border <= INNER * edges}
    sets = [inner, *({code} for code in sorted(inner)), *(main - {code} for code in (zero, frequent) if code in main)]
    chosen = dict.fromkeys(frozenset(each) for each in sets if each and each != main)
    answers = [
        Answer(f"{_listed(main - each)} is background", {"lesion": ",".join(map(name_of, sorted(each)))})
        for each in chosen
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
        *_table(found, main, names),
        answers,
    )


def _listed(codes: Iterable[int]) -> str:
    return " and ".join(map(name_of, sorted(codes)))


def _table(
    found: Mapping[int, FoundLabel], main: set[int], names: Mapping[str, str]
) -> tuple[list[str], list[list[object]]]:
    every, edges = (
        sum(values) for values in zip(*((each.pixels, each.border) for each in found.values()), strict=True)
    )
    rows: list[list[object]] = [
        [
            label_name(code, names),
            f"{found[code].pixels:,}",
            f"{found[code].pixels / every:.2%}",
            found[code].masks,
            f"{found[code].border / max(edges, 1):.1%}",
        ]
        for code in sorted(main)
    ]
    return ["label", "pixels", "of all", "in masks", "of the borders"], rows
