"""Rebuilds the layer lists of networks whose latencies others published, and checks their sizes.

Writes ``layers_pytorch.csv.gz``, one row an operator, and ``sources.csv``, one row a network: where its definition
comes from, its parameters and GMACs, what others printed for them, and what we get counting as they did. Nothing is
downloaded and nothing is computed: the networks run once, without memory, on PyTorch's meta device.

    pip install torch==2.14.1 torchvision==0.29.1 timm==1.0.31 effdet==0.4.1 transformers==5.24.0
    python benchmarks/published/networks/rebuild.py [--check]

Names in ``published_name`` are those of the measurements, file names without folder and ending, with a semicolon
between several of one graph.
``parameters`` are all that are learned; ``layer_parameters`` the sum over the rows, which leaves out norms, scales and
embeddings, and counts weights that are used at several sizes at each use.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import edge_detectors
import netspresso
import paddle_classifiers
import picodet
import torch
import torchvision_networks
from entry import Entry
from recorder import COLUMNS, Row, record

FOLDER = Path(__file__).parent
LAYERS, SOURCES = FOLDER / "layers_pytorch.csv.gz", FOLDER / "sources.csv"
COLLECTIONS = (torchvision_networks, netspresso, paddle_classifiers, picodet, edge_detectors)
SOURCE_COLUMNS = (
    "key",
    "family",
    "published_name",
    "library_or_source",
    "parameters",
    "gmacs",
    "published_parameters",
    "published_gmacs",
    "published_source",
    "exact",
    "layer_parameters",
    "counted_parameters",
    "counted_gmacs",
)
UNITS = {"M": 1e6}


@dataclass(frozen=True)
class Rebuilt:
    """A network's rows, and its size counted plainly and as its publisher counts."""

    entry: Entry
    rows: list[Row]
    parameters: int
    counted_parameters: int
    counted_operations: int

    @property
    def macs(self) -> int:
        """Return the multiply-accumulates of all rows."""
        return sum(row.macs for row in self.rows)

    def exact(self) -> str:
        """Return ``yes``, ``yes: remark`` or ``no: reason``, by comparison with the published figures."""
        wrong = []
        if not agrees(self.counted_parameters, self.entry.published_parameters, 1):
            wrong.append("parameters differ from the published ones")
        if not agrees(self.counted_operations, self.entry.published_gmacs, 1e9) and not self.entry.remark:
            wrong.append("operations differ from the published ones")
        if wrong:
            return "no: " + ", ".join(wrong)
        return f"yes: {self.entry.remark}" if self.entry.remark else "yes"

    def cells(self) -> tuple[str, ...]:
        """Return the network's line of ``sources.csv``."""
        entry = self.entry
        return (
            entry.key,
            entry.family,
            entry.published_name,
            entry.source,
            str(self.parameters),
            _billions(self.macs),
            entry.published_parameters,
            entry.published_gmacs,
            entry.published_source,
            self.exact(),
            str(sum(row.params for row in self.rows)),
            str(self.counted_parameters),
            _billions(self.counted_operations),
        )


def agrees(counted: int, published: str, unit: float) -> bool:
    """Return whether a count is what was printed, to one unit of its last digit or to 1 %, or nothing was printed."""
    if not published:
        return True
    unit *= UNITS.get(published[-1], 1)
    digits = published.rstrip("".join(UNITS))
    last_digit = 10.0 ** -len(digits.partition(".")[2]) * unit
    value = float(digits) * unit
    # A whole number without a unit is a count, which leaves no doubt.
    if digits.isdigit() and unit == 1:
        return counted == value
    return abs(counted - value) <= max(last_digit, 0.01 * value)


def rebuild(entry: Entry) -> Rebuilt:
    """Build a network, and the one whose size was published, and record what they do."""
    with torch.device("meta"):
        picture = torch.empty(1, 3, *entry.size)
        network = entry.build()
        published = entry.build_published() if entry.build_published else network
    rows = record(network, picture)
    counted = entry.count(published, record(published, picture))
    return Rebuilt(entry, rows, sum(parameter.numel() for parameter in network.parameters()), *counted)


def main() -> None:
    """Rebuild, report and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the written tables differ")
    arguments = parser.parse_args()
    rebuilt = [rebuild(entry) for collection in COLLECTIONS for entry in collection.entries()]
    for network in rebuilt:
        print(f"{network.entry.key:42}{len(network.rows):5} operators{network.macs / 1e9:9.3f} GMAC  {network.exact()}")
    layers = [row.cells(network.entry.key, index) for network in rebuilt for index, row in enumerate(network.rows)]
    texts = {LAYERS: _table(COLUMNS, layers), SOURCES: _table(SOURCE_COLUMNS, [network.cells() for network in rebuilt])}
    for path, text in texts.items():
        if not arguments.check:
            write(path, text)
        elif read(path) != text:
            parser.exit(1, f"{path.name} differs from what these libraries make\n")


def write(path: Path, text: str) -> None:
    """Write a table; compressed ones hold no time, so that the same rows make the same file."""
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read(path: Path) -> str:
    """Read a table as text."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()


def _billions(count: int) -> str:
    return f"{count / 1e9:.9f}"


if __name__ == "__main__":
    main()
