"""The error that a refused option raises."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SHOWN = 200


class OptionError(ValueError):
    """A value that an option does not allow.

    In Python the message starts with the option's name (`num_steps must be ...`); the command line
    prints its own spelling of the name before the same words (`--num-steps must be ...`).

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


def shown(value: Any) -> str:
    """A value as error messages show it: on one line, long ones shortened."""
    try:
        text = repr(value)
    except Exception:  # integers of thousands of digits, or a broken __repr__
        text = f"{type(value).__name__} that cannot be shown"
    return _short(" ".join(text.splitlines()))


def call_text(kind: type, options: Mapping[str, Any], name: str = "") -> str:
    """A short `repr`: the call that makes an object, without what is left at its default.

    Args:
        kind: The class.
        options: What its constructor was given, in the order in which it is shown.
        name: What it is called instead.
    """
    usual = {each.name: each.default for each in inspect.signature(kind).parameters.values()}
    given = [
        f"{option}={shown(value)}" for option, value in options.items() if not _same(usual.get(option), value)
    ]
    return _short(f"{name or kind.__name__}({', '.join(given)})")


def _same(value: Any, other: Any) -> bool:
    """Whether two values are equal, a tuple and what JSON makes of it, too."""
    return bool(
        (list(value) if isinstance(value, tuple) else value)
        == (list(other) if isinstance(other, tuple) else other)
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN // 2]} ... {text[-20:]}"
