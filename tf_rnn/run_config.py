"""Schema of a run's config.json, checked on reading since the file may have been edited; rules of resuming.

    cell        a list of layers: the cell's name under "cell", its options
    graph       the options of the graph
    task        name, options, and of a text its sha256
    training    budget, state, evaluations, truncation, schedule, schedule_width, patience, seed
    start_from  of a run that began with the weights of another: its folder, checkpoint, and their SHA-256

Cells and tasks check their own options when they are made.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.options import (
    BUDGETS,
    SCHEDULES_OVER_BUDGET,
    GraphOptions,
    OptionError,
    require_choice,
    require_schedule,
    shown,
)
from tf_rnn.options.declared import (
    CELL_OPTIONS,
    LENGTH_OPTIONS,
    NETWORK_OPTIONS,
    PATIENCE,
    SEED,
    SETUP_OPTIONS,
    TASK_OPTIONS,
    TRAINING_OPTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tf_rnn.options import Option

# The options of a training run, whether it is new or resumed.
RUN_OPTIONS: dict[str, Option] = {
    **SETUP_OPTIONS,
    **LENGTH_OPTIONS,
    **TRAINING_OPTIONS,
    "patience": PATIENCE,
}
# The parts of "training" that are options themselves, and the records among them by their keys.
TRAINING = {name: TRAINING_OPTIONS[name] for name in ("state", "evaluations", "schedule_width")}
TRAINING |= {"patience": PATIENCE, "seed": SEED}
TRUNCATION = {name: NETWORK_OPTIONS[name] for name in ("style", "stride", "tolerance")} | {"seed": SEED}
RECORDS = ("budget", "truncation", "schedule")
# The options of a schedule beside its name, and those of them that the first runs lack.
SCHEDULE = ("decay", "decay_after", "warm_up_updates")
SCHEDULE_LATER = ("warm_up_updates",)
# What of a network its weights determine, or what determined its first ones.
NETWORK = (
    *("task", "cell", "state_size", "num_layers", "embedding_size", "tied", "init_scale", "initial_state"),
    *CELL_OPTIONS,
)


def require_run_config(config: Any) -> dict[str, Any]:
    """Returns a run's configuration, with all options of graph and schedule, later ones at their defaults.

    Raises:
        OptionError: Naming the part that is wrong.
    """
    _require_keys("config", config, ("cell", "graph", "task", "training"))
    _require_layers(config["cell"])
    _require_task(config["task"])
    training = _with_later_options(config["training"])
    _require_training(training)
    if "start_from" in config:
        _require_exactly("start_from", config["start_from"], {"folder", "checkpoint", "sha256"})
    graph = dataclasses.asdict(_graph_options(config["graph"]))
    return {**config, "graph": graph, "training": training}


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


def _with_later_options(training: Any) -> Any:
    """The part "training" with the options that a run of an earlier version does not have."""
    if not isinstance(training, dict) or not isinstance(training.get("schedule"), dict):
        return training
    schedule = training["schedule"]
    later = {name: TRAINING_OPTIONS[name].default for name in SCHEDULE_LATER if name not in schedule}
    return {**training, "schedule": {**schedule, **later}}


def _require_training(training: Any) -> None:
    _require_keys("training", training, (*RECORDS, *TRAINING))
    budget, truncation, schedule = (training[name] for name in RECORDS)
    _require_exactly("budget", budget, {"kind", "amount"})
    LENGTH_OPTIONS[require_choice("budget", budget["kind"], BUDGETS)].check(budget["amount"])
    _require_exactly("truncation", truncation, set(TRUNCATION))
    for name, option in TRUNCATION.items():
        option.check(truncation[name])
    _require_exactly("schedule", schedule, {"name", *SCHEDULE})
    require_schedule(schedule["name"], **{name: schedule[name] for name in SCHEDULE})
    for name, option in TRAINING.items():
        option.check(training[name])


def _require_exactly(name: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict) or set(value) != keys:
        raise OptionError(name, f"must have the keys {', '.join(sorted(keys))}, got {shown(value)}")


# --- resuming -----------------------------------------------------------------------------------------


def options_of_run(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a run was started with and that a resumed run must keep, by name.

    Args:
        config: The run's configuration.
    """
    graph, training, cell = config["graph"], config["training"], config["cell"][0]
    schedule = training["schedule"]
    known = {
        "task": config["task"]["name"],
        **config["task"]["options"],
        **({"layer_norm": False} if "recurrent_init" in cell else {}),  # not described where it is False
        **cell,
        "num_layers": len(config["cell"]),
        **{name: value for name, value in graph.items() if name not in TASK_OPTIONS},
        "tied": graph["readout"] == "tied",
        **training["truncation"],
        "state": training["state"],
        "schedule": schedule["name"],
        **{name: schedule[name] for name in SCHEDULE},
        "evaluations": training["evaluations"],
        "schedule_width": training["schedule_width"],
        "seed": training["seed"],
    }
    fixed = [name for name, option in RUN_OPTIONS.items() if not option.may_change]
    return {name: known[name] for name in fixed if name in known}


def network_of_run(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run that one which begins with its weights must have, too, by name.

    Args:
        config: The run's configuration.
    """
    known = options_of_run(config)
    kept = {name: known[name] for name in (*NETWORK, "vocabulary_size") if name in known}
    if kept["init_scale"] is not None:  # the cell's own way was not used
        kept = {name: kept[name] for name in kept if name not in ("recurrent_init", "recurrent_gain")}
    return kept


def require_resumable(config: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises OptionError unless a run can be resumed with some options.

    Args:
        config: The run's configuration.
        given: The options, checked, by name.
    """
    _require_same_budget(config["training"], given)
    if config["training"]["schedule_width"] and "num_steps" in given:
        raise OptionError("num_steps", "must be left out with resume, as the run has schedule_width")
    kept = options_of_run(config)
    for name, value in given.items():
        if RUN_OPTIONS[name].may_change:
            continue
        if name not in kept:
            raise OptionError(name, f"must be left out with resume, as the run has none, got {value!r}")
        before = tuple(kept[name]) if isinstance(kept[name], list) else kept[name]
        if value != before:
            raise OptionError(name, f"must stay {kept[name]!r} in a resumed run, got {value!r}")


def _require_same_budget(training: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    schedule, budget = training["schedule"]["name"], training["budget"]
    if training["schedule_width"]:
        schedule = "of the width"
    elif schedule not in SCHEDULES_OVER_BUDGET:
        return
    for name in BUDGETS:
        if name in given and (name, given[name]) != (budget["kind"], budget["amount"]):
            raise OptionError(
                name,
                f"must be left out with resume, as the schedule {schedule} depends on the budget of "
                f"{budget['amount']:,.10g} {budget['kind']}, got {given[name]:,.10g}",
            )


def changed_graph(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the graph among those of a resumed run."""
    names = {field.name for field in dataclasses.fields(GraphOptions)}
    return {name: value for name, value in given.items() if name in names and RUN_OPTIONS[name].may_change}


def changed_task(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the task among those of a resumed run."""
    return {name: given[name] for name in given if name in TASK_OPTIONS and RUN_OPTIONS[name].may_change}
