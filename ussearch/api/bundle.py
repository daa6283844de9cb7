"""A bundle as a Python object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ussearch import pairs
from ussearch.datasets import ReadingOptions, read_frames
from ussearch.errors import UserError
from ussearch.evaluators import Tier
from ussearch.pairs.bundles.foreign_data import ForeignEvaluation, evaluate_on, foreign_images
from ussearch.pairs.bundles.model_card import CARD
from ussearch.pairs.bundles.variant import at_operating_point
from ussearch.pairs.bundles.verify import images_of
from ussearch.pairs.postprocessing.operating_point import OperatingPoint
from ussearch.runtime.frames import Frame
from ussearch.runtime.prediction import PredictionResult
from ussearch.runtime.predictor import PairPredictor, Predictor
from ussearch.serving.auth import read_token
from ussearch.serving.client import CloudOptions, open_predictor

Picture: TypeAlias = Path | str | npt.NDArray[Any]
"""A file (PNG, JPEG, TIFF, BMP, GIF, PGM, DICOM), or an array: grey values [H, W] of the depth that the bundle's images
had, or RGB uint8 [H, W, 3]."""
Cloud: TypeAlias = CloudOptions | str | None
"""Who answers what the edge is unsure of: ``"local"``, the URL of a server, how to ask one in full, or nobody."""
LOCAL = "local"
TIERS: tuple[Tier, ...] = ("edge", "cloud")


class Bundle(pairs.Bundle):
    """The deliverable of a study: two networks, the router between them, and the evidence for both.

    >>> import ussearch
    >>> bundle = ussearch.Bundle.load("bundle")
    >>> bundle
    Bundle('bundle': brightness-3 for jetson-nano, brightness-5 for x86-server, plain-...)
    >>> prediction = bundle.predict("scan.png")
    >>> prediction.mask.shape, prediction.mask.dtype, prediction.source
    ((61, 86), dtype('uint8'), 'edge')
    >>> round(bundle.profile().limits.latency_target_ms, 1)
    41.7
    >>> bundle.verify().passed
    True
    """

    @classmethod
    def load(cls, folder: Path | str) -> Bundle:
        """Open the bundle in ``folder``; raises UserError where it is none, or any byte of it has changed."""
        found = pairs.Bundle.load(Path(folder))
        return cls(found.folder, found.manifest)

    def __repr__(self) -> str:
        manifest = self.manifest
        tiers = ", ".join(f"{manifest.entry(tier).architecture} for {manifest.entry(tier).profile}" for tier in TIERS)
        return f"Bundle({str(self.folder)!r}: {tiers}, {manifest.data.name})"

    def predict(self, image: Picture, cloud: Cloud = LOCAL) -> PredictionResult:
        """Segment one image as ``ussearch infer`` does: the edge network first, then the router's decision.

        ``cloud`` says who answers where the router wants the cloud: the bundle's own cloud network on this machine, a
        server (the URL of ``ussearch serve``; its token is taken from the environment, ``USSEARCH_TOKEN``), or nobody
        with None, so that every answer is the edge's. Whatever a server does, there is a mask and a reason.

        Raises UserError for an image that cannot be read, a cine (``predict_all`` takes those), an array that is no
        image, or an address that is none.

        >>> import numpy as np
        >>> import ussearch
        >>> bundle = ussearch.Bundle.load("bundle")
        >>> answer = bundle.predict(np.zeros((48, 64), np.uint8), cloud=None)
        >>> answer.mask.shape, answer.source, int(answer.mask.sum())
        ((48, 64), 'edge', 0)
        """
        frames = self._frames(image)
        if len(frames) > 1:
            raise UserError(f"{image} holds {len(frames)} frames, one was expected: give it to predict_all.")
        with self._open(cloud) as predictor:
            return predictor.predict(frames[0])

    def predict_all(self, images: Iterable[Picture], cloud: Cloud = LOCAL) -> Iterator[PredictionResult]:
        """Yield the prediction of every frame of ``images`` in order; a cine gives one for each of its frames.

        A server is asked through one connection and one call budget. Raises as ``predict``.

        >>> import ussearch
        >>> bundle = ussearch.Bundle.load("bundle")
        >>> [answer.frame.source.name for answer in bundle.predict_all(["scan.png", "other.png"])]
        ['scan.png', 'other.png']
        """
        with self._open(cloud) as predictor:
            for image in images:
                yield from map(predictor.predict, self._frames(image))

    @property
    def figures(self) -> dict[str, Any]:
        """What is known of the pair, as JSON-ready data: metrics on the test images and the costs of both ends.

        >>> import ussearch
        >>> figures = ussearch.Bundle.load("bundle").figures
        >>> sorted(figures)[:7]
        ['baselines', 'cloud', 'cloud_gain', 'convention', 'costs', 'edge', 'images']
        >>> sorted(figures)[7:]
        ['offload_share', 'presence', 'routed', 'subgroups']
        >>> figures["images"], round(figures["routed"]["lesion_dice"], 2)
        (8, 0.89)
        >>> figures["costs"]["edge"]["latency_ms"]
        1.5
        """
        manifest = self.manifest.model_dump(mode="json")
        return {**manifest["metrics"], "costs": {tier: manifest[tier]["costs"] for tier in TIERS}}

    @property
    def card(self) -> str:
        """The model card, in Markdown; empty for bundles of before there were any.

        >>> import ussearch
        >>> ussearch.Bundle.load("bundle").card.splitlines()[0]
        '# Model card: plain-... on NVIDIA Jetson Nano 4 GB'
        """
        path = self.folder / CARD
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def verify(self, data: Path | str | None = None) -> pairs.Verification:
        """Check every byte, the export rules and the test vectors, as ``ussearch verify`` does.

        With ``data``, the folder of the data set that the bundle was made from, also the metrics; ``phantoms`` makes
        the built-in ones again.
        Raises UserError where a byte has changed since, or ``data`` is another data set.
        """
        return pairs.verify_bundle(self.folder, None if data is None else Path(data))

    def evaluate(self, data: Path | str, reading: ReadingOptions | None = None) -> ForeignEvaluation:
        """Judge the bundle on another data set with masks, as ``ussearch evaluate`` does; nothing is written.

        ``reading`` says how its files are read where they do not tell. Raises UserError as ``data check`` does, and
        where the files are deeper than those that the networks learnt from.
        """
        return evaluate_on(self, foreign_images(self, Path(data), reading))

    def at_threshold(
        self,
        out: Path | str,
        data: Path | str,
        *,
        false_positives: float | None = None,
        sensitivity: float | None = None,
    ) -> Bundle:
        """Write the same networks at another operating point to ``out``, as ``ussearch threshold`` does.

        One goal, as a share of the calibration images: ``false_positives`` at most, or ``sensitivity`` at least.
        ``data`` is the data set that the bundle was made from, ``phantoms`` the built-in ones. Raises UserError where
        no threshold meets the goal, ``data`` is another data set, or ``out`` cannot be written.
        """
        point = OperatingPoint(false_positives, sensitivity)
        made = at_operating_point(self, images_of(self, Path(data)), point, Path(out))
        return type(self)(made.folder, made.manifest)

    @cached_property
    def _pair(self) -> PairPredictor:
        return self.predictor()

    @contextmanager
    def _open(self, cloud: Cloud) -> Iterator[Predictor]:
        if cloud == LOCAL:
            yield self._pair
        elif cloud is None:
            yield self._pair.alone()
        else:
            options = CloudOptions(cloud, read_token(None)) if isinstance(cloud, str) else cloud
            with open_predictor(self, options) as predictor:
                yield predictor

    def _frames(self, image: Picture) -> list[Frame]:
        """Return the frames of an image in the grey levels that the networks learnt from."""
        read = self.manifest.preprocessing
        if isinstance(image, np.ndarray):
            return [Frame.of(image, grey_scale=read.grey_scale)]
        return read_frames(image, read.grey_scale, read.region)
