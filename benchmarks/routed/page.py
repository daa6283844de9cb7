"""The page ``docs/results/routing.md``, from the committed tables alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from routed.figures import (
    ALPHA,
    BOUND,
    SHIFTED,
    TEST,
    Judged,
    judged_folds,
    judged_parts,
    pooled_seeds,
    promised,
)
from routed.runs import SETTING
from routed.sets import BLUR, GAIN, SPECKLE
from ussearch.pairs.routing.curves import CurveComparison, CurveRow
from ussearch.pairs.routing.router_comparison import IMAGE_COMPLEXITY, LEARNED, SDC

HEAD = """# What routing is worth

Written by `benchmarks/routing.py` from the tables in `benchmarks/data/routing`. Dice over all images, both masks empty
counting 1; intervals are 95 % of a bootstrap over patients (phantoms: images). APGR is the area under (Q − edge) /
(cloud − edge), 0.5 by chance; skill is 0 by chance and 1 for the oracle. The phantoms' generator is fixed by
`tests/pairs/routing/test_phantoms_fixed.py`; no label of difficulty reaches any router.
"""


def page(tables: Path) -> str:
    """Return the page of everything that is in ``tables``."""
    setting = tables / SETTING
    text = [HEAD, *([setting.read_text(encoding="utf-8")] if setting.is_file() else [])]
    parts, moved = judged_parts(tables, TEST), judged_parts(tables, SHIFTED)
    if parts:
        text.append(on_phantoms(parts))
    if moved:
        shift = f"Grey levels × {GAIN}, noise × (1 ± {SPECKLE}), blur of {BLUR} pixels; networks and router as above.\n"
        text += ["## Shifted phantoms\n", shift, _routers(pooled_seeds(moved).comparison())]
    for name in ("busi-647", "busi-780"):
        if (tables / name).is_dir():
            text += [f"## BUSI, {name[5:]} images\n", "Out of fold; the learned router by nested cross-validation.\n"]
            text.append(_routers(judged_folds(tables / name).comparison()))
    return "\n".join(text)


def on_phantoms(parts: Sequence[Judged]) -> str:
    """Return what every router is worth on the default phantoms, seed by seed and pooled, and conformal control."""
    whole = pooled_seeds(parts)
    found = whole.comparison()
    text = ["## Default phantoms\n", _seeds(parts), _routers(found), _demands(found, len(parts))]
    return "\n".join([*text, "## Conformal risk control\n", _conformal(whole)])


def _seeds(parts: Sequence[Judged]) -> str:
    lines = ["| seed | test images | edge | cloud | gap (95 %) | SDC skill | learned skill | learned APGR |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for number, part in enumerate(parts):
        found = part.comparison(draws=300)
        rows = {row.name: row for row in found.rows}
        lines.append(
            f"| {number} | {found.images} | {found.edge_dice:.3f} | {found.cloud_dice:.3f} | {_gap(found)} | "
            f"{_number(rows[SDC].skill)} | {_number(rows[LEARNED].skill)} | {_number(rows[LEARNED].apgr)} |"
        )
    return "\n".join(lines) + "\n"


def _routers(found: CurveComparison) -> str:
    head = (
        f"{found.images} images; edge {found.edge_dice:.3f}, cloud {found.cloud_dice:.3f}, gap {_gap(found)} points.\n"
    )
    lines = [head, "| router | APGR (95 %) | skill (95 %) | skill beyond SDC (95 %) | calls saved at 1 point |"]
    lines.append("|---|---|---|---|---|")
    for row in found.rows:
        beyond = found.beyond.get(row.name)
        more = "" if beyond is None else _signed(beyond)
        saved = "–" if row.calls_saved is None else f"{row.calls_saved:.0%}"
        apgr, skill = _bounded(row.apgr, row.apgr_interval), _bounded(row.skill, row.skill_interval)
        lines.append(f"| {row.name} | {apgr} | {skill} | {more} | {saved} |")
    return "\n".join(lines) + "\n"


def _demands(found: CurveComparison, seeds: int) -> str:
    """Return what was asked for, what was seen, and whether it holds."""
    if LEARNED not in found.beyond:
        return "Both networks score the same on every image: there is nothing to route.\n"
    rows = {row.name: row for row in found.rows}
    beyond, gap = found.beyond[LEARNED], found.gap
    clear = 0.03 <= gap <= 0.12 and found.gap_interval[0] > 0.02
    learned, sdc, plain = rows[LEARNED], rows[SDC], rows[IMAGE_COMPLEXITY]
    demands = [
        ("gap 3 to 12 points, interval above 2", _gap(found), clear),
        ("skill of image complexity at most 0.20", _number(plain.skill), _skill(plain) <= 0.20),
        ("skill of SDC 0.15 to 0.50", _number(sdc.skill), 0.15 <= _skill(sdc) <= 0.50),
        ("learned APGR at least 0.65", _number(learned.apgr), (learned.apgr or 0) >= 0.65),
        ("learned skill at least 0.35", _number(learned.skill), _skill(learned) >= 0.35),
        ("learned beyond SDC, interval above 0", _signed(beyond), beyond[1] > 0),
    ]
    lines = [f"All {seeds} seeds pooled:\n", "| asked for | seen | holds |", "|---|---|---|"]
    lines += [f"| {asked} | {seen} | {'yes' if holds else 'no'} |" for asked, seen, holds in demands]
    verdict = "A learned router ships." if beyond[1] > 0 else "Soft Dice Confidence ships: the table is the evidence."
    return "\n".join([*lines, "", verdict, ""])


def _conformal(whole: Judged) -> str:
    lines = [f"Risk {100 * ALPHA:g} points, losses of an image up to {BOUND:g}; it holds on average, not per site.\n"]
    lines += [
        "| router | images | splits | mean loss ± SE | offload | naive | splits above, conformal | naive | holds |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for router in (SDC, LEARNED):
        for images in (150, 300):
            if len(whole.samples) < 2 * images:
                continue
            p = promised(whole, router, images)
            lines.append(
                f"| {router} | {images} | {p.splits} | {100 * p.mean_loss:.2f} ± {100 * p.standard_error:.2f} | "
                f"{p.offload:.0%} | {p.naive_offload:.0%} | {p.violations:.0%} | {p.naive_violations:.0%} | "
                f"{'yes' if p.kept else 'no'} |"
            )
    return "\n".join(lines) + "\n"


def _gap(found: CurveComparison) -> str:
    low, high = found.gap_interval
    return f"{100 * found.gap:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _signed(difference: tuple[float, float, float]) -> str:
    return f"{difference[0]:+.3f} ({difference[1]:+.3f} to {difference[2]:+.3f})"


def _skill(row: CurveRow) -> float:
    return row.skill or 0.0


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _bounded(value: float | None, bounds: tuple[float, float] | None) -> str:
    return _number(value) if bounds is None else f"{_number(value)} ({bounds[0]:.2f} to {bounds[1]:.2f})"
