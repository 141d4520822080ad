"""Checks of single values, by name, and of options that have to suit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.options.declared import TRAINING_OPTIONS
from tf_rnn.options.errors import OptionError, shown
from tf_rnn.options.rules import Choice, Number, Whole
from tf_rnn.options.words import LARGEST_NUMBERS, SCHEDULES_THAT_WAIT

if TYPE_CHECKING:
    from collections.abc import Collection


def require_whole(option: str, value: Any, *, at_least: int = 1, at_most: int | None = None) -> int:
    """Returns `value` as an int, or raises OptionError unless it is a whole number within the limits."""
    return Whole(at_least, at_most).check(option, value)


def require_number(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is a finite number."""
    return Number().check(option, value)


def require_positive(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is finite and above 0."""
    return Number(above=0).check(option, value)


def require_not_negative(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is finite and at least 0."""
    return Number(at_least=0).check(option, value)


def require_fraction(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is above 0 and below 1."""
    return Number(above=0, below=1).check(option, value)


def require_choice(option: str, value: Any, allowed: Collection[str]) -> str:
    """Returns `value`, or raises OptionError unless it is one of the `allowed` words."""
    return Choice(tuple(allowed)).check(option, value)


def require_number_of(option: str, value: float, dtype: str) -> None:
    """Raises OptionError for a number that `dtype` cannot hold."""
    if abs(value) > LARGEST_NUMBERS[dtype]:
        raise OptionError(option, f"must be a number that {dtype} has, got {shown(value)}")


def require_schedule(name: str, decay: float, decay_after: int | None, warm_up_updates: int) -> None:
    """Raises OptionError unless these make a learning rate's schedule; see `tf_rnn.training.Schedule`."""
    values = {"schedule": name, "decay": decay, "decay_after": decay_after}
    for option, value in {**values, "warm_up_updates": warm_up_updates}.items():
        TRAINING_OPTIONS[option].check(value)
    if decay_after is not None and name not in SCHEDULES_THAT_WAIT:
        raise OptionError(
            "decay_after",
            f"must be left out unless schedule is {' or '.join(SCHEDULES_THAT_WAIT)}, got {name!r}",
        )


def require_block(style: str) -> None:
    """Raises OptionError unless a graph may grow in a truncation style."""
    if style != "block":
        raise OptionError("style", f"must be block where schedule_width is given, got {style!r}")
