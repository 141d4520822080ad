"""Parsers made from declared options; what is wrong is said in one line."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, Never

from tf_rnn.console import shell_word, visible
from tf_rnn.options.rules import Flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tf_rnn.options import Option
    from tf_rnn.options.rules import Rule

BAD_INPUT = 2
# What `float` reads, or a list of numbers begins with; no option of ours begins like it.
NEGATIVE_NUMBER = re.compile(r"-(?:\.?[0-9]|inf|nan)", re.IGNORECASE)
LACKING_VALUE = re.compile(r"argument (--\S+): expected (?:at least )?one argument")


class Parser(argparse.ArgumentParser):
    """A parser without abbreviations or defaults, whose errors are one line, exit status 2.

    Attributes:
        positional: What options that are given by their place are called.
        flags: The names of the other options.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("argument_default", argparse.SUPPRESS)
        super().__init__(**options)
        self._negative_number_matcher = NEGATIVE_NUMBER  # argparse knows -1 and -0.5 alone
        self.positional: dict[str, str] = {}
        self.flags: set[str] = set()

    def error(self, message: str) -> Never:
        """Ends the program."""
        if lacking := LACKING_VALUE.match(message):
            message += f"; one that begins with a dash is given as {lacking[1]}=-..."
        self.exit(BAD_INPUT, f"{self.prog}: error: {visible(message)}\n")

    def add_declared(self, title: str, options: Iterable[Option], *, one_of: bool = False) -> None:
        """Adds a group of options.

        Args:
            title: Its headline.
            options: The options.
            one_of: Whether only one of them may be given.
        """
        group: Any = self.add_argument_group(title)
        group = group.add_mutually_exclusive_group() if one_of else group
        for option in options:
            self.flags.add(option.name)
            text = option.description
            if isinstance(option.rule, Flag):
                group.add_argument(option.flag, action="store_true", help=text)
            else:
                group.add_argument(option.flag, action=Parse, option=option, help=text)

    def add_positional(self, option: Option, metavar: str) -> None:
        """Adds an option that is given by its place; one that takes many words may be left out."""
        self.positional[option.name] = metavar
        self.add_argument(option.name, action=Parse, option=option, metavar=metavar, help=option.description)


class Parse(argparse.Action):
    """Stores the value that the words of an option spell; a refusal is the OptionError of Python."""

    def __init__(self, option_strings: list[str], dest: str, *, option: Option, **more: Any) -> None:
        many = ("+" if option_strings else "*") if option.rule.takes_many else None
        super().__init__(option_strings, dest, nargs=many, **({"metavar": option.rule.metavar} | more))
        self.option = option

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Stores the value."""
        setattr(namespace, self.dest, self.option.parse(values))


def typed(rule: Rule) -> Callable[[str], Any]:
    """A type for argparse that reads what a rule allows."""

    def read(text: str) -> Any:
        try:
            return rule.parse("value", text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix("value ")) from error

    return read


def chosen(given: Mapping[str, Any], options: Iterable[str]) -> dict[str, Any]:
    """The given ones of some options."""
    return {name: given[name] for name in options if name in given}


def command(words: str, folder: Path) -> str:
    """A command about a folder, ready to be copied to a shell."""
    name = str(folder)
    return f"python -m tf_rnn {words} {shell_word(f'./{name}' if name.startswith('-') else name)}"


def written(files: Iterable[Path]) -> str:
    """The line that names what was written."""
    return visible(f"written: {', '.join(map(str, files))}")
