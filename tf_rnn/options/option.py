"""An option: everything the package knows about it, in one value."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from tf_rnn.options.rules import OFF, OrNone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.options.rules import Rule


class SuitsTask:
    """The default of options that are left to the task; see `tf_rnn.tasks.Defaults`."""

    def __repr__(self) -> str:
        return "what suits the task"


SUITS_TASK: Any = SuitsTask()
# What a line of help says of a default that depends on something else.
DEFAULT_IN_HELP = re.compile(r" \(default:? [^()]*\)$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """The declaration of an option.

    Python signatures, the command line, validation, `config.json`, resume rules, presets and the lines of
    reports are made from it.

    Attributes:
        name: The Python name.
        rule: What is allowed.
        help: One line of help.
        default: The value when left out; `SUITS_TASK` where that depends on the task.
        only: The option that it depends on, and the values of that option for which it has a meaning.
        may_change: Whether a resumed run may change it.
    """

    name: str
    rule: Rule
    help: str
    default: Any = None
    only: tuple[str, tuple[str, ...]] | None = None
    may_change: bool = False

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def description(self) -> str:
        """The line of help, with what the option depends on and its default."""
        scope = f"{', '.join(self.only[1])}: " if self.only else ""
        shown = _words(self.default)
        return f"{scope}{self.help}" + (f" (default {shown})" if shown else "")

    def check(self, value: Any) -> Any:
        """Returns a value as plain Python.

        Raises:
            OptionError: If it is not allowed.
        """
        return self.rule.check(self.name, value)

    def parse(self, words: str | Sequence[str]) -> Any:
        """Returns the value that words of a command line spell.

        Raises:
            OptionError: If it is not allowed.
        """
        return self.rule.parse(self.name, words)

    def with_default(self, value: Any) -> Option:
        """The option with a default that is known, instead of what its line of help says of it."""
        shown = OFF if value is None and isinstance(self.rule, OrNone) else value
        return self.but(default=shown, help=DEFAULT_IN_HELP.sub("", self.help))

    def but(self, **changes: Any) -> Option:
        """The option with another rule, default or line of help, for a command that needs one."""
        return dataclasses.replace(self, **changes)


def _words(default: Any) -> str:
    if default is None or default is False or default is SUITS_TASK or default == "":
        return ""
    if isinstance(default, tuple):
        return " ".join(map(_words, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def by_name(*options: Option) -> dict[str, Option]:
    """Options by their names."""
    return {option.name: option for option in options}
