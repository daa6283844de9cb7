from __future__ import annotations

from ussearch.pairs.bundles.evaluation import baseline_warnings
from ussearch.pairs.bundles.manifest import MetricsEntry


def metrics(edge: float, cloud: float, **baselines: float) -> MetricsEntry:
    """Return figures in which selection equals lesion Dice."""
    edge_figures, cloud_figures = ({"lesion_dice": each, "objective": each} for each in (edge, cloud))
    return MetricsEntry(
        convention="",
        images=10,
        offload_share=0.0,
        edge=edge_figures,
        cloud=cloud_figures,
        routed=edge_figures,
        baselines={name: {"lesion_dice": each, "objective": each} for name, each in baselines.items()},
        subgroups=(),
    )


def test_a_network_that_loses_to_no_network_is_named_with_both_figures() -> None:
    (line,) = baseline_warnings(metrics(0.157, 0.5, empty=0.0, mean_mask=0.259, otsu=0.185))
    assert line.startswith("The edge network is NOT FIT FOR USE")
    assert "reaches its lesion Dice and objective on the test images (mean_mask: lesion Dice 0.259" in line
    assert "the network: lesion Dice 0.157" in line


def test_the_baseline_that_is_named_is_one_that_reaches_the_network() -> None:
    found = metrics(0.35, 0.9)
    baselines = {"Otsu": {"lesion_dice": 0.2, "objective": 0.3}, "mean mask": {"lesion_dice": 0.4, "objective": 0.1}}
    (line,) = baseline_warnings(found.model_copy(update={"baselines": baselines}))
    assert "reaches its lesion Dice on the test images (mean mask: lesion Dice 0.400, objective 0.100;" in line


def test_where_only_the_objective_is_reached_the_sentence_says_so() -> None:
    found = metrics(0.35, 0.9).model_copy(update={"baselines": {"empty": {"lesion_dice": 0.0, "objective": 0.35}}})
    (line,) = baseline_warnings(found)
    assert "reaches its objective on the test images (empty:" in line


def test_networks_above_every_baseline_are_not_mentioned() -> None:
    assert baseline_warnings(metrics(0.6, 0.7, empty=0.0, mean_mask=0.3)) == []


def test_bundles_without_recorded_baselines_say_nothing() -> None:
    assert baseline_warnings(metrics(0.0, 0.0)) == []
