"""``MODEL_CARD.md``: a bundle for people who decide whether to use it. Every figure is one of the bundle's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ussearch.compress import Compression
from ussearch.evaluators import Tier
from ussearch.evaluators.pretrained import earlier_told
from ussearch.hardware_profiles import Profile
from ussearch.pairs.bundles.cloud_gain import gain_sentences
from ussearch.pairs.bundles.ensemble import EnsembleChoice, ensemble_notes
from ussearch.pairs.bundles.evaluation import baseline_warnings
from ussearch.pairs.bundles.manifest import Manifest, NetworkEntry
from ussearch.pairs.bundles.model_card_tables import (
    baselines_table,
    bullets,
    compression_table,
    estimate,
    network_table,
    part_table,
    presence_table,
    share,
    subgroups_table,
)
from ussearch.pairs.bundles.subgroups import ESTIMATES_CONVENTION, Subgroup
from ussearch.runtime.decision import EVERYTHING_STAYS, NOTHING_STAYS
from ussearch.runtime.grey_scale import GreyScale

CARD = "MODEL_CARD.md"
FEW_IMAGES = 30
"""Test images of a class or size; with fewer, its figures say little."""
PRESENCE = (
    "By image: sensitivity is the share of the images with a lesion on which anything is marked, specificity the share "
    "of those without on which nothing is, found that of the lesions which what is marked covers with an IoU of 0.1 "
    "or more. The ROC curve is that of each network's surest lesion."
)
Profiles = Mapping[Tier, Profile]


def model_card(
    manifest: Manifest, profiles: Profiles, compression: Compression | None, choice: EnsembleChoice | None = None
) -> str:
    """Return the card in Markdown; ``compression`` is the record of the edge network's chain, ``choice`` that of what
    answers in the cloud, None without one.
    """
    sections = {
        "Intended use": _intended_use(manifest),
        "Networks and devices": _networks(manifest, profiles, choice),
        "Data": _data(manifest),
        "Figures on the test images": _figures(manifest, choice),
        "Thresholds": _thresholds(manifest),
        "Compression": _compression(compression),
        "Limits": [bullets(_limits(manifest, profiles))],
        "Reproduction": _reproduction(manifest),
    }
    head = f"# Model card: {manifest.data.name} on {profiles['edge'].title}\n\n{_summary(manifest)}"
    body = (f"## {title}\n\n" + "\n\n".join(parts) for title, parts in sections.items())
    return "\n\n".join([head, *body]) + "\n"


def _summary(manifest: Manifest) -> str:
    everything = next((each for each in manifest.metrics.subgroups if each.kind == "all"), None)
    dice = "" if everything is None else f" with a lesion Dice of {estimate(everything.routed['lesion_dice'])}"
    warnings = "".join(f"**{each}**\n\n" for each in baseline_warnings(manifest.metrics))
    return warnings + (
        f"Two segmentation networks and the router between them: `{manifest.edge.architecture}` answers on the device, "
        f"`{manifest.cloud.architecture}` in the cloud. On {manifest.metrics.images} test images the pair answers"
        f"{dice}, {_sent(manifest.metrics.offload_share)}. Every figure below is a record of this bundle; "
        "`bundle.yaml` holds them for programs."
    )


def _sent(offload_share: float) -> str:
    return f"{share(offload_share)} of them by the cloud" if offload_share else "all of them on the device"


def _intended_use(manifest: Manifest) -> list[str]:
    data, side = manifest.data, manifest.preprocessing.image_size
    intended = [
        f"To outline what the masks of `{data.name}` outline (called lesion here) in grey ultrasound frames like those "
        f"of that data set, one frame at a time, stretched to {side}×{side} pixels.",
        "For engineers and researchers who try the pair on its device, measure it, and decide what it still needs.",
    ]
    not_intended = [
        "Diagnosis, treatment, or any decision about a person: this is no medical device, and nobody has approved it.",
        "Other organs, probes, machines, hospitals or groups of patients than those of the data: nothing was measured "
        "there.",
        "Lengths or areas in millimetres: the networks know pixels of a stretched image.",
    ]
    if data.phantoms is not None:
        not_intended.insert(0, "Images of people: the data are phantoms, made by a program.")
    return ["It is meant:", bullets(intended), "It is not meant for:", bullets(not_intended)]


def _networks(manifest: Manifest, profiles: Profiles, choice: EnsembleChoice | None) -> list[str]:
    notes = [f"{tier.capitalize()} device: {profile.trust}" for tier, profile in profiles.items()]
    if manifest.edge.device_file:
        notes.append(
            f"The edge device runs `edge/{manifest.edge.device_file}`; the figures are those of `edge/model.onnx`."
        )
    if manifest.edge.precision == "fp16" and profiles["edge"].precision == "fp32":
        notes.append(
            f"The edge network's milliseconds are those of an engine in FP16: "
            f"{manifest.edge.costs.get('latency_label')}. `run_edge.py` computes its file in FP32."
        )
    notes += ensemble_notes(choice) if choice is not None and choice.title else ()
    notes += filter(None, (_started(tier, manifest.entry(tier)) for tier in profiles))
    return [network_table(manifest, profiles), bullets(notes)]


def _started(tier: Tier, entry: NetworkEntry) -> str:
    """Return whose weights a network started from, and under which licence; nothing from scratch."""
    found = entry.pretrained
    if found is None:
        return ""
    before = "" if found.part == "encoder" else f"; {earlier_told(found.earlier)}"
    images = "; the images that they were trained on are ImageNet's, which are for research" * (found.part == "encoder")
    return (
        f"The {tier} network's training began with {found.weights}, SHA-256 `{found.sha256}`: {found.source}; licence "
        f"{found.licence}{images}{before}."
    )


def _grey_levels(scale: GreyScale | None) -> str:
    if scale is None:
        return "Grey levels: 8 bits as they are; of deeper files, each was scaled by its own brightest pixel."
    if scale.is_plain:
        return "Grey levels: those of 8-bit images, as they are."
    return (
        f"Grey levels: values from {scale.low:g} (black) to {scale.high:g} (white) of files of more than 8 bits, by "
        f"{scale.basis}; what lies beyond is clipped."
    )


def _data(manifest: Manifest) -> list[str]:
    data = manifest.data
    made_up = ", made by a program" if data.phantoms is not None else ""
    facts = [f"`{data.name}` (layout {data.reader}{made_up}), {data.images} images, fingerprint `{data.fingerprint}`."]
    facts.append(_grey_levels(manifest.preprocessing.grey_scale))
    counts = data.counts
    if counts is None:
        return [bullets([*facts, "How they were divided was not recorded by the format of this bundle."])]
    facts += [
        f"Split: {counts.split}.",
        f"{counts.together} images share a group (one patient, or near-duplicates) with another; the largest group has "
        f"{counts.largest_group}, there are {counts.groups}. Groups stay in one part"
        + (f", but {counts.torn} of them are torn apart by the split that was given." if counts.torn else "."),
        "Networks learn from train, are selected on validation; thresholds come from calibration; test is judged once, "
        "in the end.",
    ]
    return [bullets(facts), part_table(counts)]


def _figures(manifest: Manifest, choice: EnsembleChoice | None) -> list[str]:
    metrics = manifest.metrics
    if not metrics.subgroups:
        return ["The format of this bundle has no intervals; its means are in `bundle.yaml`.", metrics.convention]
    everything = ("lesion_dice", "iou", "hd95", "hd95_mm", "false_positive_rate")
    parts = [subgroups_table(_of(metrics.subgroups, "all"), everything)]
    parts += gain_sentences(metrics.cloud_gain, choice)
    titles = {
        "class": "### By class",
        "size": "### By size\n\nThirds of the test images with a lesion, by the share of the image that it covers.",
    }
    for kind, title in titles.items():
        if members := _of(metrics.subgroups, kind):
            parts += [title, subgroups_table(members, ("lesion_dice", "false_positive_rate"))]
    if metrics.presence is not None:
        parts += [f"### Is there a lesion?\n\n{PRESENCE}", presence_table(metrics)]
    if metrics.baselines:
        parts += ["### What needs no network", baselines_table(metrics)]
    return [*parts, f"{metrics.convention} {ESTIMATES_CONVENTION}"]


def _of(subgroups: tuple[Subgroup, ...], kind: str) -> list[Subgroup]:
    return [each for each in subgroups if each.kind == kind]


def _thresholds(manifest: Manifest) -> list[str]:
    router = manifest.router
    facts = [
        *_postprocessing(manifest),
        _routing(manifest),
    ]
    if router.policy is not None:
        settings = router.policy.model_dump(exclude={"kind"})
        words = ", ".join(f"{name} {value:g}" for name, value in settings.items())
        facts.append(f"Policy: {router.policy.kind} ({words}).")
    sentences = [router.reason, router.routing_gain.sentence if router.routing_gain else "", router.score_reason]
    facts += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in dict.fromkeys(sentences) if sentence]
    return [bullets(facts)]


def _postprocessing(manifest: Manifest) -> Iterator[str]:
    """Yield what becomes of each network's probabilities, and why."""
    both, why = manifest.postprocessing, manifest.postprocessing_choice
    if both is None:
        yield "A pixel is lesion from a probability of 0.5 on, in both networks."
    for tier in ("edge", "cloud"):
        if both is not None:
            yield f"{tier.capitalize()}: {getattr(both, tier).sentence}."
        if why is not None:
            yield from (f"{tier.capitalize()}, {step.sentence}." for step in getattr(why, tier).steps)
    if manifest.parent is not None:
        yield f"Made of the bundle `{manifest.parent.digest}`, whose networks it has: {manifest.parent.reason}."


def _routing(manifest: Manifest) -> str:
    router = manifest.router
    if router.threshold == EVERYTHING_STAYS:
        return "No image goes to the cloud, whatever the edge's confidence."
    if router.threshold == NOTHING_STAYS:
        return "Every image goes to the cloud, whatever the edge's confidence."
    return (
        f"An image goes to the cloud where the edge's confidence ({router.score.replace('_', ' ')}) is below "
        f"{router.threshold:.4f}, chosen on {router.calibration_images} calibration images: "
        f"{share(router.requested_share)} of the images were to go, {share(manifest.metrics.offload_share)} of the "
        "test images do."
    )


def _compression(compression: Compression | None) -> list[str]:
    if compression is None:
        return ["The edge network left as it was trained; no step of compression was asked for."]
    note = (
        "Dice: validation images, two empty masks count 1; change in points with its 95 % interval, paired bootstrap "
        "over groups. × ms: share of the latency before the step; in the last row, of the deploy form's."
    )
    return [f"Shipped: {compression.form}.", compression_table(compression), note]


def _limits(manifest: Manifest, profiles: Profiles) -> Iterator[str]:
    metrics = manifest.metrics
    yield f"All figures come from {metrics.images} images of one data set; another site may see others."
    rate = metrics.routed.get("false_positive_rate")
    if rate is None:
        yield "No test image is without a lesion: how often the pair marks something where nothing is, nobody knows."
    elif rate > 0:
        yield f"On {share(rate)} of the test images without a lesion the pair marks something nevertheless."
    if metrics.offload_share and (metrics.routed.get("objective") or 0.0) <= (metrics.edge.get("objective") or 0.0):
        yield "On the test images the pair is no better than the edge network alone (objective): routing gains nothing."
    few = [each for each in metrics.subgroups if each.kind != "all" and each.images < FEW_IMAGES]
    if few:
        words = ", ".join(f"{each.name} ({each.images})" for each in few)
        yield f"Fewer than {FEW_IMAGES} test images, so that their figures say little: {words}."
    for tier, profile in profiles.items():
        if manifest.entry(tier).costs.get("extrapolated"):
            yield (
                f"The {tier} network's latency is extrapolated: over a tenth of it lies in kernels that nobody "
                f"measured on {profile.name}. Measure it there before you rely on it."
            )
    if manifest.edge.precision != "fp32":
        yield f"The edge network computes in {manifest.edge.precision}; its figures are those of the file that ships."
    if manifest.data.counts and manifest.data.counts.torn:
        yield "The split tears groups apart: test images resemble images that were learnt from, and figures flatter."
    yield "Frames are judged one by one; nothing uses the frames before."
    yield "The vectors are images of the data set: give the bundle only to those who may see them."


def _reproduction(manifest: Manifest) -> list[str]:
    provenance = manifest.provenance
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    facts = [f"Data: fingerprint `{manifest.data.fingerprint}`; `split.json` has the images of each part, by number."]
    if provenance is not None:
        facts += [
            f"Seed {provenance.seed}, workers {provenance.workers}, sampler {provenance.sampler}, evaluator "
            f"{provenance.evaluator}, {provenance.trials} trials; {provenance.full_training}, on "
            f"{', '.join(provenance.trained_on)}.",
            f"Study begun: {provenance.begun}.",
            "Capitals in the commands stand for files and folders, whose names stay with the study.",
        ]
    facts += [
        f"Made with {versions}.",
        "`ussearch verify BUNDLE` checks every byte and answer, with `--data DIR` every metric.",
    ]
    if provenance is None:
        return [bullets(["Nobody recorded the commands that this pair came from.", *facts])]
    return ["```\n" + "\n".join(provenance.commands) + "\n```", bullets(facts)]
