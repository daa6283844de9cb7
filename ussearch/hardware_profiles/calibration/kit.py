"""A folder to carry to any board: model files within its rules, and one program that measures them there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ussearch import __version__
from ussearch.errors import UserError
from ussearch.files import found_at, sha256_of, staged_directory
from ussearch.hardware_profiles.calibration.measurements import Results, read_results, require_plausible
from ussearch.hardware_profiles.calibration.networks import CalibrationNetwork, draw_networks
from ussearch.hardware_profiles.calibration.profiles import Calibrated, check_name, export_networks, profile_from
from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.profile import Profile, Provenance
from ussearch.search_spaces import Architecture

MANIFEST, PROGRAM, MODELS, RESULTS = "kit.json", "measure.py", "models", "results.csv"


class KitModel(BaseModel):
    """A model file of a kit: what it was made from, and its digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    image_size: int = Field(ge=32, le=4096)
    sha256: str
    architecture: Architecture


class Kit(BaseModel):
    """What ``kit.json`` holds: enough to fit a profile from the measurements alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    like: str
    seed: int
    models: tuple[KitModel, ...] = Field(min_length=1)

    def networks(self) -> list[CalibrationNetwork]:
        """Return the networks of the models."""
        return [CalibrationNetwork(each.name, each.architecture, each.image_size) for each in self.models]


@dataclass(frozen=True)
class KitRequest:
    """What to put into a kit."""

    folder: Path
    like: str
    networks: int = 22
    seed: int = 0
    profiles_dirs: tuple[Path, ...] = ()
    runner: str = ""
    """The text of ``run_edge.py``, whose post-processing is measured on the board, too."""


def write_kit(request: KitRequest, say: Callable[[str], None] = lambda _: None) -> Kit:
    """Write a kit for boards like ``request.like``; raises UserError where the folder holds something already."""
    like = load_profile(request.like, request.profiles_dirs)
    if request.folder.exists() and any(request.folder.iterdir()):
        raise UserError(f"{request.folder} is not empty; give another folder with --out.")
    say("drawing networks")
    networks = draw_networks(request.networks, request.seed, like)
    with staged_directory(request.folder) as stage:
        paths = export_networks(networks, like, stage / MODELS, lambda name: say(f"exported {name}"))
        kit = Kit(
            version=__version__,
            like=like.name,
            seed=request.seed,
            models=tuple(
                KitModel(
                    name=each.name,
                    image_size=each.image_size,
                    sha256=sha256_of(path),
                    architecture=each.architecture,
                )
                for each, path in zip(networks, paths, strict=True)
            ),
        )
        (stage / MANIFEST).write_text(kit.model_dump_json(indent=1, exclude_defaults=True), encoding="utf-8")
        (stage / "README.txt").write_text(_readme(like), encoding="utf-8")
        shutil.copyfile(measure.__file__, stage / PROGRAM)
        if request.runner:
            (stage / measure.RUNNER).write_text(request.runner, encoding="utf-8")
    return kit


def _readme(like: Profile) -> str:
    return (
        f"{len(like.title) * '='}\n{like.title}\n{len(like.title) * '='}\n\n"
        "Copy this folder to the board, let nothing else run, fix the power mode, and:\n\n"
        "    python3 measure.py\n\n"
        "It needs Python 3.6 or later with numpy and onnxruntime, or TensorRT's trtexec (each model is then built\n"
        "first, which takes minutes a model; --precision fp32 for FP32). What run_edge.py does with a mask is\n"
        "measured, too, where onnxruntime is there. Copy results.csv (and results.nodes.json, if there) back into the\n"
        "kit's folder, and:\n\n"
        f"    ussearch profile fit kit/results.csv --name my-board --like {like.name}\n"
    )


def read_kit(folder: Path) -> Kit:
    """Return the manifest of the kit in ``folder``; raises UserError."""
    path = found_at(folder) / MANIFEST
    try:
        return Kit.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): put the CSV into the kit's folder, or name it with --kit."
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is no kit's list of models ({reason}): write the kit again.") from error


@dataclass(frozen=True)
class FitRequest:
    """Which measurements to make a profile of."""

    results: Path
    name: str
    like: str = ""
    kit: Path | None = None
    profiles_dirs: tuple[Path, ...] = ()


def fit(request: FitRequest) -> Calibrated:
    """Return the profile of the board that measured a kit; writes nothing. Raises UserError that names the row."""
    check_name(request.name)
    results = read_results(request.results)
    kit = read_kit(request.kit or request.results.parent)
    like = load_profile(request.like or kit.like, request.profiles_dirs)
    networks = kit.networks()
    _require_same_files(results, kit)
    require_plausible(results, networks, like.latency, like.name)
    return profile_from(request.name, results, networks, like, _board(results, like))


def _require_same_files(results: Results, kit: Kit) -> None:
    """Raise UserError where a measured file was not the kit's, or is unknown to it."""
    digests = {f"{each.name}.onnx": each.sha256 for each in kit.models}
    for name, row in results.rows.items():
        if name not in digests:
            raise UserError(f"{results.origin}, {name}: the kit has no such model; measure the kit's own files.")
        if row.get("sha256") and row["sha256"] != digests[name]:
            raise UserError(f"{results.origin}, {name}: another file was measured than the kit's; copy the kit again.")


def _board(results: Results, like: Profile) -> dict[str, Any]:
    """Return what of ``like`` does not hold for the board."""
    machine = str(results.first.get("machine") or like.device)
    return {
        "device": machine,
        "title": f"{machine} (measured by a kit for {like.name})",
        "provenance": {
            **{key: value for key, value in like.provenance.items() if not key.startswith("latency")},
            "latency": Provenance(basis="measured", source=f"{results.origin} of {machine}"),
        },
    }
