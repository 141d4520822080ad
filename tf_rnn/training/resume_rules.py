"""What may change when a run is resumed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tf_rnn.options import SCHEDULES_OVER_BUDGET, OptionError
from tf_rnn.run_config import RUN_OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

# Places in the configuration of the options that a resumed run may change. (Initial weights do not matter
# any more.)
MAY_CHANGE = (
    *(
        (part, name)
        for part in ("graph", "training")
        for name, option in RUN_OPTIONS.items()
        if option.may_change
    ),
    ("graph", "seed"),
    ("task", "options", "data"),
    ("task", "options", "encoding"),
    ("task", "fit", "step"),  # runs from before it was kept
    ("start_from",),  # a run that is resumed has weights of its own
)
BUDGET = ("training", "budget")
# The options of places whose last name is another.
OPTIONS = {
    ("task", "name"): "task",
    ("task", "sha256"): "data",
    ("training", "schedule", "name"): "schedule",
    ("training", "budget", "kind"): "budget",
    ("training", "budget", "amount"): "budget",
}


def require_same_run(folder: Path, saved: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises OptionError, naming the option, unless a run of one configuration may be resumed with another.

    Args:
        folder: The folder of the run.
        saved: The configuration of the run.
        now: The configuration of the rest.
    """
    before, after = _leaves(saved), _leaves(json.loads(json.dumps(now)))
    training = now["training"]
    over_budget = training["schedule"]["name"] in SCHEDULES_OVER_BUDGET or training["schedule_width"]
    may_change = MAY_CHANGE if over_budget else (*MAY_CHANGE, BUDGET)
    for place in {**before, **after}:
        old, new = before.get(place), after.get(place)
        if old != new and not any(place[: len(free)] == free for free in may_change):
            message = f"must stay {old!r} to resume the run in {str(folder)!r}, got {new!r}"
            raise OptionError(_option(place), message)


def _leaves(value: Any, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The leaves of a nested configuration by their place."""
    if isinstance(value, dict):
        return {
            at: leaf for name, part in value.items() for at, leaf in _leaves(part, (*place, name)).items()
        }
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return _leaves({str(number): part for number, part in enumerate(value)}, place)
    return {place: value}


def _option(place: tuple[str, ...]) -> str:
    """The option at a place of the configuration: as a rule its last name that is not a number."""
    return OPTIONS.get(place) or next((name for name in reversed(place) if not name.isdigit()), "config")
