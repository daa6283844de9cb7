"""How a bundle's cloud network is called on servers.

The name holds the digest of the model file: a server that holds another network does not know the name, and answers
404 instead of another network's masks.
"""

from __future__ import annotations

from ussearch.pairs.bundles.manifest import Manifest
from ussearch.pairs.running import CLOUD_MODEL

VERSION = "1"


def model_digest(manifest: Manifest) -> str:
    """Return the SHA-256 of the cloud network's file in hexadecimal."""
    return manifest.files[CLOUD_MODEL]


def model_name(manifest: Manifest) -> str:
    """Return the name under which servers offer the cloud network, such as ussearch-1f3a5c7e9b0d."""
    return f"ussearch-{model_digest(manifest)[:12]}"
