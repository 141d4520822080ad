"""Whether a value is what an option allows, and the one error that says so.

What is shared by scripts, the command line, notebooks and saved results: they all use the same words.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST_SHOWN = 200


class OptionError(ValueError):
    """A value that an option does not allow.

    In Python the message begins with the option's name (`num_steps must be ...`); the command line
    puts its own spelling of the same name before the same words (`--num-steps must be ...`).

    Args:
        option: The option's Python name, for instance `num_steps`.
        problem: The rest of the sentence: what is allowed, and what was given.
    """

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(option, problem)
        self.option = option
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.option} {self.problem}"


def require_whole(option: str, value: Any, *, at_least: int = 1, at_most: int | None = None) -> int:
    """Returns `value` as an int, or raises OptionError unless it is a whole number within the limits."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or int(value) < at_least:
        raise OptionError(option, f"must be a whole number of at least {at_least}, got {shown(value)}")
    if at_most is not None and int(value) > at_most:
        raise OptionError(option, f"must be a whole number of at most {at_most}, got {shown(value)}")
    return int(value)


def shown(value: Any) -> str:
    """A value as an error shows it, on one line, the middle of what is long left out."""
    try:
        text = repr(value)
    except Exception:  # numbers of thousands of digits, or whatever a strange object does
        text = f"{type(value).__name__} that cannot be shown"
    text = " ".join(text.splitlines())
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN // 2]} ... {text[-20:]}"


def require_number(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is a finite number."""
    number = _as_number(value)
    if not math.isfinite(number):
        raise OptionError(option, f"must be a number, got {shown(value)}")
    return number


def _as_number(value: Any) -> float:
    """The value as a float; nan for what is no number: words, truth values, None, arrays."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def require_positive(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is finite and above 0."""
    number = _as_number(value)
    if not 0 < number < float("inf"):
        raise OptionError(option, f"must be a number above 0, got {shown(value)}")
    return number


def require_not_negative(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is finite and at least 0."""
    number = _as_number(value)
    if not 0 <= number < float("inf"):
        raise OptionError(option, f"must be a number of at least 0, got {shown(value)}")
    return number


def require_fraction(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is above 0 and below 1."""
    fraction = _as_number(value)
    if not 0 < fraction < 1:
        raise OptionError(option, f"must be a number above 0 and below 1, got {shown(value)}")
    return fraction


def require_share(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is at least 0 and below 1."""
    share = _as_number(value)
    if not 0 <= share < 1:
        raise OptionError(option, f"must be a number of at least 0 and below 1, got {shown(value)}")
    return share


def require_recompute(option: str, value: Any) -> int | str:
    """Returns `value`, or raises OptionError unless it is "sqrt" or a whole number of steps."""
    if isinstance(value, str) and value == "sqrt":
        return "sqrt"
    try:
        return require_whole(option, value)
    except OptionError as error:
        raise OptionError(option, f"must be 'sqrt' or a whole number of steps, got {shown(value)}") from error


def require_choice(option: str, value: Any, allowed: Collection[str]) -> str:
    """Returns `value`, or raises OptionError unless it is one of the `allowed` words."""
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(option, f"must be one of {', '.join(allowed)}; got {shown(value)}")
    return value
