from __future__ import annotations

import json
from pathlib import Path

import pytest

from ussearch.errors import UserError
from ussearch.pairs import Bundle, verify_bundle, write_bundle


def test_a_fresh_bundle_is_accepted_and_its_metrics_are_recomputed(
    finished: Bundle, data_folder: Path, tmp_path: Path
) -> None:
    result = verify_bundle(finished.folder, data_folder, tmp_path)
    print(json.dumps(result.to_dict(), indent=1))
    assert result.passed
