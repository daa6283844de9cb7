"""Several networks as one: answers as numpy says, one file that onnxruntime reads, the sum of their costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from scipy.special import logsumexp
from torch import nn

from tests.evaluators.conftest import tiny
from ussearch.datasets import Normalisation
from ussearch.errors import UserError
from ussearch.evaluators import predict, trace, trace_ensemble
from ussearch.evaluators.prediction import as_shipped, export_network
from ussearch.hardware_profiles import load_profile, profile_names
from ussearch.search_spaces import Ensemble, Network, build, load_preset
from ussearch.search_spaces.ensemble import mean_logits

NORMALISATION = Normalisation(mean=100.0, std=50.0)
SIDE = 32


def networks() -> list[Network]:
    torch.manual_seed(0)
    return [build(tiny(kind)).eval() for kind in ("dwsep", "conv")]


def images(count: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 1, SIDE, SIDE)).astype(np.uint8)


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_it_answers_the_mean_of_the_members_probabilities_here_and_in_its_file(
    count: int, flips: bool, tmp_path: Path
) -> None:
    members, pixels = networks()[:count], images()
    apart = [predict(each, pixels, NORMALISATION) for each in members]
    if flips:
        mirrored = pixels[..., ::-1].copy()
        apart += [predict(each, mirrored, NORMALISATION)[..., ::-1] for each in members]
    expected = np.mean(np.asarray(apart, np.float64), axis=0)
    ensemble = Ensemble(members, flips)
    np.testing.assert_allclose(predict(ensemble, pixels, NORMALISATION), expected, atol=1e-6)
    path = tmp_path / "model.onnx"
    export_network(ensemble, NORMALISATION, SIDE, load_profile("x86-server"), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for image, wanted in zip(pixels, expected, strict=True):
        (logits,) = session.run(None, {"image": image[None].astype(np.float32)})
        np.testing.assert_allclose(1 / (1 + np.exp(-logits[0].astype(np.float64))), wanted, atol=1e-5)


def test_the_logits_of_the_sure_stay_finite_and_keep_their_size() -> None:
    sure = mean_logits([torch.tensor([-1000.0, -40.0, 40.0, 1000.0])] * 2)
    np.testing.assert_allclose(sure, [-1000, -40, 40, 1000], rtol=1e-5)
    one_against_one = mean_logits([torch.tensor(30.0), torch.tensor(-30.0)])
    assert abs(float(one_against_one)) < 1e-6


@pytest.mark.parametrize("name", profile_names())
def test_its_file_keeps_the_rules_of_every_device_but_one_without_logarithms(name: str, tmp_path: Path) -> None:
    profile, ensemble = load_profile(name), Ensemble(networks()[1:], flips=True)
    if name == "coral-edge-tpu":
        with pytest.raises(UserError, match="is not among those that coral-edge-tpu imports"):
            export_network(ensemble, NORMALISATION, SIDE, profile, tmp_path / "model.onnx")
    else:
        record = export_network(ensemble, NORMALISATION, SIDE, profile, tmp_path / "model.onnx")
        assert record.operators["Softplus"] == 4 and record.operators["Log"] == 2


def sure_networks() -> list[nn.Module]:
    """Networks as sure of themselves as a long training makes them: logits of 40 and more."""
    torch.manual_seed(0)
    networks: list[nn.Module] = [nn.Conv2d(1, 1, 3, padding=1).eval() for _ in range(2)]
    for network in networks:
        for parameter in network.parameters():
            parameter.data *= 60
    return networks


@pytest.mark.parametrize("flips", [False, True])
def test_answers_of_which_all_are_sure_are_the_same_in_the_file(flips: bool, tmp_path: Path) -> None:
    """By numpy in double precision; onnxruntime rounds sigmoids of logits beyond 18 to 0, and had logits of 69."""
    members, pixels = sure_networks(), images()
    shipped = as_shipped(Ensemble(members, flips), NORMALISATION)
    path = tmp_path / "model.onnx"
    export_network(Ensemble(members, flips), NORMALISATION, SIDE, load_profile("x86-server"), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    sides = [as_shipped(each, NORMALISATION) for each in members]
    for image in pixels.astype(np.float32):
        (logits,) = session.run(None, {"image": image[None]})
        with torch.no_grad():
            given = torch.from_numpy(image[None])
            apart = [each(given) for each in sides]
            apart += [each(given.flip(-1)).flip(-1) for each in sides] if flips else []
            trained = shipped(given).numpy()
        exact = np.array([each.double().numpy() for each in apart])
        lesion, background = (-np.logaddexp(0, sign * exact) for sign in (-1, 1))
        wanted = logsumexp(lesion, axis=0) - logsumexp(background, axis=0)
        assert np.abs(wanted).max() > 40
        np.testing.assert_allclose(logits, wanted, atol=1e-2)
        np.testing.assert_allclose(trained, wanted, atol=1e-2)


@pytest.mark.parametrize("name", ["x86-server", "jetson-nano"])
def test_it_costs_what_its_members_cost_together(name: str) -> None:
    profile = load_profile(name)
    architectures = tuple(load_preset(each).architecture.for_task() for each in ("lv-unet", "bmis"))
    apart = [trace(each, 128).costs(profile) for each in architectures]
    both = trace_ensemble(architectures, True, 128).costs(profile)
    assert both.macs == 2 * sum(each.macs for each in apart)
    assert both.parameters == sum(each.parameters for each in apart)
    work_ms = 2 * sum(each.latency_ms for each in apart)
    assert 0.8 * work_ms < both.latency_ms < 1.2 * work_ms
    assert max(each.memory_mib for each in apart) <= both.memory_mib <= sum(each.memory_mib for each in apart)
    once = trace_ensemble(architectures, False, 128).costs(profile)
    assert once.memory_mib == pytest.approx(both.memory_mib, rel=0.05)  # mirrored answers need no weights of their own
