"""Parsers made from declared options; what is wrong is said in one line."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Never

from tf_rnn.console import shell_word, visible
from tf_rnn.options import meant, suggestion
from tf_rnn.options.declared import CONFIG_FILE, TASK
from tf_rnn.options.file import overridden, read_options
from tf_rnn.options.rules import Flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from tf_rnn.options import Option
    from tf_rnn.options.rules import Rule

BAD_INPUT = 2
# What `float` reads, or a list of numbers begins with; no option of ours begins like it.
NEGATIVE_NUMBER = re.compile(r"-(?:\.?[0-9]|inf|nan)", re.IGNORECASE)
LACKING_VALUE = re.compile(r"argument (--\S+): expected (?:at least )?one argument")
NO_COMMAND = re.compile(r"argument COMMAND: invalid choice: '(\w+)' \(choose from (.+)\)")


class HelpPage(argparse.HelpFormatter):
    """The help of argparse, whose headings are wrapped as the rest is."""

    def start_section(self, heading: str | None) -> None:
        """Begins a group of options."""
        super().start_section(heading and textwrap.fill(heading, self._width - 1))  # before a colon


class Parser(argparse.ArgumentParser):
    """A parser without abbreviations or defaults, whose errors are one line, exit status 2.

    Attributes:
        positional: What options that are given by their place are called.
        flags: The other options, by name.
        suits: The defaults of a task by the names of options, given its name; `--help` beside `--task`
            shows them.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("argument_default", argparse.SUPPRESS)
        options.setdefault("formatter_class", HelpPage)
        super().__init__(**options)
        self._negative_number_matcher = NEGATIVE_NUMBER  # argparse knows -1 and -0.5 alone
        self.positional: dict[str, str] = {}
        self.flags: dict[str, Option] = {}
        self.suits: Callable[[str], dict[str, Any]] | None = None
        self._words: list[str] = []
        self._one_of: list[list[str]] = []

    def error(self, message: str) -> Never:
        """Ends the program."""
        if lacking := LACKING_VALUE.match(message):
            message += f"; one that begins with a dash is given as {lacking[1]}=-..."
        if wrong := NO_COMMAND.match(message):
            message += suggestion(wrong[1], re.findall(r"\w+", wrong[2]))
        self.exit(BAD_INPUT, f"{self.prog}: error: {visible(message)}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses a command line; all of its words must be known, as a command knows best what was meant."""
        self._words = sys.argv[1:] if args is None else list(args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._hint(unknown)}")
        given: dict[str, Any] = found.__dict__
        if self.flags.get(CONFIG_FILE.name) is CONFIG_FILE and CONFIG_FILE.name in given:
            read = read_options(given.pop(CONFIG_FILE.name), self.flags)
            given.update(overridden(read, given, self.flags, self._one_of))
        return found, unknown

    def _hint(self, unknown: list[str]) -> str:
        """The option that was probably meant."""
        typed = next((word.partition("=")[0] for word in unknown if word.startswith("--")), "")
        likely = meant(typed, self.flags)
        return f"; did you mean --{likely.replace('_', '-')}?" if likely else ""

    def format_help(self) -> str:
        """The help page, that of a task if the command line names one."""
        task = _value_of(TASK.flag, self._words)
        if task and self.suits:
            self._show_defaults(TASK.parse(task), self.suits(task))
        return super().format_help()

    def _show_defaults(self, task: str, defaults: Mapping[str, Any]) -> None:
        """Shows defaults in the lines of help, and hides the options of other tasks."""
        for action in self._actions:
            option = self.flags.get(action.dest)
            if option and option.only and option.only[0] == TASK.name:
                option = option.but(only=None) if task in option.only[1] else None
                action.help = option.description if option else argparse.SUPPRESS
            if option and option.name in defaults:
                action.help = option.with_default(defaults[option.name]).description

    def add_declared(self, title: str, options: Iterable[Option], *, one_of: bool = False) -> None:
        """Adds a group of options.

        Args:
            title: Its headline.
            options: The options.
            one_of: Whether only one of them may be given.
        """
        group: Any = self.add_argument_group(title)
        group = group.add_mutually_exclusive_group() if one_of else group
        options = list(options)
        self._one_of += [[option.name for option in options]] if one_of else []
        for option in options:
            self.flags[option.name] = option
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


def _value_of(flag: str, words: Sequence[str]) -> str:
    """The value of an option on a command line that is not parsed yet; "" for none."""
    for word, following in itertools.pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name == flag:
            return value if equals else following
    return ""


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
