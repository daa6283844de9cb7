"""The committed layer lists: complete, as large as their sources say, and with figures that follow from the shapes."""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from functools import cache
from math import prod
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "published" / "networks"
CONVOLUTIONS = {"conv", "pointwise_conv", "depthwise_conv", "grouped_conv", "conv_transpose"}
COLUMNS = "network,index,op,in_shape,out_shape,kernel,stride,groups,dilation,macs,params,in_elements,out_elements"
SHARED_HEADS = ("efficientdet", "efficientdet-lite")
"""Families that use the weights of one head at several sizes."""
TRANSFORMERS = ("efficientformer", "mobilevit", "segformer", "vit")
"""Families with parameters in layer norms, in scales and in products without a bias, which rows do not count."""


@cache
def sources() -> dict[str, dict[str, str]]:
    with (FOLDER / "sources.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row["key"]: row for row in rows}
    assert len(found) == len(rows), "a key is there twice"
    return found


@cache
def layers() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(FOLDER / "layers_pytorch.csv.gz", "rt", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == COLUMNS.split(",")
        for row in reader:
            found[row["network"]].append(row)
    return dict(found)


def shape(text: str) -> list[int]:
    return [int(side) for side in text.split("x")]


def total(rows: list[dict[str, str]], column: str) -> int:
    return sum(int(row[column]) for row in rows)


def weights(row: dict[str, str]) -> int:
    """Return the weights of a convolution or a fully connected layer, from shapes and elements alone."""
    before, after = shape(row["in_shape"]), shape(row["out_shape"])
    if row["op"] == "addmm":
        return int(row["in_elements"]) // after[0] * after[1]
    return before[1] * after[1] // int(row["groups"]) * prod(shape(row["kernel"]))


def expected_macs(row: dict[str, str]) -> int:
    before, after = shape(row["in_shape"]), shape(row["out_shape"])
    if row["op"] == "conv_transpose":
        return weights(row) * before[0] * prod(before[2:])
    if row["op"] in CONVOLUTIONS:
        return weights(row) * after[0] * prod(after[2:])
    if row["op"] == "addmm":
        return weights(row) * after[0]
    return prod(before) * after[-1] if row["op"] in {"mm", "bmm"} else 0


def agrees(counted: int, published: str, unit: float) -> bool:
    number = re.fullmatch(r"(\d+(?:\.(\d+))?)(M?)", published)
    assert number, published
    unit *= 1e6 if number[3] else 1
    tolerance = max(10.0 ** -len(number[2] or "") * unit, 0.01 * float(number[1]) * unit)
    return abs(counted - float(number[1]) * unit) <= tolerance


def test_the_tables_name_the_same_networks_in_the_same_order() -> None:
    assert list(layers()) == list(sources())
    assert len(sources()) >= 100


def test_rows_are_numbered_without_a_gap() -> None:
    for key, rows in layers().items():
        assert [int(row["index"]) for row in rows] == list(range(len(rows))), key


def test_sums_over_rows_are_those_of_the_sources() -> None:
    for key, source in sources().items():
        assert total(layers()[key], "macs") == round(float(source["gmacs"]) * 1e9), key
        assert total(layers()[key], "params") == int(source["layer_parameters"]), key


def test_parameters_are_those_of_rows_and_of_norms() -> None:
    checked = 0
    for key, source in sources().items():
        if source["family"] in {*SHARED_HEADS, *TRANSFORMERS}:
            continue
        # A batch norm reads four vectors besides its input; two of them are learned.
        norms = [row for row in layers()[key] if row["op"] == "batch_norm"]
        learned = (total(norms, "in_elements") - total(norms, "out_elements")) // 2
        assert int(source["layer_parameters"]) + learned == int(source["parameters"]), key
        checked += 1
    assert checked >= 80


def test_every_row_follows_from_its_shapes() -> None:
    for key, rows in layers().items():
        for row in rows:
            place = f"{key} {row['index']}"
            assert int(row["macs"]) == expected_macs(row), place
            assert int(row["out_elements"]) == prod(shape(row["out_shape"])), place
            bias = shape(row["out_shape"])[1] if row["op"] in {*CONVOLUTIONS, "addmm"} else 0
            allowed = {0} if not bias else {weights(row) + bias, weights(row) if row["op"] != "addmm" else -1}
            assert int(row["params"]) in allowed, place


def test_names_of_convolutions_tell_their_kind() -> None:
    for rows in layers().values():
        for row in rows:
            assert bool(row["kernel"]) == (row["op"] in CONVOLUTIONS)
            if row["op"] in {"conv", "pointwise_conv"}:
                assert row["groups"] == "1" and (row["kernel"] == "1x1") == (row["op"] == "pointwise_conv")
            if row["op"] == "depthwise_conv":
                assert int(row["groups"]) == shape(row["in_shape"])[1] > 1


def test_convolutions_shrink_maps_as_their_strides_say() -> None:
    for key, rows in layers().items():
        for row in rows:
            if row["op"] in CONVOLUTIONS - {"conv_transpose"}:
                before, after = shape(row["in_shape"])[2:], shape(row["out_shape"])[2:]
                for side, result, stride in zip(before, after, shape(row["stride"]), strict=True):
                    # Without padding, as in AlexNet and SqueezeNet, a map ends a little sooner.
                    assert side // stride - 4 <= result <= -(-side // stride), f"{key} {row['index']}"


@pytest.mark.parametrize("figure", ["parameters", "gmacs"])
def test_counted_sizes_are_the_published_ones(figure: str) -> None:
    for key, source in sources().items():
        published = source[f"published_{figure}"]
        if not source["exact"].startswith("yes") or not published or "operations" in source["exact"]:
            continue
        counted = float(source[f"counted_{figure}"]) * (1e9 if figure == "gmacs" else 1)
        assert agrees(round(counted), published, 1e9 if figure == "gmacs" else 1), key


def test_every_network_says_whether_it_is_exact_and_names_its_sources() -> None:
    for key, source in sources().items():
        assert re.fullmatch(r"yes|yes: .+|no: .+", source["exact"]), key
        for column in ("family", "published_name", "library_or_source", "published_source"):
            assert source[column], (key, column)
