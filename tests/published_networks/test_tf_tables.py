"""The tables of the rebuilt TensorFlow networks agree with themselves, with the logs and with the programs."""

from __future__ import annotations

import csv
import gzip
from math import prod
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ROOT / "benchmarks" / "published" / "networks"
CONVOLUTIONS = {"conv", "pointwise_conv", "depthwise_conv", "grouped_conv", "conv_transpose"}
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def sources() -> Rows:
    return list(csv.DictReader((NETWORKS / "sources_tf.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def layers() -> dict[str, Rows]:
    text = gzip.decompress((NETWORKS / "layers_tf.csv.gz").read_bytes()).decode()
    networks: dict[str, Rows] = {}
    for row in csv.DictReader(text.splitlines()):
        networks.setdefault(row["network"], []).append(row)
    return networks


def test_every_network_has_layers_in_order(sources: Rows, layers: dict[str, Rows]) -> None:
    keys = [source["key"] for source in sources]
    assert keys == list(layers)  # both are in one order, so that no key is there twice
    for rows in layers.values():
        assert [int(row["index"]) for row in rows] == list(range(len(rows)))


def test_sums_equal_the_sources(sources: Rows, layers: dict[str, Rows]) -> None:
    for source in sources:
        rows = layers[source["key"]]
        assert sum(int(row["params"]) for row in rows) == int(source["parameters"])
        assert sum(int(row["macs"]) for row in rows) == round(float(source["gmacs"]) * 1e9)
        assert sum(row["op"] in CONVOLUTIONS for row in rows) == int(source["convolutions"])


def test_work_follows_from_shapes(layers: dict[str, Rows]) -> None:
    for row in (row for rows in layers.values() for row in rows):
        read, written = _sizes(row["in_shape"]), _sizes(row["out_shape"])
        assert int(row["out_elements"]) == prod(written)
        assert int(row["in_elements"]) >= prod(read)
        if row["op"] not in CONVOLUTIONS:
            assert (row["macs"], row["params"]) == ("0", "0")
            continue
        kernel, groups = prod(_sizes(row["kernel"])), int(row["groups"])
        if row["op"] == "conv_transpose":
            macs = prod(read) * written[1] // groups * kernel
            weights = read[1] * written[1] // groups * kernel
        else:
            macs = prod(written) * read[1] // groups * kernel
            weights = written[1] * read[1] // groups * kernel
            sizes = zip(read[2:], _sizes(row["stride"]), strict=True)
            assert written[2:] == [-(-size // stride) for size, stride in sizes]  # TensorFlow's 'SAME'
        assert int(row["macs"]) == macs
        assert int(row["params"]) in {weights, weights + written[1]}
        assert int(row["in_elements"]) == prod(read)


def test_logs_list_as_many_convolutions(sources: Rows) -> None:
    logged = [source for source in sources if source["convolutions_in_log"]]
    assert len(logged) == 14
    for source in logged:
        assert source["convolutions"] == source["convolutions_in_log"]


def test_published_sizes_are_near(sources: Rows) -> None:
    for source in sources:
        assert source["exact"].startswith(("yes", "no: "))
        if source["published_gmacs"]:
            assert float(source["gmacs"]) == pytest.approx(float(source["published_gmacs"]), rel=0.02)
        if source["published_parameters"] and not source["family"].endswith("-edgetpu"):
            assert int(source["unique_parameters"]) == pytest.approx(int(source["published_parameters"]), rel=0.02)


def test_fused_argmax_differs_only_after_the_logits(layers: dict[str, Rows]) -> None:
    for size in ("deeplab-edgetpu_{}_argmax_xs", "autoseg-edgetpu_{}_argmax_s"):
        default, fused = (layers[f"nobuo/{size.format(argmax)}@512"] for argmax in ("default", "fused"))
        differ = {row["op"] for row, other in zip(default, fused, strict=False) if row["macs"] != other["macs"]}
        assert not differ
        assert fused[-1]["op"] == "upsample_nearest2d"
        assert fused[-1]["out_shape"] == default[-1]["out_shape"] == "1x1x512x512"


@pytest.mark.usefixtures("benchmarks_importable")
@pytest.mark.parametrize(
    "key", ["nobuo/autoseg-edgetpu_fused_argmax_xs@512", "nobuo/ssd_mobilenet_v3_small_320x320_coco@320"]
)
def test_programs_give_the_tables(layers: dict[str, Rows], key: str) -> None:
    import torch
    from published.networks.recorder import COLUMNS, record
    from published.networks.tf.catalogue import entries

    entry = next(entry for entry in entries() if entry.key == key)
    with torch.device("meta"):
        rows = record(entry.build(), torch.empty(1, 3, entry.height, entry.width))
    found = [dict(zip(COLUMNS, row.cells(key, index), strict=True)) for index, row in enumerate(rows)]
    assert found == layers[key]


def _sizes(shape: str) -> list[int]:
    return [int(size) for size in shape.split("x")]
