"""An architecture drawn as blocks: encoder down the left side, decoder up the right, skips between them (SVG)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from ussearch.report.markup import text
from ussearch.search_spaces import Architecture, Block

CELL_WIDTH, CELL_HEIGHT, CELL_GAP, ROW_GAP, LABEL_HEIGHT = 104, 38, 4, 16, 15
MIDDLE = 92
"""Room between the two sides, for the skips."""


@dataclass(frozen=True)
class Cell:
    """Equal blocks in a row: ``title`` is the kind with their number, ``detail`` widths, kernel, stride."""

    title: str
    detail: str
    kind: str


@dataclass(frozen=True)
class DiagramBox:
    """Blocks that stand side by side: ``row`` counts from the top, ``side`` 0 is the encoder's, 1 the decoder's."""

    label: str
    side: int
    row: int
    cells: tuple[Cell, ...]
    skip: tuple[int, str] | None = None
    """The row on the other side that the skip comes from, and its operator."""


def boxes(architecture: Architecture) -> tuple[DiagramBox, ...]:
    """Return what is drawn, in order of use: stages, bottleneck, decoder levels, head."""
    found = []
    for index, stage in enumerate(architecture.stages):
        pooled = (Cell("maxpool", "÷2", "pool"),) if stage.down == "maxpool" else ()
        found.append(DiagramBox(f"stage {index}", 0, index, (*pooled, *cells(stage.blocks))))
    row = len(architecture.stages) - 1
    if architecture.detail:
        widths = "·".join(map(str, architecture.detail.widths))
        cell = Cell("detail", f"widths {widths}", "detail")
        found[-1] = DiagramBox(found[-1].label, 0, row, (*found[-1].cells, cell))
    if architecture.bottleneck:
        row += 1
        found.append(DiagramBox("bottleneck", 0, row, (Cell(architecture.bottleneck.kind, "attention", "bottleneck"),)))
    for index, level in enumerate(architecture.decoder):
        skip = level.skip
        source = None if skip is None else skip.stage if skip.source == "encoder" else len(architecture.stages) - 1
        row = source if source is not None and source < row else row - 1
        blocks = cells((*level.up, *level.blocks)) or (Cell("upsampling", "", "up"),)
        operator = "" if skip is None else skip.op.replace("attention_gate", "gate")
        found.append(DiagramBox(f"level {index}", 1, row, blocks, None if source is None else (source, operator)))
    head = architecture.head
    enlarged = f"logits ×{head.upsample}" if head.upsample > 1 else f"{architecture.classes} class"
    found.append(DiagramBox("head", 1, row - 1, (Cell(head.kind, enlarged, "head"),)))
    return tuple(found)


def cells(blocks: Sequence[Block]) -> tuple[Cell, ...]:
    """Return blocks as cells, runs of equal ones as one."""
    runs = [(key, len(list(run))) for key, run in groupby(blocks, key=_described)]
    return tuple(Cell(kind if count == 1 else f"{count} × {kind}", detail, kind) for ((kind, detail), count) in runs)


def _described(block: Block) -> tuple[str, str]:
    parts = [str(block.width)] if block.width else []
    if block.kind not in ("fusible", "transposed"):
        parts.append(f"k{block.kernel}")
    if block.stride == 2:
        parts.append("s2")
    if block.resample != "none":
        parts.append(block.resample)
    if block.attention:
        parts.append(block.attention.kind)
    return block.kind.replace("_", " "), " ".join(parts)


def draw(architecture: Architecture) -> str:
    """Return the picture as an SVG element; its text is escaped."""
    drawn = boxes(architecture)
    top = min(box.row for box in drawn)
    across = {side: max(len(box.cells) for box in drawn if box.side == side) for side in (0, 1)}
    left = across[0] * (CELL_WIDTH + CELL_GAP)
    width = left + MIDDLE + across[1] * (CELL_WIDTH + CELL_GAP)
    pitch = CELL_HEIGHT + LABEL_HEIGHT + ROW_GAP
    height = (max(box.row for box in drawn) - top + 1) * pitch
    place = _Places(left, pitch, top)
    parts = [_skip(box, drawn, place) for box in drawn if box.skip]
    parts += [_arrow(first, second, place) for first, second in pairwise(drawn)]
    parts += [_box(box, place) for box in drawn]
    name = text(architecture.name or architecture.id)
    return (
        f'<svg class="blocks" viewBox="0 0 {width} {height}" style="max-width:{width}px;min-width:{width * 0.62:.0f}px"'
        f' role="img" aria-label="architecture {name}">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class _Places:
    left: int
    pitch: int
    top: int

    def corner(self, box: DiagramBox) -> tuple[int, int]:
        """Return x and y of the upper left corner of a box's cells; the encoder's end at the middle."""
        wide = len(box.cells) * (CELL_WIDTH + CELL_GAP)
        x = self.left - wide if box.side == 0 else self.left + MIDDLE
        return x, (box.row - self.top) * self.pitch + LABEL_HEIGHT

    def joint(self, box: DiagramBox) -> tuple[int, int]:
        """Return x of the inner cell's middle, and y of the box's middle."""
        half = (CELL_WIDTH + CELL_GAP) // 2
        x = self.left - half if box.side == 0 else self.left + MIDDLE + half
        return x, self.corner(box)[1] + CELL_HEIGHT // 2


def _box(box: DiagramBox, place: _Places) -> str:
    x, y = place.corner(box)
    label = f'<text class="label" x="{x}" y="{y - 4}">{text(box.label)}</text>'
    return label + "".join(_cell(cell, x + n * (CELL_WIDTH + CELL_GAP), y) for n, cell in enumerate(box.cells))


def _cell(cell: Cell, x: int, y: int) -> str:
    kind = sum(map(ord, cell.kind)) % 6
    centre = x + CELL_WIDTH // 2
    return (
        f'<rect class="kind{kind}" x="{x}" y="{y}" width="{CELL_WIDTH}" height="{CELL_HEIGHT}" rx="4"/>'
        f'<text class="title" x="{centre}" y="{y + 16}">{text(cell.title)}</text>'
        f'<text class="detail" x="{centre}" y="{y + 30}">{text(_short(cell.detail))}</text>'
    )


def _short(detail: str) -> str:
    return detail if len(detail) <= 17 else f"{detail[:16]}…"


def _skip(box: DiagramBox, drawn: Sequence[DiagramBox], place: _Places) -> str:
    row, operator = box.skip or (0, "")
    source = next(each for each in drawn if each.side == 0 and each.row == row)
    y1, y2 = place.joint(source)[1], place.joint(box)[1]
    x1, x2 = place.left - CELL_GAP, place.left + MIDDLE
    middle, height = (x1 + x2) // 2, (y1 + y2) // 2 - 4
    line = f'<path class="skip" d="M{x1} {y1}L{x2 - 3} {y2}"/><path class="tip" d="M{x2} {y2}l-7 -4v8z"/>'
    return f'{line}<text class="detail" x="{middle}" y="{height}">{text(operator)}</text>'


def _arrow(first: DiagramBox, second: DiagramBox, place: _Places) -> str:
    """Return the way of the features from one box to the next."""
    (x1, y1), (x2, y2) = place.joint(first), place.joint(second)
    if first.side == second.side:
        return f'<path class="flow" d="M{x1} {y1}V{y2}"/>'
    low = max(y1, y2)
    return f'<path class="flow" d="M{x1} {y1}V{low}H{x2}V{y2}"/>'
