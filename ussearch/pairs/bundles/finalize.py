"""The end of writing a bundle: the runner for the board, its card, then the digests of everything."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from ussearch import schema
from ussearch.compress import Compression
from ussearch.evaluators import Tier
from ussearch.pairs.bundles.bundle import profile_in
from ussearch.pairs.bundles.ensemble import ENSEMBLE, EnsembleChoice
from ussearch.pairs.bundles.manifest import Manifest
from ussearch.pairs.bundles.model_card import CARD, model_card
from ussearch.pairs.bundles.shareable import record_without_places
from ussearch.runtime.integrity import digests, write_manifest
from ussearch.serving.board import run_edge_source

RUNNER = "run_edge.py"
COMPRESSION = "edge/compression.json"
CHOICE = f"cloud/{ENSEMBLE}"
_Model = TypeVar("_Model", bound=BaseModel)


def finalize(folder: Path, manifest: Manifest) -> None:
    """Write the runner and the model card of ``manifest`` into ``folder``, and the digests of everything there.

    Its ``files`` are found anew. The runner is today's, also in a bundle of before: it reads what ``manifest`` says.
    """
    (folder / RUNNER).write_text(run_edge_source(), encoding="utf-8")
    compression = _record(folder / COMPRESSION, schema.COMPRESSION, Compression)
    choice = _record(folder / CHOICE, schema.ENSEMBLE, EnsembleChoice)
    tiers: tuple[Tier, ...] = ("edge", "cloud")
    profiles = {tier: profile_in(folder, tier) for tier in tiers}
    (folder / CARD).write_text(model_card(manifest, profiles, compression, choice), encoding="utf-8")
    write_manifest(folder, manifest.model_copy(update={"files": digests(folder)}).to_text())


def _record(path: Path, kind: schema.Schema, model: type[_Model]) -> _Model | None:
    """Return what a record in the bundle holds, and leave it there without places; None where there is none."""
    if not path.is_file():
        return None
    content = record_without_places(kind.read(path))
    path.write_text(kind.to_json(content, indent=2) + "\n", encoding="utf-8")
    return model.model_validate(content)
