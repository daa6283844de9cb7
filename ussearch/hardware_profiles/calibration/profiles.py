"""From measured networks to a profile of the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ussearch.errors import UserError
from ussearch.files import write_atomically
from ussearch.hardware_profiles.calibration.measurements import Results
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork
from ussearch.hardware_profiles.catalogue import is_shipped, load_profile
from ussearch.hardware_profiles.latency.cross_validation import LIKE_ANOTHER, MACS_ONLY, Chosen, choose_model
from ussearch.hardware_profiles.latency.kernel_fitting import MeasuredNetwork
from ussearch.hardware_profiles.measuring.measure import BUSY, RUNNER
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.hardware_profiles.postprocessing_time import PostprocessingTime
from ussearch.hardware_profiles.profile import Profile, Provenance
from ussearch.hardware_profiles.validation import Coverage, Validation

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
UNSTEADY = 0.25
"""Spread between the rounds of a network from which on its measurement is called unsteady."""


@dataclass(frozen=True)
class Calibrated:
    """A new profile, how its model was chosen, and what to know about the measurements."""

    profile: Profile
    chosen: Chosen
    measured: tuple[MeasuredNetwork, ...]
    warnings: tuple[str, ...]


def check_name(name: str) -> None:
    """Raise UserError for a name that no profile may have."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name for a profile; use small letters, digits, dots and dashes, such as my-box."
        )


def export_networks(
    networks: Sequence[CalibrationNetwork], profile: Profile, folder: Path, on_file: Callable[[str], None]
) -> list[Path]:
    """Write every network with random weights as a model file within the rules of ``profile``; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, network in enumerate(networks):
        path = folder / f"{network.name}.onnx"
        export_module(network.module(seed=number), network.image_size, profile, path)
        paths.append(path)
        on_file(network.name)
    return paths


def profile_from(
    name: str, results: Results, networks: Sequence[CalibrationNetwork], like: Profile, machine: Mapping[str, Any]
) -> Calibrated:
    """Return a profile called ``name`` with a model fitted to ``results``, in everything else like ``like``.

    ``machine`` replaces fields of the profile: ``device``, ``title`` and ``provenance`` at least.
    """
    first = results.first
    data = f"{results.origin}: {first.get('runtime')} {first.get('runtime_version', '')} on {first.get('machine', '')}"
    measured = results.measured(networks)
    chosen = choose_model(measured, like.latency, " ".join(data.split()))
    same_runtime = (_runtime(first), str(first["precision"])) == (like.runtime, like.precision)
    if same_runtime and chosen.name in LIKE_ANOTHER and like.validation is not None:
        chosen = replace(chosen, validation=covering_both(chosen.validation, like.validation))
    fields = like.model_copy(
        update={
            "name": name,
            "variant": "",
            "variants": (),
            "runtime": _runtime(first),
            "precision": str(first["precision"]),
            "threads": int(first.get("threads") or 0) or None,
            "latency": chosen.model,
            "validation": chosen.validation,
            "note": f"Limits and export rules are those of {like.name}.",
            "default_reason": "",
            **machine,
        }
    )
    if results.postprocessing is not None:
        ms, call_ms = results.postprocessing
        source = f"{results.origin}: {RUNNER} on made-up masks"
        origins = {**fields.provenance, "postprocessing": Provenance(basis="measured", source=source)}
        part = PostprocessingTime(ms=ms, ms_per_call=call_ms)
        fields = fields.model_copy(update={"postprocessing": part, "provenance": origins})
    profile = Profile.model_validate(fields.model_dump())
    warnings = [*warnings_of(results), *_doubts(name, like, profile, chosen)]
    return Calibrated(profile, chosen, tuple(measured), tuple(warnings))


def _doubts(name: str, like: Profile, profile: Profile, chosen: Chosen) -> Iterator[str]:
    """Yield what makes the new profile doubtful, a sentence each."""
    of_macs, found = chosen.errors[MACS_ONLY], chosen.errors[chosen.name]
    if found > of_macs:
        yield (
            f"On networks that it was not fitted to the model is {found:.0f} % wrong, a count of MACs alone "
            f"{of_macs:.0f} %: measure more networks, with nothing else running, or choose another --like."
        )
    if (profile.runtime, profile.precision) != (like.runtime, like.precision):
        yield (
            f"Measured was {profile.runtime} in {profile.precision}, {like.name} is {like.runtime} in "
            f"{like.precision}: its limits and export rules are taken over, what it covers is not."
        )
    if is_shipped(name):
        yield f"{name} hides the profile of that name that comes with ussearch; give another --name to keep both."


def covering_both(own: Validation, like: Validation) -> Validation:
    """Return the record of a board's own networks; it covers what those of its like cover, too."""
    nothing = Coverage(0, 0)
    pairs = {
        name: (own.coverage.get(name, nothing), like.coverage.get(name, nothing))
        for name in sorted({*own.coverage, *like.coverage})
    }
    coverage = {name: Coverage(*map(sum, zip(*both, strict=True))) for name, both in pairs.items()}
    return own.model_copy(update={"coverage": coverage, "kernel_classes": like.kernel_classes})


def _runtime(row: Mapping[str, Any]) -> str:
    """Return the runtime's name; onnxruntime's execution providers are runtimes of their own."""
    provider = str(row.get("provider", "")).removesuffix("ExecutionProvider")
    name = str(row["runtime"])
    return name if name != "onnxruntime" or provider in {"", "CPU"} else f"{name}-{provider}"


def warnings_of(results: Results) -> list[str]:
    """Return what makes the measurements doubtful, one sentence each."""
    busy = [name for name, row in results.rows.items() if _number(row.get("busy")) > BUSY]
    slowed = [name for name, row in results.rows.items() if _number(row.get("slowed"))]
    unsteady = [
        name
        for name, row in results.rows.items()
        if not row.get("reference_ms") and _number(row.get("spread")) > UNSTEADY
    ]
    warnings = []
    if busy:
        warnings.append(
            f"The machine was busy with other work while {len(busy)} of {len(results.rows)} networks ran: these are "
            "numbers of a busy machine; repeat when nothing else runs."
        )
    if slowed:
        warnings.append(
            f"{len(slowed)} of {len(results.rows)} networks only ran while this core was slower than at its best "
            f"({', '.join(slowed[:3])}): another tenant or a changing clock; repeat later."
        )
    if unsteady:
        warnings.append(
            f"{len(unsteady)} of {len(results.rows)} networks took over {UNSTEADY:.0%} longer in one round than in "
            f"another ({', '.join(unsteady[:3])}): fix the clock (power mode) and repeat."
        )
    return warnings


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def require_free(name: str, folder: Path, *, replace: bool) -> Path:
    """Return where a profile is written; raises UserError where one is there and must not be replaced."""
    check_name(name)
    path = folder / f"{name}.yaml"
    if path.exists() and not replace:
        raise UserError(f"{path} exists already; give another --name, or --replace to write over it.")
    return path


def save_profile(profile: Profile, folder: Path, *, replace: bool) -> Path:
    """Write ``profile`` into a folder of profiles and read it again; return its path. Raises UserError."""
    path = require_free(profile.name, folder, replace=replace)
    write_atomically(path, profile.to_yaml().encode("utf-8"))
    load_profile(profile.name, [folder])
    return path
