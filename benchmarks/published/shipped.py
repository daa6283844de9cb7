"""What profiles ship where networks are known by totals or are all alike: three numbers, or prices of operators.

Where whole networks of several families were measured, classes of kernels have prices of their own: ``class_profiles``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from published import nasbench201, ncnn, yolobench
from published.tables import Floats, Indices, Names
from ussearch.hardware_profiles.catalogue import load_profile
from ussearch.hardware_profiles.kernels.kernel import Kernel
from ussearch.hardware_profiles.latency.cross_validation import Quality, factor_of_nine_in_ten, quality
from ussearch.hardware_profiles.latency.roofline import GMAC, MIB, Roofline, fit_non_negative, fit_shrunk
from ussearch.hardware_profiles.validation import Coverage, coverage_of

NUMBERS = ("ms_per_gmac", "ms_per_mib", "ms_per_operator")
SHRINKAGE = 1.0
"""How strongly an operator's own prices are drawn towards the common ones."""
WORTHWHILE = 0.9
"""Own prices ship where they bring the error of held-out networks below this share of that of three numbers: they are
a dozen numbers more, and further from what physics allows.
"""
FOLDS = 5


@dataclass(frozen=True)
class Sample:
    """Networks measured with the runtime of one profile.

    ``features`` [networks, operators, 3] are GMACs, MiB and launches of each of ``operators`` (one nameless one where
    the table does not tell them apart); ``fold`` names the group with which a network is left out.
    """

    profile: str
    source: str
    data: str
    held_out: str
    operators: tuple[str, ...]
    features: Floats
    latency_ms: Floats
    macs: Floats
    fold: Names
    kernel_classes: tuple[str, ...]
    coverage: Mapping[str, Coverage]
    """Networks and families by class of kernels; nothing where only totals of networks are known."""
    extent: Mapping[str, list[float]]
    form: Mapping[str, Any]
    """Fields of the roofline that are no prices."""

    @property
    def three(self) -> Floats:
        """The features of all operators together [networks, 3]."""
        return np.asarray(self.features.sum(axis=1))

    @property
    def least(self) -> Floats:
        """The lowest prices that are possible: nothing moves faster than the memory of the datasheet."""
        profile = load_profile(self.profile)
        bandwidth = profile.facts.get("bandwidth_gb_per_s", np.inf)
        elements = {"fp32": 1.0, "fp16": 0.5}.get(profile.precision, 0.0)
        return np.array([0.0, elements * 1000 * MIB / (bandwidth * 1e9), 0.0])


@dataclass(frozen=True)
class Fitted:
    """Prices for a profile, whether operators have their own, and the record of their validation."""

    sample: Sample
    latency: dict[str, Any]
    validation: dict[str, Any]
    candidates: Mapping[str, Quality]
    own_prices: bool


def fit_all(data: Path) -> list[Fitted]:
    """Return what ships for every such runtime."""
    return [fit_sample(sample) for sample in samples(data)]


def samples(data: Path, by_operator: bool = True) -> Iterator[Sample]:
    """Yield the measurements of every runtime that has some; without ``by_operator`` sooner, with totals alone."""
    bench = yolobench.load(data)
    for profile, device in YOLOBENCH.items():
        yield _yolobench_sample(bench, profile, device, by_operator)
    for profile, column in NASBENCH.items():
        yield _nasbench_sample(nasbench201.load(data).measured_on(column), profile, column)
    for profile, machine in NCNN.items():
        yield _ncnn_sample(ncnn.load(data, machine), profile, machine)


YOLOBENCH = {"gpu-server": "a40-tensorrt"}
NASBENCH = {"raspberry-pi-5@litert-fp32": "h360_pi5_litert_cifar100", "coral-edge-tpu": "op_rice_edgetpu"}
NCNN = {
    "jetson-orin-nano@ncnn-vulkan-fp16": ncnn.Machine("NVIDIA Jetson Orin Nano", 6, 0, gpu=True),
    "jetson-tx2@ncnn-vulkan-fp16": ncnn.Machine(
        "NVIDIA Jetson TX2 NX(NV-Denver2 2.0Ghz x 2 +  Cortex-A57 2.0Ghz x 4 + 256-core NVIDIA Pascal iGPU)",
        6,
        0,
        gpu=True,
    ),
    "snapdragon-855@ncnn-fp16": ncnn.Machine(
        "Qualcomm SM8150-AC Snapdragon 855+ (Kyro485 2.96 GHz + 2.42 GHz x 3 + 1.80 GHz x 4 + Adreno 640)",
        4,
        2,
        gpu=False,
    ),
    "rk3588-cpu": ncnn.Machine("Rockchip RK3588 (Cortex-A76 2.4GHz x 4 + Cortex-A55 1.8GHz x 4)", 4, 2, gpu=False),
    "intel-n100": ncnn.Machine("Intel Celeron N5105", 4, 0, gpu=False),
}


def _yolobench_sample(bench: yolobench.Bench, profile: str, device: str, by_operator: bool) -> Sample:
    measured = bench.measured(device)
    networks = [bench.kernels[index] for index in measured]
    operators = tuple(sorted({kernel.operator for network in networks for kernel in network})) if by_operator else ("",)
    form = yolobench.form(device)
    if by_operator:
        features = yolobench.operator_charges(form, networks, operators)
    else:
        features = bench.three[device][measured][:, None]
    return Sample(
        profile=profile,
        source=f"YOLOBench (Deeplite/deeplite-torch-zoo, Apache-2.0), {yolobench.COLUMNS[device]}",
        data=f"YOLOBench, {yolobench.COLUMNS[device].removesuffix('_ms')}",
        held_out="each of six families of architectures left out in turn",
        operators=operators,
        features=features,
        latency_ms=bench.latency_ms[device][measured],
        macs=bench.macs[measured],
        fold=bench.family[measured],
        kernel_classes=_classes(networks),
        coverage=coverage_of(networks, [str(each) for each in bench.family[measured]]),
        extent=_extent(networks),
        form={"tile_pixels": form.tile_pixels, "activation_nodes": form.activation_nodes},
    )


def _nasbench_sample(space: nasbench201.Space, profile: str, column: str) -> Sample:
    form = Roofline(ms_per_gmac=0, ms_per_mib=0, ms_per_operator=0)
    count = len(space.cells)
    folds = np.random.default_rng(0).permutation(count) % FOLDS
    return Sample(
        profile=profile,
        source=f"NAS-Bench-201 latencies (OneProxy, HW-NAS-Bench-360), {column}",
        data=f"NAS-Bench-201, 32x32 pixels, {column}",
        held_out=f"{FOLDS} random parts left out in turn",
        operators=("",),
        features=yolobench.charges(form, space.kernels)[:, None],
        latency_ms=space.latency_ms[column],
        macs=space.macs(),
        fold=np.array([str(fold) for fold in folds]),
        kernel_classes=_classes(space.kernels),
        coverage=coverage_of(space.kernels, ["cells of one space"] * count),
        extent=_extent(space.kernels),
        form={},
    )


def _ncnn_sample(networks: ncnn.Networks, profile: str, machine: ncnn.Machine) -> Sample:
    dense, mib, operators, depthwise = networks.charges.T
    macs = dense + depthwise
    # NOTE: the totals tell arithmetic of depthwise convolutions apart, not their traffic or their number.
    other = np.stack([dense, mib, operators], axis=1)
    apart = np.stack([depthwise, 0 * mib, 0 * operators], axis=1)
    return Sample(
        profile=profile,
        source=f"ncnn's benchmark page (Tencent/ncnn, BSD-3), {machine.device}, {'GPU' if machine.gpu else 'CPU'}",
        data=f"ncnn's benchmark page, {machine.device.split(' (')[0].split('(')[0]}",
        held_out="each network left out in turn",
        operators=("", "depthwise_conv"),
        features=np.stack([other, apart], axis=1),
        latency_ms=networks.latency_ms,
        macs=macs,
        fold=networks.names,
        kernel_classes=ncnn.KERNEL_CLASSES,
        coverage={},
        extent={"gmacs": _range(macs), "mib": _range(mib), "kernels": _whole(operators)},
        form={},
    )


def fit_sample(sample: Sample) -> Fitted:
    """Choose between common and own prices by what they make of held-out networks, and fit to all."""
    predicted = {name: _held_out(sample, own) for name, own in (("three numbers", False), ("own prices", True))}
    candidates = {name: quality(each, sample.latency_ms, sample.macs) for name, each in predicted.items()}
    own = candidates["own prices"].mape < WORTHWHILE * candidates["three numbers"].mape
    latency = {"kind": "roofline", **common_prices(sample), **sample.form}
    if own:
        prices = _fit(sample, np.arange(len(sample.macs)), own)[1]
        named = dict(zip(sample.operators, prices, strict=True))
        latency["operators"] = {name: _named(each) for name, each in named.items() if name}
    macs_ms = _macs_only(sample)
    candidates = {"MACs only": quality(macs_ms, sample.latency_ms, sample.macs), **candidates}
    chosen = "own prices" if own else "three numbers"
    return Fitted(sample, latency, _record(sample, predicted[chosen], macs_ms), candidates, own)


def common_prices(sample: Sample) -> dict[str, float]:
    """Return the three numbers fitted to all networks."""
    return _named(fit_non_negative(sample.three, sample.latency_ms, sample.least))


def _fit(sample: Sample, networks: Indices, own: bool) -> tuple[Floats, Floats]:
    """Return common prices [3] and those of each operator [operators, 3]."""
    latency_ms = sample.latency_ms[networks]
    if own:
        return fit_shrunk(sample.features[networks], latency_ms, SHRINKAGE, sample.least)
    common = fit_non_negative(sample.three[networks], latency_ms, sample.least)
    return common, np.tile(common, (len(sample.operators), 1))


def _held_out(sample: Sample, own: bool) -> Floats:
    """Predict each fold by prices fitted to all others."""
    predicted_ms = np.empty(len(sample.macs))
    for inside, others in _folds(sample):
        prices = _fit(sample, others, own)[1]
        predicted_ms[inside] = (sample.features[inside] * prices).sum(axis=(1, 2))
    return predicted_ms


def _macs_only(sample: Sample) -> Floats:
    predicted_ms = np.empty(len(sample.macs))
    for inside, others in _folds(sample):
        price = fit_non_negative(sample.macs[others, None], sample.latency_ms[others])
        predicted_ms[inside] = sample.macs[inside] * price
    return predicted_ms


def _folds(sample: Sample) -> Iterator[tuple[Indices, Indices]]:
    for name in np.unique(sample.fold):
        yield np.flatnonzero(sample.fold == name), np.flatnonzero(sample.fold != name)


def _record(sample: Sample, predicted_ms: Floats, macs_ms: Floats) -> dict[str, Any]:
    return {
        "data": sample.data,
        "networks": len(sample.macs),
        "protocol": f"{sample.held_out}, fitted to all others",
        **_measured_classes(sample),
        "accuracy": _accuracy(quality(predicted_ms, sample.latency_ms, sample.macs)),
        "macs_only": _accuracy(quality(macs_ms, sample.latency_ms, sample.macs)),
        "relative_error": round(factor_of_nine_in_ten(predicted_ms, sample.latency_ms) - 1, 3),
        "extent": {name: list(values) for name, values in sample.extent.items()},
    }


def _measured_classes(sample: Sample) -> dict[str, Any]:
    if not sample.coverage:
        return {"kernel_classes": list(sample.kernel_classes)}
    return {"coverage": {name: list(seen) for name, seen in sample.coverage.items()}}


def _accuracy(result: Quality) -> dict[str, float]:
    figures = {
        "tau": round(result.tau, 3),
        "spearman": round(result.spearman, 3),
        "mape": round(result.mape, 1),
        "within_10_percent": round(result.within_10_percent, 2),
        "iso_mac_accuracy": round(result.iso_mac_accuracy, 2),
    }
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def _named(prices: Floats) -> dict[str, float]:
    return {name: float(f"{price:.6g}") for name, price in zip(NUMBERS, prices, strict=True)}


def _classes(networks: Sequence[Sequence[Kernel]]) -> tuple[str, ...]:
    return tuple(sorted({kernel.kernel_class for network in networks for kernel in network}))


def _extent(networks: Sequence[Sequence[Kernel]]) -> dict[str, list[float]]:
    macs = np.array([sum(kernel.macs for kernel in network) / GMAC for network in networks])
    mib = np.array([sum(kernel.bytes for kernel in network) / MIB for network in networks])
    return {"gmacs": _range(macs), "mib": _range(mib), "kernels": _whole([len(network) for network in networks])}


def _range(values: Floats) -> list[float]:
    return [float(f"{values.min():.4g}"), float(f"{values.max():.4g}")]


def _whole(values: Floats | list[int]) -> list[float]:
    return [int(min(values)), int(max(values))]
