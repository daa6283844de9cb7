"""What rounding to INT8 costs: 7 bits beside 8, a first layer beside float; and what a teacher adds to an epoch.

python benchmarks/rounding.py [--size 64] [--epochs 16] [--methods minmax,percentile]

A small network on phantoms. Weights of 7 bits are what ``u8s8`` files have unless told otherwise
(``compress/quantisation/settings.py``), and layers that read the image are left in float (``qdq.py``); the time of a
taught epoch is what budgets reckon with (``pairs/delivery/compression.py``).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from ussearch.compress.distillation import Distillation
from ussearch.compress.quantisation import Method, Settings, quantise
from ussearch.datasets import ImageSet, Split, prepare
from ussearch.datasets.phantoms import PhantomParameters, phantoms_from
from ussearch.datasets.splits import split as split_images
from ussearch.evaluators import Recipe, train
from ussearch.evaluators.prediction import export_network
from ussearch.hardware_profiles import load_profile
from ussearch.hardware_profiles.measuring import measure
from ussearch.hardware_profiles.measuring.paired_benchmark import paired_benchmark
from ussearch.hardware_profiles.onnx_files.export import export_module
from ussearch.process_settings import settle
from ussearch.runtime.masks import dice_of
from ussearch.runtime.onnx_network import OnnxNetwork
from ussearch.search_spaces import Architecture, Network, build, load_preset

STUDENT = Path(__file__).parent / "chain" / "depthwise.yaml"
TEACHER = "unext"
COUNT, SEED = 240, 0
TIMED_EPOCHS = 1
CALIBRATION = 64
LAYER_SIZE, LAYER_WIDTH = 256, 16
INPUT_CHANNELS = (1, 3, 8, 16, 32)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--methods", default="minmax")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settle()
    torch.manual_seed(SEED)
    print(f"{measure.machine()}; {COUNT} phantoms of {arguments.size} pixels, {arguments.epochs} epochs, seed {SEED}")
    with tempfile.TemporaryDirectory() as folder:
        images = prepare(phantoms_from(PhantomParameters(image_size=arguments.size, count=COUNT)), arguments.size)
        split = split_images(images)
        network = build(Architecture.from_yaml(STUDENT.read_text(encoding="utf-8"), str(STUDENT)))
        result = train(network, images, split, Recipe(batch_size=4, epochs=arguments.epochs), seed=SEED)
        source = Path(folder) / "float.onnx"
        export_network(network, result.normalisation, arguments.size, load_profile("x86-server"), source)
        weights_table(source, images, split, Path(folder), arguments.methods.split(","))
        layers_table(Path(folder))
        teaching(network, images, split)


def weights_table(source: Path, images: ImageSet, split: Split, folder: Path, methods: list[Method]) -> None:
    """Print Dice on test images, agreement with the float masks and speed of 7 and 8 bits, by calibration method."""
    chosen, calibration = list(split.test), np.asarray(images.images[list(split.train)[:CALIBRATION]])
    pixels, masks = np.asarray(images.images[chosen]), np.asarray(images.masks[chosen])
    whole = OnnxNetwork(source).probabilities(pixels)
    print(f"float: Dice {np.mean(dice_of(whole, masks)):.4f} on {len(chosen)} test images")
    for method in methods:
        paths = []
        for bits in (7, 8):
            paths.append(folder / f"{method}-{bits}.onnx")
            quantise(source, calibration, Settings("u8s8", method, weight_bits=bits), paths[-1])
            rounded = OnnxNetwork(paths[-1]).probabilities(pixels)
            lesions = np.maximum(np.sum(whole >= 0.5), 1)
            print(
                f"{method}, {bits} bits: Dice {np.mean(dice_of(rounded, masks)):.4f}, pixels that change "
                f"{np.mean((rounded >= 0.5) != (whole >= 0.5)):.3%} of all, "
                f"{np.sum((rounded >= 0.5) != (whole >= 0.5)) / lesions:.2%} of the lesions'"
            )
        seven, eight = paired_benchmark(paths)
        ratio = median(one / two for one, two in zip(seven, eight, strict=True))
        print(f"{method}: 7 bits take {ratio:.2f} × the time of 8 ({median(eight):.2f} ms)")


def layers_table(folder: Path) -> None:
    """Print how long a 3×3 convolution and a head take in float and INT8, by the channels that it reads."""
    for channels in INPUT_CHANNELS:
        # NOTE: behind an activation it is no layer that reads the image, which would be left in float.
        layer = nn.Conv2d(channels, LAYER_WIDTH, 3, padding=1)
        network = nn.Sequential(nn.ReLU(), layer, nn.ReLU(), nn.Conv2d(LAYER_WIDTH, 1, 1)).eval()
        paths = [folder / f"layer-{channels}-{form}.onnx" for form in ("float", "int8")]
        export_module(network, LAYER_SIZE, load_profile("x86-server"), paths[0], image_channels=channels)
        pixels = np.random.default_rng(SEED).integers(0, 256, (2, channels, LAYER_SIZE, LAYER_SIZE), np.uint8)
        quantise(paths[0], pixels, Settings("u8s8", "minmax"), paths[1])
        whole, rounded = paired_benchmark(paths)
        ratio = median(two / one for one, two in zip(whole, rounded, strict=True))
        print(
            f"3×3 convolution and head, {channels} to {LAYER_WIDTH} channels at {LAYER_SIZE}×{LAYER_SIZE}: float "
            f"{median(whole):.2f} ms, INT8 {median(rounded):.2f} ms, {ratio:.2f} ×"
        )


def teaching(network: Network, images: ImageSet, split: Split) -> None:
    """Print how much more of the processor an epoch takes with a teacher, whatever else runs there."""
    teacher = build(load_preset(TEACHER).architecture.for_task()).eval()
    recipe = Recipe(batch_size=4, epochs=TIMED_EPOCHS)
    taught = Distillation(network, (teacher,), recipe, images.image_size)
    seconds = []
    for training_loss in (None, None, taught):  # the first one warms up
        start = time.process_time()
        train(network, images, split, recipe, seed=SEED, training_loss=training_loss)
        seconds.append((time.process_time() - start) / TIMED_EPOCHS)
    print(f"an epoch {seconds[1]:.2f} CPU s, taught by {TEACHER} {seconds[2]:.2f} s: {seconds[2] / seconds[1]:.2f} ×")


if __name__ == "__main__":
    main()
