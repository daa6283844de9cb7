"""Can this study be trusted? One verdict and one sentence a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ussearch.evaluators import Tier
from ussearch.report.markup import section, text
from ussearch.report.report_data import ReportData
from ussearch.report.significance import CandidateComparison
from ussearch.search_spaces import FreeSpace, SearchSpace
from ussearch.studies import TrialRecord
from ussearch.studies.front import beats

Verdict = Literal["good", "look", "bad"]
WORDS: dict[Verdict, str] = {"good": "good", "look": "look closer", "bad": "trouble"}
RARE = 0.05
FEWEST_VALUES = 3
"""A choice between two values has no inside: being at its end says nothing."""


@dataclass(frozen=True)
class StudyCheck:
    """One question with its answer."""

    question: str
    verdict: Verdict
    sentence: str


def study_checks(report_data: ReportData, comparison: CandidateComparison | None) -> tuple[StudyCheck, ...]:
    """Return all checks; those that cannot be answered yet say so."""
    return (
        limits(report_data, "edge"),
        limits(report_data, "cloud"),
        baselines(report_data),
        presets(report_data, comparison),
        space_edge(report_data),
        images(comparison),
        extrapolation(report_data),
        failures(report_data),
        leakage(report_data),
    )


def limits(report_data: ReportData, tier: Tier) -> StudyCheck:
    """Can the constraints of an end be met?"""
    question = f"Can the limits of the {'device' if tier == 'edge' else 'cloud'} be met?"
    config = report_data.study.config
    profile = config.profiles[tier]
    bounds = f"the limits of {profile.name}, {profile.limits_in_words(config.image_size)}"
    fitting = [record for record in report_data.good if record.feasible(tier)]
    if fitting:
        return StudyCheck(
            question, "good", f"{len(fitting)} of {len(report_data.good)} candidates keep within {bounds}."
        )
    if not report_data.good:
        return StudyCheck(question, "look", "No trial has finished well yet.")
    fastest = min(report_data.good, key=lambda record: record.costs(tier).latency_ms)
    leanest = min(report_data.good, key=lambda record: record.costs(tier).memory_mib)
    return StudyCheck(
        question,
        "bad",
        f"No candidate keeps within {bounds}: the fastest is trial {fastest.trial_id} with "
        f"{fastest.costs(tier).latency_ms:.1f} ms, the leanest trial {leanest.trial_id} with "
        f"{leanest.costs(tier).memory_mib:.0f} MiB; smaller images or other limits would help.",
    )


def baselines(report_data: ReportData) -> StudyCheck:
    """Are candidates better than what needs no network?"""
    question = "Are trivial baselines beaten?"
    trivial = report_data.study.baselines
    if not trivial or not report_data.good:
        return StudyCheck(question, "look", "Nothing to compare yet.")
    above = [record for record in report_data.good if beats(record.evaluation.metrics, trivial)]
    names = ", ".join(trivial)
    if above:
        return StudyCheck(
            question, "good", f"{len(above)} of {len(report_data.good)} candidates are above all of them ({names})."
        )
    return StudyCheck(question, "bad", f"No candidate is above all of them ({names}): train longer or check the masks.")


def presets(report_data: ReportData, comparison: CandidateComparison | None) -> StudyCheck:
    """Did the search find more than was published?"""
    question = "Does the search beat the presets?"
    fitting = [record for record in report_data.good if record.feasible("edge")]
    published, sampled = _best(fitting, True), _best(fitting, False)
    if published is None or sampled is None:
        missing = "preset" if published is None else "sampled candidate"
        return StudyCheck(
            question, "look", f"No {missing} within the device's limits has finished: nothing to compare."
        )
    gap = (sampled.objective or 0.0) - (published.objective or 0.0)
    words = (
        f"best sampled trial {sampled.trial_id} {sampled.objective or 0.0:.3f} at {sampled.costs().latency_ms:.1f} ms, "
        f"best preset {published.name} {published.objective or 0.0:.3f} at {published.costs().latency_ms:.1f} ms"
    )
    if comparison and {sampled.trial_id, published.trial_id} <= {comparison.best, *comparison.ties}:
        return StudyCheck(question, "look", f"A tie within the noise: {words}.")
    if gap > 0:
        return StudyCheck(question, "good", f"By {gap:.3f} of the objective: {words}.")
    return StudyCheck(question, "look", f"No, by {-gap:.3f} of the objective: {words}; a longer search may.")


def _best(records: list[TrialRecord], preset: bool) -> TrialRecord | None:
    chosen = [record for record in records if (record.role == "preset") == preset]
    return max(chosen, key=lambda record: record.objective or 0.0, default=None)


def space_edge(report_data: ReportData) -> StudyCheck:
    """Does the winner sit at the ends of choices more often than chance puts it there?"""
    question = "Does the space hold the winner?"
    best = report_data.best
    if best is None:
        return StudyCheck(question, "look", "No trial has finished well yet.")
    if not best.choices:
        return StudyCheck(
            question, "good", f"The winner, trial {best.trial_id}, is the preset {best.name}, not a sampled one."
        )
    config = report_data.study.config
    at = places(dict(best.choices), config.search_space)
    tiers = [place for place in at if place.at_end]
    expected = sum(place.chance for place in at)
    words = (
        f"trial {best.trial_id} is at an end of {len(tiers)} of {len(at)} numeric choices (chance gives {expected:.1f})"
    )
    if tail([place.chance for place in at], len(tiers)) >= RARE:
        return StudyCheck(question, "good", f"No sign against it: {words}.")
    named = ", ".join(f"{place.name.replace('_', ' ')} {place.value:g}" for place in tiers)
    return StudyCheck(question, "look", f"A wider one may hold a better: {words}: {named}.")


@dataclass(frozen=True)
class CandidatePlace:
    """Where a value lies among those of its choice; ``chance`` is the share of values that are at an end."""

    name: str
    value: float
    at_end: bool
    chance: float


def places(choices: dict[str, object], space: SearchSpace | FreeSpace) -> tuple[CandidatePlace, ...]:
    """Return the numeric choices of at least three values that matter: where another value gives another network."""
    found = []
    here = space.compose(choices).id
    for name, values in space.choices.items():
        numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        value = choices.get(name)
        if len(numbers) < FEWEST_VALUES or not isinstance(value, (int, float)):
            continue
        other = next(each for each in numbers if each != value)
        if space.compose({**choices, name: other}).id != here:
            at_end = value in (min(numbers), max(numbers))
            found.append(CandidatePlace(name, float(value), at_end, 2 / len(numbers)))
    return tuple(found)


def tail(chances: Sequence[float], count: int) -> float:
    """Return the probability that at least ``count`` of independent events with these chances happen."""
    exactly = np.ones(1)
    for chance in chances:
        exactly = np.convolve(exactly, (1 - chance, chance))
    return float(exactly[count:].sum())


def images(comparison: CandidateComparison | None) -> StudyCheck:
    """Are there enough validation images for the difference between first and second?"""
    question = "Are there enough validation images?"
    second = comparison.second if comparison else None
    if comparison is None or second is None:
        return StudyCheck(question, "look", "Fewer than two candidates can be compared.")
    half, gap = (second.high - second.low) / 2, -second.mean
    words = (
        f"first (trial {comparison.best}) and second (trial {second.trial_id}) differ by {gap:.3f} of the objective, "
        f"the 95 % half-width is {half:.3f} on {comparison.images} images ({comparison.method})"
    )
    if not second.tie:
        return StudyCheck(question, "good", f"Yes for the first place: {words}.")
    needed = comparison.images * (half / gap) ** 2 if gap > 0 else 0.0
    hint = f"; a difference this small would take about {needed:,.0f} images" if 0 < needed < 1e6 else ""
    return StudyCheck(question, "look", f"Not to name one winner: {words}{hint}.")


def extrapolation(report_data: ReportData) -> StudyCheck:
    """Are latencies on the front backed by measurements of the device?"""
    question = "Are the front's latencies backed by measurements?"
    by_trial_id = {record.trial_id: record for record in report_data.good}
    front = [by_trial_id[trial_id] for trial_id in report_data.report.front if trial_id in by_trial_id]
    if not front:
        return StudyCheck(question, "look", "The front is empty.")
    doubtful = [record for record in front if record.costs().extrapolated]
    if not doubtful:
        return StudyCheck(question, "good", f"None of the {len(front)} on the front is extrapolated.")
    return StudyCheck(
        question,
        "look",
        f"{len(doubtful)} of {len(front)} on the front are extrapolated: over a tenth of the milliseconds lies in "
        "kernels that the device's measurements do not cover; measure the finalists on the board.",
    )


def failures(report_data: ReportData) -> StudyCheck:
    """Did trainings fail?"""
    question = "Did trainings fail?"
    failed = [record for record in report_data.report.records if record.failed]
    if not failed:
        return StudyCheck(question, "good", f"None of {len(report_data.report.records)}.")
    first = failed[0]
    reason = report_data.told(first.evaluation.failure or "")
    return StudyCheck(
        question,
        "look",
        f"{len(failed)} of {len(report_data.report.records)}; trial {first.trial_id}: {reason}",
    )


def leakage(report_data: ReportData) -> StudyCheck:
    """Does the split keep together what belongs together?"""
    torn = report_data.study.split.leaking_groups
    question = "Does the split keep patients and near-duplicates together?"
    if not torn:
        return StudyCheck(question, "good", "Yes: no group is in two parts.")
    return StudyCheck(
        question, "bad", f"No: the given split tears {len(torn)} groups apart; test figures are too good."
    )


def checks_section(report_data: ReportData, comparison: CandidateComparison | None) -> str:
    """Return the section."""
    lines = (
        f'<li class="{check.verdict}"><b>{text(check.question)}</b> <span class="verdict">'
        f"{text(WORDS[check.verdict])}</span><br>{text(check.sentence)}</li>"
        for check in study_checks(report_data, comparison)
    )
    return section("health", "Health checks", f'<ul class="checks">{"".join(lines)}</ul>')
