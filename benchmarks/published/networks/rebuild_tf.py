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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

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
    from published.networks.tf.trace import COLUMNS, CONVOLUTIONS, rows_of

    layers: list[Mapping[str, object]] = []
    sources: list[Mapping[str, object]] = []
    for entry in entries():
        rows, unique = rows_of(entry.key, entry.build, entry.height, entry.width)
        layers += rows
        published = entry.published_parameters
        sources.append(
            {
                "key": entry.key,
                "family": entry.family,
                "published_name": entry.published_name,
                "library_or_source": entry.source,
                "parameters": sum(int(row["params"]) for row in rows),
                "gmacs": f"{sum(int(row['macs']) for row in rows) / 1e9:.9f}",
                "published_parameters": "" if published is None else round(published * MILLION),
                "published_gmacs": "" if entry.published_gmacs is None else entry.published_gmacs,
                "published_source": entry.published_source,
                "convolutions": sum(row["op"] in CONVOLUTIONS for row in rows),
                "convolutions_in_log": "" if entry.convolutions_in_log is None else entry.convolutions_in_log,
                "exact": entry.exact,
                "unique_parameters": unique,
            }
        )
    # No time in the compressed file, so that the same rows make the same bytes.
    (HERE / "layers_tf.csv.gz").write_bytes(gzip.compress(_csv(COLUMNS, layers), mtime=0))
    (HERE / "sources_tf.csv").write_bytes(_csv(SOURCES, sources))
    print(f"{len(sources)} networks, {len(layers)} operators")


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    main()
