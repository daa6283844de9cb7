"""Write the layers of the TensorFlow networks again: ``layers_tf.csv.gz`` and ``sources_tf.csv`` beside this file.

Run it as ``python benchmarks/published/networks/rebuild_tf.py``. Both tables come out the same byte for byte.

Columns of ``layers_tf.csv.gz``: one row per operator, as ATen names it, in the order in which they run. Elements read
count the inputs, and the parameters of batch norms, but not the weights of convolutions, which ``params`` holds.
A transposed convolution multiplies its weights with each pixel of its input, any other for each of its output.
Nearest upsampling by two, which TensorFlow's detectors write as stacks and reshapes, is one row.
``parameters`` in ``sources_tf.csv`` is the sum of ``params``: what all convolutions read, so that weights shared by
several levels count once for each. ``unique_parameters`` counts every trainable one once, batch norms included.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from recorder import COLUMNS, CONVOLUTIONS, record

HERE = Path(__file__).resolve().parent
SOURCES = (
    "key",
    "family",
    "published_name",
    "library_or_source",
    "parameters",
    "gmacs",
    "published_parameters",
    "published_gmacs",
    "published_source",
    "convolutions",
    "convolutions_in_log",
    "exact",
    "unique_parameters",
)
MILLION = 1_000_000


def main() -> None:
    """Trace every network and write both tables."""
    sys.path.insert(0, str(HERE.parents[1]))
    from published.networks.tf.catalogue import entries

    layers: list[tuple[str, ...]] = []
    sources: list[tuple[object, ...]] = []
    for entry in entries():
        with torch.device("meta"):
            network, image = entry.build(), torch.empty(1, 3, entry.height, entry.width)
        rows = record(network, image)
        layers += [row.cells(entry.key, index) for index, row in enumerate(rows)]
        published = entry.published_parameters
        sources.append(
            (
                entry.key,
                entry.family,
                entry.published_name,
                entry.source,
                sum(row.params for row in rows),
                f"{sum(row.macs for row in rows) / 1e9:.9f}",
                "" if published is None else round(published * MILLION),
                "" if entry.published_gmacs is None else entry.published_gmacs,
                entry.published_source,
                sum(row.op in CONVOLUTIONS for row in rows),
                "" if entry.convolutions_in_log is None else entry.convolutions_in_log,
                entry.exact,
                sum(parameter.numel() for parameter in network.parameters()),
            )
        )
    # No time in the compressed file, so that the same rows make the same bytes.
    (HERE / "layers_tf.csv.gz").write_bytes(gzip.compress(_csv(COLUMNS, layers), mtime=0))
    (HERE / "sources_tf.csv").write_bytes(_csv(SOURCES, sources))
    print(f"{len(sources)} networks, {len(layers)} operators")


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    main()
