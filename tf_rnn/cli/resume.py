"""Which options a run may be gone on with: those that it was begun with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.options import BUDGETS, SCHEDULES_OVER_BUDGET, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

# These may be others than the run was begun with, or are of no interest to it.
FREE = (
    "out", "resume", "preset", "threads", "data", "num_steps", "batch_size", "recompute",
    "learning_rate", "clip_norm", "epochs", "tokens", "updates", "seconds", "patience",
)  # fmt: skip

OF_GRAPH = (
    "optimizer", "reduction", "embedding_size", "dropout", "init_scale",
)  # fmt: skip


def kept_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the options of `train` were for a run, by the option's name.

    Args:
        config: The run's configuration.
    """
    graph, training = config["graph"], config["training"]
    layer, truncation, schedule = config["cell"][0], training["truncation"], training["schedule"]
    return {
        "task": config["task"]["name"],
        **config["task"]["options"],
        **layer,
        "num_layers": len(config["cell"]),
        **{name: graph[name] for name in OF_GRAPH},
        "tied": graph["readout"] == "tied",
        "style": truncation["style"],
        "stride": truncation["stride"],
        "state": training["state"],
        "schedule": schedule["name"],
        "decay": schedule["decay"],
        "decay_after": schedule["decay_after"],
        "seed": training["seed"],
    }


def require_kept(config: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises OptionError if an option was given that a run was not begun with.

    Args:
        config: The run's configuration.
        given: Options that the user gave, by name.
    """
    _require_same_budget(config["training"], given)
    kept = kept_options(config)
    for name, value in given.items():
        if name in FREE:
            continue
        if name not in kept:
            raise OptionError(name, f"must be left out with --resume, as the run has none, got {value!r}")
        if value != kept[name]:
            raise OptionError(name, f"must stay {kept[name]!r} with --resume, got {value!r}")


def _require_same_budget(training: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    schedule, budget = training["schedule"]["name"], training["budget"]
    if schedule not in SCHEDULES_OVER_BUDGET:
        return
    for name in BUDGETS:
        if name in given and (name, given[name]) != (budget["kind"], budget["amount"]):
            raise OptionError(
                name,
                f"must be left out with --resume, as the schedule {schedule} is drawn over "
                f"{budget['amount']:,.10g} {budget['kind']}, got {given[name]:,.10g}",
            )
