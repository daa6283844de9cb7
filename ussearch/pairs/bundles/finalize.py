"""The end of writing a bundle: the runner for the board, its card, then its seal."""

from __future__ import annotations

from pathlib import Path

from ussearch.compress import Compression
from ussearch.evaluators import End
from ussearch.pairs.bundles.integrity import digests, profile_in, seal
from ussearch.pairs.bundles.manifest import Manifest
from ussearch.pairs.bundles.model_card import CARD, model_card
from ussearch.serving.board import run_edge_source

RUNNER = "run_edge.py"
COMPRESSION = "edge/compression.json"


def finalize(folder: Path, manifest: Manifest) -> None:
    """Write the runner and the model card of ``manifest`` into ``folder`` and seal everything there.

    Its ``files`` are found anew. The runner is today's, also in a bundle of before: it reads what ``manifest`` says.
    """
    (folder / RUNNER).write_text(run_edge_source(), encoding="utf-8")
    record = folder / COMPRESSION
    compression = None
    if record.is_file():
        compression = Compression.model_validate_json(record.read_text(encoding="utf-8"))
    ends: tuple[End, ...] = ("edge", "cloud")
    profiles = {end: profile_in(folder, end) for end in ends}
    (folder / CARD).write_text(model_card(manifest, profiles, compression), encoding="utf-8")
    seal(folder, manifest.model_copy(update={"files": digests(folder)}))
