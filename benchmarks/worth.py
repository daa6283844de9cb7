"""Is the search worth its hours? ``ussearch run`` beside the best that the same hours give without it.

BUSI (647 images), 128×128, its three published splits, raspberry-pi-5, two cores, 30 minutes each. Naive arms: LV-UNet
from chance; the preset that validates best on split 1 after ten minutes; the better of both with all widths scaled to
half of LV-UNet's milliseconds and to ours; the best pretrained preset. Ours: the edge network of the run that also
makes the pair, from chance and with what lies on this machine; and runs whose device allows a half and a third of
LV-UNet's milliseconds. ``choose`` looks at split 1's validation part; test lists judge what the others made, once.

    python benchmarks/worth.py --data DIR [--stages speed,choose,ours,limited,naive,page] [--seconds 1800]

``choose`` and ``naive`` have lengths in epochs, measured by ``speed`` on an idle machine (rows ``speed-…``), and may
run beside other work; ``ours`` and ``limited`` keep to the clock, with as much more time as today's machine is slower,
and want an idle one. Every row is a file in ``benchmarks/data/worth``, and the same command continues after a kill.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from hours import naive, ours, page
from hours.arms import EDGE, RIVAL, ROOT, ROWS, SPLITS, Arm, Setting
from hours.judged import judged
from hours.ours import Search

from ussearch.errors import UserError
from ussearch.evaluators import trace
from ussearch.files import write_atomically
from ussearch.hardware_profiles import load_profile
from ussearch.search_spaces import load_preset, preset_names
from ussearch.weights import known_weights, located

REPORT = ROOT / "docs" / "results" / "worth.md"
CHOOSING_SHARE = 1 / 3
"""Of the time: ten minutes of thirty for each preset that is tried on split 1."""
LEAST_EPOCHS = 5
"""A preset that is trained for fewer in that time is not tried."""
HALF = 1 / 2
"""Of LV-UNet's milliseconds."""
SEARCHES = {
    "ours": (Search("ours", "off"), Search("ours", "auto")),
    "limited": (Search("half", "off", HALF), Search("third", "off", 1 / 3)),
}
"""The runs of a stage."""
STAGES = ("speed", "choose", "ours", "limited", "naive", "page")


def main() -> int:
    """Make the rows of the stages that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of BUSI, with the published lists in splits/")
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--splits", default=",".join(map(str, SPLITS)))
    parser.add_argument("--report", type=Path, default=REPORT)
    arguments = parser.parse_args()
    scratch = ROOT / "studies" / "worth" if arguments.rows == ROWS else arguments.rows / "scratch"
    setting = Setting(arguments.data, seconds=arguments.seconds, rows=arguments.rows, scratch=scratch)
    splits, stages = tuple(map(int, arguments.splits.split(","))), arguments.stages.split(",")
    try:
        if "speed" in stages:
            measure(setting)
        if "choose" in stages:
            choose(setting)
        for each in (each for stage in stages for each in SEARCHES.get(stage, ())):
            for number in splits:
                tell(search(setting, number, each))
        if "naive" in stages:
            for number in splits:
                for arm in arms(setting, number):
                    tell(train(setting, arm, number))
        if "page" in stages:
            write_atomically(arguments.report, page.page(setting, splits, arms(setting, splits[0]), mode(setting)))
    except UserError as error:
        print(f"worth.py: {error}", file=sys.stderr)
        return 2
    return 0


def tell(row: dict[str, Any]) -> None:
    """Print one row."""
    print(f"{row['name']}: {row['network']}, {row['latency_ms']:.1f} ms", flush=True)


def preset_arm(name: str, weights: str = "") -> Arm:
    """Return a preset as it was published, from chance or from published weights."""
    architecture = load_preset(name).architecture.for_task()
    return Arm(f"{name}{'-pretrained' if weights else ''}", architecture.name, architecture, weights)


def measure(setting: Setting) -> None:
    """Measure how long steps take, for the lengths of everything that goes by epochs."""
    modes: tuple[naive.Mode, ...] = ("restarts", "threads")
    for arm in [setting.yardstick, *candidates(setting, pretrained=False)]:
        for each in modes:
            print(f"{arm.key}, {each}: {naive.epochs_in(setting, arm, each)} epochs", flush=True)


def choose(setting: Setting) -> None:
    """Decide on split 1, by validation: restarts or threads, the best preset, the best pretrained one."""
    rival = preset_arm(RIVAL)
    modes: tuple[naive.Mode, ...] = ("restarts", "threads")
    found = {each: naive.trained(setting, rival, 1, each) for each in modes}
    best_mode = max(modes, key=lambda each: float(found[each]["validation"]))
    setting.keep("chosen-mode", {"mode": best_mode})
    for weights in (False, True):
        tried = {}
        for arm in candidates(setting, pretrained=weights):
            short = naive.shorter(arm, CHOOSING_SHARE * setting.seconds)
            if naive.epochs_in(setting, short, best_mode) >= LEAST_EPOCHS:
                row = naive.trained(setting, short, 1, best_mode)
                tried[arm.architecture.name] = float(row["validation"])
        best = max(tried, key=lambda name: tried[name])
        setting.keep("chosen-pretrained" if weights else "chosen-preset", {"preset": best, "validation": tried})


def candidates(setting: Setting, *, pretrained: bool) -> Iterator[Arm]:
    """Yield every preset that fits the device, or those of them that start from weights on this machine."""
    profile = load_profile(EDGE)
    weights = {preset: source for source in known_weights() if located(source) for preset in source.presets}
    for name in preset_names():
        architecture = load_preset(name).architecture.for_task()
        fits = setting.image_size % architecture.size_divisor == 0
        if fits and trace(architecture, setting.image_size).costs(profile).feasible:
            if not pretrained:
                yield preset_arm(name)
            elif name in weights:
                yield preset_arm(name, weights[name].name)


def chosen(setting: Setting, what: str, key: str) -> str:
    """Return a decision of ``choose``; raises UserError where it was not made."""
    row = setting.known(f"chosen-{what}")
    if row is None:
        raise UserError("Nothing is chosen yet: run the stage choose first.")
    return str(row[key])


def mode(setting: Setting) -> naive.Mode:
    """Return how naive arms use two cores."""
    return "threads" if chosen(setting, "mode", "mode") == "threads" else "restarts"


def arms(setting: Setting, number: int) -> list[Arm]:
    """Return the naive arms of a split: networks as published, and scaled to half of LV-UNet's time and to ours.

    Our milliseconds are those of the run from chance on that split; that arm is there once the run is.
    """
    best, pretrained = chosen(setting, "preset", "preset"), chosen(setting, "pretrained", "preset")
    source = next(source.name for source in known_weights() if pretrained in source.presets)
    found = [preset_arm(RIVAL), *([preset_arm(best)] if best != RIVAL else []), preset_arm(pretrained, source)]
    wanted_ms = {"half": HALF * setting.latency_ms(setting.yardstick.architecture)}
    row = setting.known(f"ours-off-split{number}")
    if row is not None and row["latency_ms"] is not None:
        wanted_ms["ours"] = float(row["latency_ms"])
    for title, target_ms in wanted_ms.items():
        architecture = setting.at_latency(best, target_ms)
        words = {"half": "half of LV-UNet's milliseconds", "ours": "the milliseconds of ours"}[title]
        found.append(Arm(f"{best}-{title}", f"{best} scaled to {words}", architecture))
    return found


def search(setting: Setting, number: int, asked: Search) -> dict[str, Any]:
    """Return the row of a run, whose networks are judged."""
    row = ours.searched(setting, number, asked, lambda: naive.pace(setting, mode(setting)))
    for tier in ("edge", "cloud"):
        judged(setting, number, f"{row['name']}-{tier}", partial(ours.answers, setting, number, row["name"], tier))
    ours.routed(setting, number, row["name"])
    return row


def train(setting: Setting, arm: Arm, number: int) -> dict[str, Any]:
    """Return the row of a naive arm, which is judged."""
    row = naive.trained(setting, arm, number, mode(setting), judged=True)
    judged(setting, number, row["name"], partial(naive.probabilities, setting, arm, number, row["name"]))
    return row


if __name__ == "__main__":
    raise SystemExit(main())
