"""The error that a refused option raises."""

from __future__ import annotations

from typing import Any

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
    text = " ".join(text.splitlines())
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN // 2]} ... {text[-20:]}"
