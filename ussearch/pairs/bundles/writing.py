"""Writing a bundle: both networks exported, the router put in, the pair scored, all of it or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save
from torch import nn

from ussearch.datasets import ImageSet, Normalisation, Split
from ussearch.datasets.anonymous import data_name
from ussearch.datasets.counts import counts_of
from ussearch.datasets.reading import Reading
from ussearch.evaluators.prediction import export_network
from ussearch.evaluators.pretrained import header, origins_in
from ussearch.files import staged_directory, write_atomically
from ussearch.hardware_profiles import Profile, load_onnx
from ussearch.hardware_profiles.onnx_files.export import ExportRecord, record_of, refuse_findings
from ussearch.hardware_profiles.profile import Precision
from ussearch.pairs.bundles.bundle import Bundle, require_replaceable, write_split
from ussearch.pairs.bundles.data_statistics import ImageStatistics
from ussearch.pairs.bundles.ensemble import ENSEMBLE
from ussearch.pairs.bundles.finalize import finalize
from ussearch.pairs.bundles.manifest import Cost, DataEntry, Manifest, NetworkEntry, PretrainedEntry, versions
from ussearch.pairs.bundles.parity import parity, require_parity
from ussearch.pairs.bundles.provenance import PairProvenance
from ussearch.pairs.bundles.router import attach_and_evaluate
from ussearch.pairs.postprocessing.for_pair import choose_for_pair
from ussearch.pairs.routing.attach_router import RouterSpec
from ussearch.runtime.manifest import Preprocessing

PARITY_IMAGES = 8
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class OtherNetwork:
    """One more network of an average: its architecture and a safetensors file of its training form."""

    architecture_yaml: str
    weights: Path


@dataclass(frozen=True)
class Member:
    """One end of the pair as it comes from the search.

    ``network`` is trained, with its schedule finished. ``costs`` (predicted latency with its label and interval,
    memory, parameters, ...) is shown with the bundle; ``weights`` is an optional safetensors file of the training
    form. ``model`` is a file that is shipped instead of an export of ``network``, such as one in INT8; ``compression``
    is the record (JSON) of the steps that made the network small, ``kept`` names them; ``pretrained`` are the weights
    of others that its training began with. ``device_file`` is the network in the format of the device's own runtime,
    shipped beside ``model.onnx``. ``ensemble`` is the record of which networks answer here together, or why only one
    does, ``mean_of`` says it in words; ``others`` are the networks of an average behind the first one.
    """

    network: nn.Module
    architecture: str
    architecture_yaml: str
    profile: Profile
    trial: int | None = None
    costs: Mapping[str, Cost] = field(default_factory=dict)
    weights: Path | None = None
    model: Path | None = None
    device_file: Path | None = None
    precision: Precision = "fp32"
    compression: Path | None = None
    kept: str = ""
    pretrained: PretrainedEntry | None = None
    ensemble: Path | None = None
    mean_of: str = ""
    others: tuple[OtherNetwork, ...] = ()


@dataclass(frozen=True)
class PairData:
    """The data behind a pair; ``examples`` are grey images uint8 [H, W] in their own size, for the
    vectors, ``reading`` is what the files were taken for (8-bit images where nobody tells).
    """

    images: ImageSet
    split: Split
    normalisation: Normalisation
    examples: Sequence[Pixels]
    phantoms: Mapping[str, Any] | None = None
    reading: Reading | None = None


def write_bundle(
    path: Path,
    edge: Member,
    cloud: Member,
    data: PairData,
    spec: RouterSpec | None = None,
    *,
    provenance: PairProvenance | None = None,
) -> Bundle:
    """Export both networks, put the router in, score the pair on the test images and write all of it to ``path``.

    ``provenance`` tells of the study that they come from. The figures in the bundle are those of the exported files
    run by onnxruntime. Nothing appears at ``path`` before everything is complete; an older bundle there is replaced,
    any other folder is left alone.

    Raises UserError where a network cannot be exported for its profile or its export differs from it, where
    the data has no calibration or test images, or ``path`` holds something else.
    """
    require_replaceable(path)
    with staged_directory(path) as folder:
        entries = {
            tier: _write_member(folder, tier, member, data) for tier, member in (("edge", edge), ("cloud", cloud))
        }
        postprocessing, why = choose_for_pair(folder, data.images, data.split)
        decided = attach_and_evaluate(
            folder,
            entries["edge"],
            edge.profile,
            data.images,
            data.split,
            examples=data.examples,
            spec=spec or RouterSpec(),
            postprocessing=postprocessing,
        )
        write_split(folder, data.split, data.images)
        manifest = Manifest(
            versions=versions(),
            edge=decided.edge,
            cloud=entries["cloud"],
            preprocessing=_preprocessing(data),
            postprocessing=postprocessing,
            postprocessing_choice=why,
            router=decided.router,
            data=_data_entry(data),
            metrics=decided.metrics,
            provenance=provenance,
            parent=None,
            files={},
        )
        finalize(folder, manifest)
    return Bundle.load(path)


def _write_member(folder: Path, tier: str, member: Member, data: PairData) -> NetworkEntry:
    """Export one network with everything that describes it; returns its entry in the manifest."""
    place = folder / tier
    place.mkdir()
    path = place / "model.onnx"
    record = _write_model(path, member, data)
    chosen = list((data.split.validation or data.split.test)[:PARITY_IMAGES])
    images = np.asarray(data.images.images[chosen])
    agreement = parity(path, member.network, data.normalisation, images)
    if member.precision != "int8":  # rounding to 8 bits changes logits; what it costs was judged by Dice
        require_parity(agreement, tier)
    (place / "architecture.yaml").write_text(member.architecture_yaml, encoding="utf-8")
    (place / "profile.yaml").write_text(member.profile.to_yaml(), encoding="utf-8")
    device_name = "" if member.device_file is None else f"model{member.device_file.suffix}"
    companions = {
        "weights.safetensors": member.weights,
        "compression.json": member.compression,
        ENSEMBLE: member.ensemble,
        device_name: member.device_file,
    }
    for name, source in companions.items():
        if source is not None:
            shutil.copyfile(source, place / name)
    for number, other in enumerate(member.others, 2):
        (beside := place / f"member-{number}").mkdir()
        (beside / "architecture.yaml").write_text(other.architecture_yaml, encoding="utf-8")
        shutil.copyfile(other.weights, beside / "weights.safetensors")
    known = member.pretrained is not None or member.compression is not None  # the chain writes no headers
    if member.weights and known and origins_in(member.weights) is None:
        origins = member.pretrained.origins if member.pretrained else ()
        told = save(load_file(member.weights), header(origins))
        write_atomically(place / "weights.safetensors", told)
    return NetworkEntry(
        architecture=member.architecture,
        trial=member.trial,
        profile=member.profile.name,
        precision=member.precision,
        device_file=device_name,
        pretrained=member.pretrained,
        ensemble=member.mean_of,
        compression=member.kept,
        opset=record.opset,
        ir_version=record.ir_version,
        operators=record.operators,
        costs={**member.costs, "file_bytes": record.file_bytes},
        parity=agreement.to_dict(),
    )


def _write_model(path: Path, member: Member, data: PairData) -> ExportRecord:
    """Export the network, or copy its own file once the device's rules were checked."""
    if member.model is None:
        return export_network(member.network, data.normalisation, data.images.image_size, member.profile, path)
    refuse_findings(load_onnx(member.model), member.profile)
    shutil.copyfile(member.model, path)
    return record_of(path)


def _preprocessing(data: PairData) -> Preprocessing:
    reading = data.reading or Reading()
    return Preprocessing(
        image_size=data.images.image_size,
        mean=data.normalisation.mean,
        std=data.normalisation.std,
        grey_scale=reading.grey_scale,
        region=reading.region,
    )


def _data_entry(data: PairData) -> DataEntry:
    return DataEntry(
        name=data_name(data.images.reader, data.images.fingerprint),
        reader=data.images.reader,
        fingerprint=data.images.fingerprint,
        images=len(data.images),
        phantoms=None if data.phantoms is None else dict(data.phantoms),
        counts=counts_of(data.images, data.split),
        reading=data.reading,
        statistics=ImageStatistics.of(data.images, data.split.train),
    )
