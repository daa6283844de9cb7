"""How to make the same study again."""

from __future__ import annotations

import yaml

from ussearch.evaluators import Pretrained
from ussearch.pairs.bundles.provenance import told_length
from ussearch.pairs.bundles.shareable import shareable
from ussearch.report.markup import facts, section, text
from ussearch.report.report_data import ReportData
from ussearch.studies import StudyConfig


def reproduction(report_data: ReportData) -> list[tuple[str, str]]:
    """Return everything that results depend on, as names with values."""
    config = report_data.study.config
    versions = ", ".join(f"{name} {version}" for name, version in config.versions.items())
    devices = sorted({record.evaluation.accelerator for record in report_data.good})
    found = [
        ("command", config.command_line if report_data.names else shareable(config.command_line)),
        ("begun", config.created),
        ("seed", str(config.seed)),
        ("workers", f"{config.workers} (part of the result: they decide what each draft may learn from)"),
        ("threads", "as in the command; all cores where it names none"),
        ("trained on", ", ".join(devices) or "nothing yet"),
        ("sampler, evaluator", f"{config.sampler.name}, {config.evaluator}"),
        ("trials", config.counted(len(report_data.report.records))),
        ("full training", _full_training(config)),
        ("data", f"{report_data.data_name}, fingerprint {config.data.fingerprint}"),
        ("pretrained weights", _started(config.pretrained, names=report_data.names)),
        ("split", report_data.split_source),
        ("profiles", ", ".join(f"{tier} {profile.name}" for tier, profile in config.profiles.items())),
        ("versions", versions),
    ]
    if report_data.bundle:
        made = ", ".join(f"{name} {version}" for name, version in report_data.bundle.manifest.versions.items())
        found.append(("bundle made with", made))
    return found


def _full_training(config: StudyConfig) -> str:
    edge, cloud = config.full_length("edge"), config.full_length("cloud")
    told = told_length(edge.epochs, edge.restarts)
    return told if edge == cloud else f"edge {told}; cloud {told_length(cloud.epochs, cloud.restarts)}"


def _started(pretrained: Pretrained, *, names: bool) -> str:
    """Return which networks started from which weights; what the user's own are called is told with ``names`` only."""
    told = [
        f"{start.network}: {start.told if names or start.part == 'encoder' else 'of the user'}"
        for start in pretrained.starts
    ]
    return "; ".join(told) or "none, all networks started from scratch"


def reproduction_section(report_data: ReportData) -> str:
    """Return the section; the recipe is folded away."""
    recipe = yaml.safe_dump(report_data.study.config.recipe.model_dump(mode="json"), sort_keys=False)
    folded = f"<details><summary>Training recipe</summary><pre>{text(recipe)}</pre></details>"
    lead = (
        "The same command with the same data asks for the same architectures. With --threads 1 Dice is the same to the "
        "last digit on machines of a kind; more threads add in another order."
    )
    return section("reproduction", "How to reproduce", facts(reproduction(report_data)), folded, lead=lead)
