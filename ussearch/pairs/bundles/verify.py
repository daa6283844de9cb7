"""Does a bundle still do what it says? Everything in it is checked and replayed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ussearch.datasets import ImageSet, PhantomParameters, as_read, phantoms_from, prepare
from ussearch.errors import UserError
from ussearch.hardware_profiles import check_onnx
from ussearch.pairs.bundles.bundle import Bundle
from ussearch.pairs.bundles.evaluation import differences, evaluate_pair
from ussearch.pairs.bundles.latency import latency_told
from ussearch.pairs.bundles.test_vectors import Replay, replay_vectors
from ussearch.runtime.predictor import PairPredictor

PHANTOMS = "phantoms"
INTEGRITY = "integrity"


@dataclass(frozen=True)
class VerificationCheck:
    """One thing that was verified: whether it holds, and what was seen."""

    name: str
    passed: bool
    detail: str


class UntrustedBundle(UserError):
    """The folder is no bundle, or a byte of it has changed: nothing in it was replayed."""

    def __init__(self, path: Path, sentence: str) -> None:
        super().__init__(sentence)
        self.verification = Verification(str(path), (VerificationCheck(INTEGRITY, False, sentence),))


@dataclass(frozen=True)
class Verification:
    """All checks of one bundle."""

    bundle: str
    checks: tuple[VerificationCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {"bundle": self.bundle, "passed": self.passed, "checks": [asdict(check) for check in self.checks]}


def verify_bundle(path: Path, data: Path | None = None, cache_dir: Path | None = None) -> Verification:
    """Check every byte, the export rules and all test vectors of the bundle at ``path``; with ``data`` its
    metrics.

    ``data`` is the folder of the data set that the bundle was made from; ``phantoms`` makes the built-in
    phantoms again. Raises UntrustedBundle where ``path`` is no bundle or a byte of it has changed, and
    UserError where ``data`` is another data set.
    """
    bundle = _trusted(path)
    pair = bundle.predictor()
    checks = [VerificationCheck(INTEGRITY, True, f"{len(bundle.manifest.files) + 2} files, every byte as exported")]
    checks += [_rules(bundle, tier) for tier in ("edge", "cloud")]
    checks += [_vector(replay) for replay in replay_vectors(bundle.folder, pair)]
    if data is not None:
        checks.append(_metrics(bundle, pair, images_of(bundle, data, cache_dir)))
    return Verification(str(path), tuple(checks))


def _trusted(path: Path) -> Bundle:
    try:
        return Bundle.load(path)
    except UserError as error:
        raise UntrustedBundle(path, str(error)) from error


def _rules(bundle: Bundle, tier: str) -> VerificationCheck:
    profile = bundle.profile(tier)
    findings = check_onnx(bundle.folder / tier / "model.onnx", profile)
    kept = f"opset {profile.export.opset}, static, within the rules of {profile.name}"
    told = latency_told(bundle.manifest.entry(tier), profile, bundle.manifest.preprocessing.image_size)
    seen = [*map(str, findings)] or [kept, told]
    return VerificationCheck(f"{tier} model", not findings, "; ".join(filter(None, seen)))


def _vector(replay: Replay) -> VerificationCheck:
    detail = (
        f"logits differ by {replay.edge_difference:.1e} (edge) and {replay.cloud_difference:.1e} (cloud), "
        f"{replay.wrong_pixels} pixels of the mask, confidence by {replay.confidence_difference:.1e}"
    )
    return VerificationCheck(f"vector {replay.name}", replay.passed, detail)


def images_of(bundle: Bundle, data: Path, cache_dir: Path | None = None) -> ImageSet:
    """Prepare the data set in ``data`` (``phantoms``: the built-in ones); raises UserError for any but the bundle's."""
    made_up = bundle.manifest.data.phantoms
    if str(data) == PHANTOMS and not data.exists():
        if made_up is None:
            raise UserError(
                f"{bundle.folder} was not made from {PHANTOMS} but from {bundle.manifest.data.name}: "
                "give the folder of that data set."
            )
        dataset = phantoms_from(PhantomParameters.model_validate(made_up))
    else:
        dataset = as_read(bundle.manifest.data.reading, data, bundle.manifest.data.reader)
    images = prepare(dataset, bundle.manifest.preprocessing.image_size, cache_dir)
    expected = bundle.manifest.data
    if images.fingerprint != expected.fingerprint:
        raise UserError(
            f"{data} is not the data set of this bundle (fingerprint {images.fingerprint[:12]}, expected "
            f"{expected.fingerprint[:12]}): give the folder that it was made from."
        )
    return images


def _metrics(bundle: Bundle, pair: PairPredictor, images: ImageSet) -> VerificationCheck:
    stated = bundle.manifest.metrics
    found = evaluate_pair(pair, images, bundle.split())
    wrong = differences(stated, found)
    dice = ", ".join(f"{tier} {_shown(getattr(found, tier)['lesion_dice'])}" for tier in ("edge", "cloud", "routed"))
    detail = f"lesion Dice on {found.images} test images: {dice}; {100 * found.offload_share:.0f} % to the cloud"
    return VerificationCheck("metrics", not wrong, f"differ: {', '.join(wrong)}" if wrong else detail)


def _shown(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.4f}"
