"""The page of what was measured on a card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cards.bench import preset
from ussearch.studies.estimates import YARDSTICKS, fitted_prices, launches, training_work

SIDE, PLANNED_BATCH = 256, 4
Rows = Mapping[str, Mapping[str, Any]]
CLOSE = {"logits": 1e-3, "gradients": 1e-2, "movement": 0.1}
"""How far steps on a card may be from the CPU's: sums in another order, grown by five steps of AdamW."""
HEADS = {"logits": "logits", "gradients": "gradients", "movement": "weights after five steps"}


def text_of(kept: Mapping[str, Any]) -> str:
    """Return the page, Markdown, of rows with the machine that they belong to."""
    machine, rows = kept["machine"], kept["rows"]
    lines = [
        "# Training on a GPU",
        "",
        f"Made by `benchmarks/gpu.py` on {machine['device']} (compute capability {machine['capability']}), torch "
        f"{machine['torch']}, CUDA {machine['CUDA']}. Presets on phantoms at {SIDE}×{SIDE}.",
        "",
    ]
    for part in (_parity, _bfloat16, _batches, _workers, _graphs, _plan, _launches, _data, _failed):
        lines += [*part(rows)]
    return "\n".join(lines)


def _group(rows: Rows, group: str) -> dict[str, Mapping[str, Any]]:
    """Return the rows of a group that succeeded, by the rest of their keys."""
    named = {key.removeprefix(f"{group}/"): row for key, row in rows.items() if key.startswith(f"{group}/")}
    return {key: row for key, row in named.items() if "failed" not in row}


def _table(title: str, head: list[str], body: list[list[str]], *after: str) -> Iterator[str]:
    if body:
        yield from (f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
        yield from (f"| {' | '.join(cells)} |" for cells in body)
        yield from ("", *after, *([""] if after else []))


def _parity(rows: Rows) -> Iterator[str]:
    found = _group(rows, "parity")
    body = [[name, *(f"{row[key]:.1e}" for key in HEADS)] for name, row in found.items()]
    far = [name for name, row in found.items() if any(row[key] > limit for key, limit in CLOSE.items())]
    limits = ", ".join(f"{HEADS[key]} {limit:g}" for key, limit in CLOSE.items())
    verdict = f"Limits: {limits}; " + (f"MISSED by {', '.join(far)}." if far else "all are kept.")
    yield from _table("The same as on the CPU, in float32", ["distance of", *HEADS.values()], body, verdict)


def _bfloat16(rows: Rows) -> Iterator[str]:
    head = ["network", "pixels that another mask has, %", "Dice of training in bfloat16", "in float32"]
    body = [
        [name, f"{100 * row['pixels_differing']:.3f}", f"{row['bf16']:.3f}", f"{row['fp32']:.3f}"]
        for name, row in _group(rows, "bf16").items()
    ]
    yield from _table("bfloat16", head, body)


def _batches(rows: Rows) -> Iterator[str]:
    found = {tuple(key.split("/")): row for key, row in _group(rows, "batch").items()}
    sizes = sorted({int(size) for _, _, size in found})
    body = []
    for name, precision in dict.fromkeys((name, precision) for name, precision, _ in found):
        cells = [found.get((name, precision, str(size))) for size in sizes]
        body.append([name, precision, *("" if row is None else f"{row['images_a_second']:.0f}" for row in cells)])
    head = ["network", "precision", *(f"batch {size}" for size in sizes)]
    yield from _table("Images a second, by the size of the batch", head, body)


def _workers(rows: Rows) -> Iterator[str]:
    found = {int(key): row for key, row in _group(rows, "workers").items()}
    alone = found.get(1, {}).get("images_a_second")
    body = [
        [
            str(number),
            f"{found[number]['images_a_second']:.0f}",
            "" if alone is None else f"{found[number]['images_a_second'] / alone:.2f}",
        ]
        for number in sorted(found)
    ]
    head = ["processes on one GPU", "images a second, together", "of one process"]
    yield from _table("Several workers on one GPU", head, body, "`cea-net-standin` in batches of 4.")


def _graphs(rows: Rows) -> Iterator[str]:
    body = [
        [*key.split("/"), f"{row['eager']:.0f}", f"{row['captured']:.0f}", f"{row['captured'] / row['eager']:.2f}"]
        for key, row in _group(rows, "graph").items()
    ]
    head = ["network", "batch", "launched one by one, images/s", "as a CUDA graph", "factor"]
    yield from _table("CUDA graphs", head, body, "Batches, augmentation and the schedule are not in these steps.")


def _plan(rows: Rows) -> Iterator[str]:
    """Tell what a plan that timed the yardsticks predicts of the others."""
    found = _group(rows, "batch")
    measured = {key.split("/")[0]: row for key, row in found.items() if key.endswith(f"/bf16/{PLANNED_BATCH}")}
    timed = [name for name in YARDSTICKS if name in measured]
    if len(timed) < 2:
        return
    counts = {name: launches(preset(name)) for name in measured}
    work = {name: PLANNED_BATCH * training_work(preset(name), SIDE) for name in measured}
    seconds = [measured[name]["step_ms"] / 1e3 for name in timed]
    per_launch, per_unit = fitted_prices(seconds, [counts[n] for n in timed], [work[n] for n in timed])
    body = []
    for name, row in measured.items():
        predicted = 1e3 * max(per_launch * counts[name], per_unit * work[name])
        kind = "timed" if name in timed else ""
        body.append([name, kind, f"{row['step_ms']:.1f}", f"{predicted:.1f}", f"{predicted / row['step_ms']:.2f}"])
    head = ["network", "", "a step, ms", "predicted, ms", "factor"]
    yield from _table("What a plan predicts", head, body, "The four that a plan times decide the prices.")


def _launches(rows: Rows) -> Iterator[str]:
    body = [[kind, f"{row['launches']:.0f}", f"{row['step_ms']:.1f}"] for kind, row in _group(rows, "launches").items()]
    yield from _table("Launches", ["a step of", "kernels launched", "ms"], body)


def _data(rows: Rows) -> Iterator[str]:
    for row in _group(rows, "data").values():
        resident, copied = (f"{row[key]:.0f}" for key in ("resident", "copied"))
        yield f"Training data on the GPU: {resident} images a second; copied batch by batch, as without room: {copied}."
        yield ""


def _failed(rows: Rows) -> Iterator[str]:
    body = [[key, row["failed"].replace("|", "/")] for key, row in rows.items() if "failed" in row]
    yield from _table("What failed", ["measurement", "error"], body)
