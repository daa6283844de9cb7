"""The card of a bundle: its figures are the bundle's, and it tells nothing that it may not tell."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime

from ussearch.pairs import Bundle, Member, PairData, write_bundle
from ussearch.pairs.bundles.model_card import CARD
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.pairs.routing.policies import SharePolicy

HEADINGS = (
    "Intended use",
    "Networks and devices",
    "Data",
    "Figures on the test images",
    "Thresholds",
    "Compression",
    "Limits",
    "Reproduction",
)


def card_of(bundle: Bundle) -> str:
    return (bundle.folder / CARD).read_text(encoding="utf-8")


def section(card: str, heading: str) -> str:
    return re.split(r"^## ", card.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def test_it_has_every_section_once(finished: Bundle) -> None:
    assert re.findall(r"^## (.*)$", card_of(finished), re.MULTILINE) == list(HEADINGS)


def test_its_figures_are_those_of_the_files(finished: Bundle, pair_data: PairData) -> None:
    """Dice by a plain loop over what onnxruntime answers."""
    chosen = list(pair_data.split.test)
    shown = {}
    for tier in ("edge", "cloud"):
        session = onnxruntime.InferenceSession(str(finished.folder / tier / "model.onnx"))
        dice = []
        for index in chosen:
            image, truth = pair_data.images.images[index][None], pair_data.images.masks[index][None] > 0
            guess = session.run(["logits"], {session.get_inputs()[0].name: image.astype(np.float32)})[0] >= 0
            if truth.any():
                dice.append(2 * (guess & truth).sum() / (guess.sum() + truth.sum()))
        shown[tier] = f"{np.mean(dice):.3f} ("
    lines = section(card_of(finished), "Figures on the test images").splitlines()
    for tier, figure in shown.items():
        assert any(f"| {tier} | {figure}" in line for line in lines)


def test_it_says_what_is_known_of_data_device_and_thresholds(finished: Bundle, pair_data: PairData) -> None:
    card, manifest = card_of(finished), finished.manifest
    assert pair_data.images.fingerprint in section(card, "Data") and "| test | 8 | 6 |" in section(card, "Data")
    networks = section(card, "Networks and devices")
    assert "1.5 ms (0.5 to 4.2 ms), extrapolated, predicted for jetson-nano" in networks and "fp32" in networks
    assert f"is below {manifest.router.threshold:.4f}, chosen on 8 calibration images" in section(card, "Thresholds")
    assert "no step of compression was asked for" in section(card, "Compression")
    assert "latency is extrapolated" in section(card, "Limits") and "no medical device" in section(card, "Intended use")
    assert f"onnxruntime {onnxruntime.__version__}" in section(card, "Reproduction")


def test_it_names_no_image_and_no_place(finished: Bundle, pair_data: PairData) -> None:
    card = card_of(finished)
    assert not [name for name in pair_data.images.ids if name in card]
    assert str(finished.folder) not in card and str(Path.home()) not in card


def test_classes_phantoms_and_a_torn_split_are_told(
    pair_data: PairData, edge_member: Member, cloud_member: Member, tmp_path: Path
) -> None:
    images = pair_data.images
    labels = tuple("cyst" if lesion else "none" for lesion in images.has_lesion)
    data = replace(
        pair_data,
        images=replace(images, labels=labels),
        split=replace(pair_data.split, leaking_groups=(("images/00.png", "images/31.png"),)),
        phantoms={"count": 32},
    )
    bundle = write_bundle(tmp_path / "b", edge_member, cloud_member, data, RouterSpec(SharePolicy(share=1.0)))
    card = card_of(bundle)
    figures = section(card, "Figures on the test images")
    assert "| cyst | 6, " in figures and "| none | 2, " in figures and "### By size" in figures
    assert "phantoms, made by a program" in section(card, "Intended use")
    assert "tears groups apart" in section(card, "Limits") and "1 of them are torn" in section(card, "Data")
    assert "cyst (6), none (2), small (2)" in section(card, "Limits")
    routed, edge = bundle.manifest.metrics.routed["objective"], bundle.manifest.metrics.edge["objective"]
    assert ("no better than the edge network alone" in section(card, "Limits")) == ((routed or 0.0) <= (edge or 0.0))
    assert "Every image goes to the cloud" in section(card, "Thresholds")
    assert "images/00.png" not in card


def test_tables_are_rectangular(finished: Bundle) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", card_of(finished), re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
