"""How a run was set up, as its folder keeps it: what has this form is one, and may come from anybody.

    cell        a list of layers: the cell's name under "cell", its options
    graph       the options of the graph
    task        name, options, and of a text its sha256
    training    budget, state, evaluations, truncation, schedule, patience, seed

What cells and tasks make of their options they say themselves, when they are made.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.options import (
    BUDGETS,
    STATES,
    STYLES,
    GraphOptions,
    OptionError,
    require_choice,
    require_fraction,
    require_positive,
    require_schedule,
    require_whole,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Collection

TRAINING = ("budget", "state", "evaluations", "truncation", "schedule", "patience", "seed")


def require_run_config(config: Any) -> dict[str, Any]:
    """Returns a run's configuration, with all options of the graph.

    Raises:
        OptionError: Naming the part, if it is none.
    """
    _require_keys("config", config, ("cell", "graph", "task", "training"))
    _require_layers(config["cell"])
    _require_task(config["task"])
    _require_training(config["training"])
    return {**config, "graph": dataclasses.asdict(_graph_options(config["graph"]))}


def _require_keys(name: str, value: Any, keys: Collection[str]) -> None:
    if not isinstance(value, dict) or not set(keys) <= set(value):
        raise OptionError(name, f"must have the keys {', '.join(keys)}, got {shown(value)}")


def _require_layers(cell: Any) -> None:
    if not isinstance(cell, list) or not cell:
        raise OptionError("cell", f"must be a list of at least one layer, got {shown(cell)}")
    for layer in cell:
        _require_keys("cell", layer, ("cell", "state_size"))


def _graph_options(graph: Any) -> GraphOptions:
    fields = dataclasses.fields(GraphOptions)
    _require_keys("graph", graph, [field.name for field in fields if field.default is dataclasses.MISSING])
    unknown = sorted(set(graph) - {field.name for field in fields})
    if unknown:
        raise OptionError("graph", f"must have no key {unknown[0]!r}")
    return GraphOptions(**graph)


def _require_task(task: Any) -> None:
    _require_keys("task", task, ("name", "options"))
    if not isinstance(task["name"], str) or not isinstance(task["options"], dict):
        raise OptionError("task", f"must have a name and a dictionary of options, got {shown(task)}")


def _require_training(training: Any) -> None:
    _require_keys("training", training, TRAINING)
    budget, truncation, schedule = training["budget"], training["truncation"], training["schedule"]
    _require_exactly("budget", budget, {"kind", "amount"})
    require_positive(require_choice("budget", budget["kind"], BUDGETS), budget["amount"])
    require_choice("state", training["state"], STATES)
    _require_exactly("truncation", truncation, {"style", "stride", "tolerance", "seed"})
    require_choice("style", truncation["style"], STYLES)
    require_whole("stride", truncation["stride"])
    require_fraction("tolerance", truncation["tolerance"])
    require_whole("seed", truncation["seed"], at_least=0)
    _require_exactly("schedule", schedule, {"name", "decay", "decay_after"})
    require_schedule(schedule["name"], schedule["decay"], schedule["decay_after"])
    require_whole("seed", training["seed"], at_least=0)
    for option in ("evaluations", "patience"):
        if training[option] is not None:
            require_whole(option, training[option])


def _require_exactly(name: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict) or set(value) != keys:
        raise OptionError(name, f"must have the keys {', '.join(sorted(keys))}, got {shown(value)}")
