"""Batches and augmentation: reproducible, complete, and masks that follow their images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ussearch.datasets import AugmentationSettings, Batches, ImageSet, Normalisation, augment

PLAIN = Normalisation(0.0, 1.0)
STILL = AugmentationSettings(flip_horizontal=0, flip_vertical=0, affine=0, gain=0, gamma=0, speckle=0)


def image_set(lesions: int, empties: int, size: int = 32) -> ImageSet:
    """Each image is uniform, its grey level its index; a lesion is marked in its left half."""
    count = lesions + empties
    images = np.repeat(np.arange(count, dtype=np.uint8), size * size).reshape(count, 1, size, size)
    masks = np.zeros_like(images)
    masks[:lesions, :, :, : size // 2] = 1
    names = tuple(str(index) for index in range(count))
    return ImageSet(images, masks, names, (None,) * count, (None,) * count, np.arange(count), "", "", "", size)


def shown(batches: Batches, epoch: int) -> list[int]:
    return [int(value) for images, _ in batches.epoch(epoch) for value in images[:, 0, 0, 0]]


def test_an_epoch_shows_every_image_once_in_batches_of_nearly_one_size() -> None:
    batches = Batches(image_set(20, 15), list(range(35)), PLAIN, 8, augment=False)
    sizes = [len(images) for images, _ in batches.epoch(0)]
    assert len(batches) == len(sizes) == 5 and set(sizes) == {7}
    assert sorted(shown(batches, 0)) == list(range(35))
    assert shown(batches, 0) != shown(batches, 1)


def test_types_and_shapes() -> None:
    images, masks = next(Batches(image_set(5, 2), [0, 2, 4], Normalisation(2.0, 4.0), 8).epoch(0))
    assert images.shape == masks.shape == (3, 1, 32, 32)
    assert images.dtype == masks.dtype == torch.float32
    assert set(masks.unique().tolist()) <= {0.0, 1.0}


def test_under_sampling_keeps_all_lesions_and_another_half_of_the_empty_images() -> None:
    batches = Batches(image_set(10, 20), list(range(30)), PLAIN, 4, augment=False, empty_fraction=0.5)
    epochs = [shown(batches, epoch) for epoch in range(12)]
    assert batches.images_per_epoch == 20 and len(batches) == 5
    for epoch in epochs:
        assert len(epoch) == 20 and set(range(10)) <= set(epoch)
    assert len({tuple(sorted(epoch)) for epoch in epochs}) > 6
    assert set().union(*epochs) == set(range(30))
    assert Batches(image_set(3, 4), range(7), PLAIN, 4, empty_fraction=0.0).images_per_epoch == 3
    assert Batches(image_set(0, 4), range(4), PLAIN, 4, empty_fraction=0.0).images_per_epoch == 1


def test_deterministic_in_seed_and_epoch() -> None:
    def epoch(seed: int, number: int) -> torch.Tensor:
        batches = Batches(image_set(9, 3), range(12), PLAIN, 5, seed=seed)
        list(batches.epoch(7))  # what ran before does not matter
        return torch.cat([images for images, _ in batches.epoch(number)])

    assert torch.equal(epoch(1, 3), epoch(1, 3))
    assert not torch.equal(epoch(1, 3), epoch(2, 3))
    assert not torch.equal(epoch(1, 3), epoch(1, 4))


def test_batches_refuse_nothing_to_show() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        Batches(image_set(3, 1), [], PLAIN, 4)


def blobs(count: int = 6, size: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = torch.stack([((rows - 20) ** 2 + (columns - 28 - k) ** 2 < 60).float() for k in range(count)])[:, None]
    return masks * 180 + 30, masks


def change(settings: AugmentationSettings, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(*blobs(), torch.Generator().manual_seed(seed), settings)


def test_nothing_asked_changes_nothing() -> None:
    images, masks = change(STILL)
    assert torch.equal(images, blobs()[0]) and torch.equal(masks, blobs()[1])


@pytest.mark.parametrize("axis", [2, 3])
def test_certain_flips(axis: int) -> None:
    name = {2: "flip_vertical", 3: "flip_horizontal"}[axis]
    images, masks = change(STILL.model_copy(update={name: 1.0}))
    assert torch.equal(images, blobs()[0].flip(axis)) and torch.equal(masks, blobs()[1].flip(axis))


def test_masks_follow_their_images_through_all_geometry() -> None:
    geometry = STILL.model_copy(
        update={"flip_horizontal": 0.5, "flip_vertical": 0.5, "affine": 1.0, "rotation_degrees": 40.0, "shift": 0.1}
    )
    images, masks = change(geometry)
    assert not torch.equal(masks, blobs()[1])
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    bright = (images > 120).float()
    assert ((bright * masks).sum() * 2 / (bright.sum() + masks.sum())) > 0.95


def test_masks_are_taken_from_where_the_image_was_taken() -> None:
    """Ramps tell where each pixel came from; the mask has the value of the nearest pixel there."""
    size = 48
    settings = STILL.model_copy(update={"affine": 0.6, "elastic": 0.05})
    masks = (torch.rand(6, 1, size, size, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    ramp = torch.arange(size, dtype=torch.float32).expand(6, 1, size, size) + 1  # 0 is outside
    shown = (ramp.mT, ramp, torch.ones_like(ramp))
    at = [augment(each, masks, torch.Generator().manual_seed(3), settings) for each in shown]
    assert torch.equal(at[0][1], at[1][1])
    rows, columns, whole = (moved[:, 0].double() - 1 for moved, _ in at)
    # Left out: the border, where all is mixed with what is outside, and places as near to two pixels.
    inside = whole.abs() < 1e-5
    sure = inside & (((rows % 1) - 0.5).abs() > 1e-3) & (((columns % 1) - 0.5).abs() > 1e-3)
    assert sure.double().mean() > 0.7
    image = torch.arange(6).view(-1, 1, 1).expand_as(rows)[sure]
    assert torch.equal(at[0][1][:, 0][sure], masks[image, 0, rows[sure].round().long(), columns[sure].round().long()])


def test_elastic_deformation_is_bounded_smooth_and_each_image_s_own() -> None:
    size, greatest = 64, 0.05
    ramp = torch.arange(size, dtype=torch.float32).expand(8, 1, size, size) + 1
    moved, _ = augment(
        ramp, torch.zeros_like(ramp), torch.Generator().manual_seed(0), STILL.model_copy(update={"elastic": greatest})
    )
    shift = (moved - ramp)[:, 0, 8:-8, 8:-8] / size
    assert 0.3 * greatest < float(shift.abs().max()) < 1.5 * greatest  # bicubic curves swing a little beyond
    assert float(moved[:, 0, 8:-8, 8:-8].diff(dim=2).min()) > 0  # no fold
    assert len({round(float(each.abs().max()), 6) for each in shift}) == 8


def test_rotation_turns_without_stretching() -> None:
    areas = change(STILL.model_copy(update={"affine": 1.0, "rotation_degrees": 90.0, "scale": 0, "shear_degrees": 0}))[
        1
    ]
    assert torch.allclose(areas.sum((1, 2, 3)), blobs()[1].sum((1, 2, 3)), rtol=0.05)


@pytest.mark.parametrize("name", ["gain", "gamma", "speckle"])
def test_grey_level_changes_leave_masks_and_stay_in_range(name: str) -> None:
    images, masks = change(STILL.model_copy(update={name: 0.5}))
    assert torch.equal(masks, blobs()[1])
    assert not torch.equal(images, blobs()[0])
    assert images.min() >= 0 and images.max() <= 255


def test_speckle_has_the_asked_strength() -> None:
    images = torch.full((400, 1, 32, 32), 100.0)
    settings = STILL.model_copy(update={"speckle": 0.2})
    changed, _ = augment(images, torch.zeros_like(images), torch.Generator().manual_seed(0), settings)
    deviations = changed.std(dim=(1, 2, 3)) / 100
    assert float(deviations.max()) == pytest.approx(0.2, abs=0.02)
    assert float(deviations.mean()) == pytest.approx(0.1, abs=0.02)


def test_a_shadow_darkens_downwards_and_leaves_the_mask() -> None:
    images, masks = torch.full((300, 1, 40, 32), 100.0), blobs(300)[1]
    settings = STILL.model_copy(update={"shadow": 0.4})
    changed, same = augment(images, masks, torch.Generator().manual_seed(0), settings)
    assert torch.equal(same, masks)
    shadowed = changed.amin((1, 2, 3)) < 99
    assert float(shadowed.float().mean()) == pytest.approx(0.4, abs=0.1)
    assert torch.allclose(changed[~shadowed], images[~shadowed], atol=1.0)
    assert changed.max() <= 100 and changed.min() >= 100 * (1 - 0.9)
    assert (changed.diff(dim=2) <= 1e-4).all()
    lowest = changed[shadowed][:, 0, -1]
    middle = lowest.argmin(dim=1)
    assert len(set(middle.tolist())) > 20
    for row, column in zip(lowest, middle, strict=True):  # falls to one place and rises again
        assert (row[: column + 1].diff() <= 1e-4).all() and (row[column:].diff() >= -1e-4).all()


def test_cutout_paints_one_rectangle_with_the_mean() -> None:
    images = torch.rand(200, 1, 40, 50, generator=torch.Generator().manual_seed(2)) * 255
    settings = STILL.model_copy(update={"cutout": 0.5, "cutout_side": 0.4})
    changed, masks = augment(images, torch.ones_like(images), torch.Generator().manual_seed(0), settings)
    assert (masks == 1).all()
    painted = changed != images
    assert float(painted.any(dim=(1, 2, 3)).float().mean()) == pytest.approx(0.5, abs=0.12)
    for image, new, where in zip(images, changed, painted, strict=True):
        if where.any():
            assert torch.allclose(new[where], image.mean().expand_as(new[where]), atol=1e-3)
            rows, columns = where[0].any(dim=1), where[0].any(dim=0)
            assert where.sum() == rows.sum() * columns.sum()
            assert rows.sum() <= 0.4 * 40 + 1 and columns.sum() <= 0.4 * 50 + 1


def test_what_a_batch_needs_is_copied_to_its_device_at_once() -> None:
    class Copies(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            target = (kwargs or {}).get("device")
            self.count += "copy" in str(function) and target is not None and args[0].device != torch.device(target)
            return function(*args, **(kwargs or {}))

    everything = AugmentationSettings(flip_vertical=0.5, elastic=0.02, shadow=0.5, cutout=0.5, speckle=0)
    images = torch.empty(4, 1, 32, 32, device="meta")
    with Copies() as seen:
        changed, masks = augment(images, images, torch.Generator().manual_seed(0), everything)
    assert changed.device.type == masks.device.type == "meta" and seen.count == 1


def test_what_is_off_draws_nothing() -> None:
    """The numbers that a former version drew, which its results rest on, were one after another."""
    generator, other = (torch.Generator().manual_seed(5) for _ in range(2))
    augment(*blobs(4), generator, AugmentationSettings())
    torch.rand(4 * (1 + 6 + 1 + 1 + 1), generator=other)
    torch.randint(2**31, (1,), generator=other)
    assert torch.equal(generator.get_state(), other.get_state())


def test_normalisation_is_exact_on_the_chosen_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 16, 16), dtype=np.uint8)
    fitted = Normalisation.fit(images, [1, 4, 5])
    chosen = images[[1, 4, 5]].astype(np.float64)
    assert fitted.mean == pytest.approx(chosen.mean()) and fitted.std == pytest.approx(chosen.std())
    values = fitted.apply(torch.from_numpy(chosen))
    assert float(values.mean()) == pytest.approx(0, abs=1e-9) and float(values.std()) == pytest.approx(1, abs=1e-3)
    assert Normalisation.from_record(fitted.to_record()) == fitted
    assert Normalisation.fit(np.full((2, 1, 4, 4), 7, np.uint8)) == Normalisation(7.0, 1.0)
    with pytest.raises(ValueError, match="at least one"):
        Normalisation.fit(images, [])


@pytest.mark.gpu
def test_batches_on_cuda_match_the_cpu_but_for_speckle() -> None:
    settings = AugmentationSettings(speckle=0)
    on_cpu, on_gpu = (
        Batches(image_set(9, 3), range(12), PLAIN, 5, device=device, augment=settings) for device in ("cpu", "cuda")
    )
    for (images, masks), (images_gpu, masks_gpu) in zip(on_cpu.epoch(0), on_gpu.epoch(0), strict=True):
        assert torch.allclose(images, images_gpu.cpu(), atol=1e-2)
        assert (masks != masks_gpu.cpu()).float().mean() < 0.01
