"""The sizes of what nobody asked for: how much a run trains, and how many workers do it."""

from __future__ import annotations

from ussearch.run_config import RunConfig

MOST_USUAL_WORKERS = 4
"""More of them draft so far ahead of what is known that a search of some dozen trials learns little."""
FINAL_TO_SEARCH_EPOCHS = 4
"""Full length in multiples of the length in the search, where only the latter was chosen."""
PHANTOM_SIZES = {"trials": 11, "epochs": 3, "final_epochs": 12, "final_restarts": 1, "image_size": 128}
"""Small: phantoms are there to try the program in minutes. Five presets and six samples; 63 steps each tell
candidates apart, the rest of the time goes to the pair, which gains from every further epoch."""
USUAL_BUDGET_S, USUAL_BUDGET_ON_CARDS_S = 3600.0, 1800.0
"""Of a run on data where neither a budget nor a number of trials was asked for."""
DATA_SIZES = {"trials": 40, "epochs": 30, "final_epochs": 120, "final_restarts": 2, "image_size": 256}


def with_usual_sizes(config: RunConfig) -> RunConfig:
    """Return the configuration with the sizes asked for, the others by what the data is."""
    usual = PHANTOM_SIZES if config.data.path is None else DATA_SIZES
    asked = config.training
    epochs = usual["epochs"] if asked.epochs is None else asked.epochs
    final = usual["final_epochs"] if asked.epochs is None else FINAL_TO_SEARCH_EPOCHS * epochs
    return config.changed(
        space={"image_size": config.space.image_size or usual["image_size"]},
        search={"trials": config.search.trials or usual["trials"]},
        training={
            "epochs": epochs,
            "final_epochs": asked.final_epochs or final,
            "final_restarts": usual["final_restarts"] if asked.final_restarts is None else asked.final_restarts,
        },
    )


def with_usual_budget(config: RunConfig, *, on_cards: bool) -> RunConfig:
    """Return the configuration with an hour for a run on data, half of one on cards, where nobody said how much."""
    if config.budget is not None or config.data.path is None or config.search.trials is not None:
        return config
    return config.model_copy(update={"budget": USUAL_BUDGET_ON_CARDS_S if on_cards else USUAL_BUDGET_S})


def with_usual_workers(config: RunConfig, cores: int, cards: int = 0) -> RunConfig:
    """Return the configuration with workers, where it names none.

    On a processor there is a worker for each of ``cores``, up to four: two networks side by side train in less than
    half the time of one after the other on both cores (``docs/results/workers.md``). Where ``cards`` train there is one
    for each, up to four as well; on a Ray cluster and where threads were asked for there is one.
    """
    asked = config.execution
    if asked.workers is not None:
        return config
    alone = asked.ray is not None or asked.threads
    return config.changed(execution={"workers": 1 if alone else max(1, min(cards or cores, MOST_USUAL_WORKERS))})
