"""Rules: what an option may be, for Python values, JSON values and words of a command line alike.

`check` takes a Python or JSON value and returns it as plain Python (an int, a float, a str, a tuple), so
that whatever is accepted can be written to JSON. `parse` takes the words of a command line. Both refuse
with the same sentence.
"""

from __future__ import annotations

import abc
import codecs
import dataclasses
import decimal
import math
import numbers
import os
import re
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from tf_rnn.options.errors import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

# How the command line spells None.
OFF = "off"
# Digits of a whole number that is spelt with an exponent.
LONGEST = 30


class Rule(abc.ABC):
    """What an option may be.

    Attributes:
        metavar: What stands for the value in a usage line.
        takes_many: Whether an option takes one or more words.
    """

    metavar: ClassVar[str] = "N"
    takes_many: ClassVar[bool] = False

    @abc.abstractmethod
    def check(self, option: str, value: Any) -> Any:
        """Returns a value as plain Python.

        Raises:
            OptionError: For `option`, if the value is not allowed.
        """

    def read(self, text: str) -> Any:
        """The value that a word spells, or the word itself if it spells none."""
        return text

    def parse(self, option: str, words: str | Sequence[str]) -> Any:
        """Returns the value that words of a command line spell.

        Raises:
            OptionError: For `option`, in the words of `check`.
        """
        return self.check(option, self.read(words) if isinstance(words, str) else list(map(self.read, words)))


@dataclasses.dataclass(frozen=True)
class Whole(Rule):
    """A whole number from `at_least` to `at_most`, of any integer type but bool."""

    at_least: int = 1
    at_most: int | None = None

    def check(self, option: str, value: Any) -> int:
        """Returns the value as an int."""
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or int(value) < self.at_least:
            raise OptionError(
                option, f"must be a whole number of at least {self.at_least}, got {shown(value)}"
            )
        if self.at_most is not None and int(value) > self.at_most:
            raise OptionError(option, f"must be a whole number of at most {self.at_most}, got {shown(value)}")
        return int(value)

    def read(self, text: str) -> Any:
        """Python's spelling of integers, or one with an exponent: 1_000, 1e6, 2.5e3."""
        try:
            return int(text)
        except ValueError:
            return _with_exponent(text)


def _with_exponent(text: str) -> Any:
    """The whole number that a word with an exponent spells exactly, or the word itself."""
    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return text
    # A number of thousands of digits is a slip of the hand, and takes long to write out.
    is_whole = number.is_finite() and -LONGEST < number.adjusted() < LONGEST and number == int(number)
    return int(number) if "e" in text.lower() and is_whole else text


@dataclasses.dataclass(frozen=True)
class Number(Rule):
    """A finite real number, of any real type but bool.

    Attributes:
        above: What it must exceed.
        at_least: What it must reach.
        below: What it must stay under.
    """

    metavar: ClassVar[str] = "X"
    above: float | None = None
    at_least: float | None = None
    below: float | None = None

    def check(self, option: str, value: Any) -> float:
        """Returns the value as a float."""
        number = _as_float(value)
        if not (
            math.isfinite(number)
            and (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.below is None or number < self.below)
        ):
            raise OptionError(option, f"must be {self._allowed(value)}, got {shown(value)}")
        return number

    def _allowed(self, value: Any) -> str:
        kind = "a finite number" if isinstance(value, float) and math.isinf(value) else "a number"
        limits = [
            *([] if self.above is None else [f"above {self.above}"]),
            *([] if self.at_least is None else [f"of at least {self.at_least}"]),
            *([] if self.below is None else [f"below {self.below}"]),
        ]
        return " ".join([kind, " and ".join(limits)]).strip()

    def read(self, text: str) -> Any:
        """Python's spelling of floats."""
        try:
            return float(text)
        except ValueError:
            return text


def _as_float(value: Any) -> float:
    """The value as a float; nan for words, booleans, None and arrays."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


@dataclasses.dataclass(frozen=True)
class Choice(Rule):
    """One of some words."""

    allowed: tuple[str, ...]

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """The words themselves."""
        return f"{{{','.join(self.allowed)}}}"

    def check(self, option: str, value: Any) -> str:
        """Returns the value as a str."""
        if not isinstance(value, str) or value not in self.allowed:
            raise OptionError(option, f"must be one of {', '.join(self.allowed)}; got {shown(value)}")
        return str(value)


@dataclasses.dataclass(frozen=True)
class Flag(Rule):
    """True or False; on the command line True is the option's name alone."""

    def check(self, option: str, value: Any) -> bool:
        """Returns the value."""
        if not isinstance(value, bool):
            raise OptionError(option, f"must be True or False, got {shown(value)}")
        return value


@dataclasses.dataclass(frozen=True)
class WordOrWhole(Rule):
    """One of some words, or a whole number of at least 1.

    Attributes:
        words: The words.
        number: What the number is, for messages: "a whole number of steps".
        metavar: As in `Rule`.
    """

    words: tuple[str, ...]
    number: str
    metavar: str  # type: ignore[misc]

    def check(self, option: str, value: Any) -> int | str:
        """Returns the value as an int, or the word."""
        if isinstance(value, str) and value in self.words:
            return str(value)
        try:
            return Whole().check(option, value)
        except OptionError as error:
            words = ", ".join(self.words)
            raise OptionError(option, f"must be {words} or {self.number}, got {shown(value)}") from error

    def read(self, text: str) -> Any:
        """Python's spelling of integers, or the word."""
        return Whole().read(text)


@dataclasses.dataclass(frozen=True)
class OrNone(Rule):
    """Another rule's values, or None, which the command line spells "off"."""

    rule: Rule

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """That of the other rule."""
        return self.rule.metavar

    def check(self, option: str, value: Any) -> Any:
        """Returns None, or what the other rule returns."""
        return None if value is None else self.rule.check(option, value)

    def read(self, text: str) -> Any:
        """None for "off"."""
        return None if text == OFF else self.rule.read(text)


def _parts(option: str, value: Any) -> list[Any]:
    """The values of a sequence: a tuple, a list, a range or an array of one axis.

    Raises:
        OptionError: If it is none, or empty.
    """
    if getattr(value, "ndim", None) == 1:  # of NumPy, which is not needed for it
        value = value.tolist()
    if not isinstance(value, tuple | list | range):
        raise OptionError(option, f"must be a sequence of values, got {shown(value)}")
    if not value:
        raise OptionError(option, "must have at least one value, got none")
    return list(value)


@dataclasses.dataclass(frozen=True)
class ListOf(Rule):
    """At least one value of another rule, all of them different where they have to be `distinct`."""

    takes_many: ClassVar[bool] = True
    rule: Rule
    distinct: bool = False

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """That of one value."""
        return self.rule.metavar

    def check(self, option: str, value: Any) -> tuple[Any, ...]:
        """Returns the values as a tuple."""
        found = tuple(self.rule.check(option, part) for part in _parts(option, value))
        if self.distinct and len(set(found)) < len(found):
            raise OptionError(option, f"must be distinct, got {shown(list(found))}")
        return found

    def read(self, text: str) -> Any:
        """One of the values."""
        return self.rule.read(text)


@dataclasses.dataclass(frozen=True)
class Widths(Rule):
    """At least one whole number from 1 on, or ranges of them.

    5:50:5       5, 10, 15, ..., 50
    1:64:log2    1, 2, 4, ..., 64
    3:6          3, 4, 5, 6
    """

    takes_many: ClassVar[bool] = True
    at_most: int

    def check(self, option: str, value: Any) -> tuple[int, ...]:
        """Returns the numbers as a tuple, ranges written out."""
        parts: list[Any] = [value] if isinstance(value, str) else _parts(option, value)
        whole = Whole(at_most=self.at_most)
        found = [number for part in parts for number in (self._range(option, part) or [part])]
        return tuple(whole.check(option, number) for number in found)

    def _range(self, option: str, text: Any) -> list[int]:
        """The numbers of a range; none if it is not the text of one."""
        if not isinstance(text, str) or ":" not in text:
            return []
        first, last, *step = text.split(":")
        try:
            start, stop, by = int(first), int(last), step[0] if step else "1"
            found = _doublings(start, stop) if by == "log2" else list(range(start, stop + 1, int(by)))
        except ValueError:
            found = []
        if not found or len(step) > 1 or start < 1 or stop > self.at_most:
            raise OptionError(
                option,
                f"must be a range such as 5:50:5 or 1:64:log2, from 1 to {self.at_most}, got {shown(text)}",
            )
        return found

    def read(self, text: str) -> Any:
        """Python's spelling of integers, or the range."""
        return Whole().read(text)


def _doublings(start: int, stop: int) -> list[int]:
    found = []
    while 0 < start <= stop:
        found.append(start)
        start *= 2
    return found


@dataclasses.dataclass(frozen=True)
class GrowingWidth(Rule):
    """At least two whole numbers from 1 on in increasing order, `5:20:50` as a text."""

    metavar: ClassVar[str] = "N:N[:N...]"
    at_most: int

    def check(self, option: str, value: Any) -> tuple[int, ...]:
        """Returns the numbers as a tuple."""
        parts = [Whole().read(part) for part in value.split(":")] if isinstance(value, str) else value
        try:
            found = ListOf(Whole(at_most=self.at_most)).check(option, parts)
        except OptionError:
            found = ()
        if len(found) < 2 or list(found) != sorted(set(found)):
            raise OptionError(
                option, f"must be increasing widths such as 5:20:50, up to {self.at_most}, got {shown(value)}"
            )
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class Text(Rule):
    """Any text, or a path."""

    metavar: ClassVar[str] = "TEXT"

    def check(self, option: str, value: Any) -> str:
        """Returns the value as a str."""
        if not isinstance(value, str | os.PathLike):
            raise OptionError(option, f"must be text or a path, got {shown(value)}")
        return str(value)


@dataclasses.dataclass(frozen=True)
class Names(Rule):
    """Names of columns: at least one word; one alone may be given without a list."""

    metavar: ClassVar[str] = "COLUMN"
    takes_many: ClassVar[bool] = True

    def check(self, option: str, value: Any) -> tuple[str, ...]:
        """Returns the names as a tuple."""
        names = [value] if isinstance(value, str) else value
        is_list = isinstance(names, tuple | list) and bool(names)
        if not is_list or not all(isinstance(name, str) and name for name in names):
            raise OptionError(option, f"must be names of columns, got {shown(value)}")
        return tuple(names)


@dataclasses.dataclass(frozen=True)
class Encoding(Rule):
    """The name of a text encoding that Python has; its other names are the same value."""

    metavar: ClassVar[str] = "NAME"

    def check(self, option: str, value: Any) -> str:
        """Returns the encoding's own name: iso8859-1 for latin-1."""
        try:
            codec = codecs.lookup(value)
            "".encode(codec.name)  # not one from bytes to bytes, such as zip
        except (TypeError, LookupError, ValueError) as error:
            allowed = "must be the name of a text encoding, such as utf-8, latin-1, cp1252 or utf-16"
            raise OptionError(option, f"{allowed}; got {shown(value)}") from error
        return codec.name


@dataclasses.dataclass(frozen=True)
class EscapedText(Rule):
    r"""At least one character; the command line spells newlines, tabs and backslashes \n, \r, \t, \\."""

    metavar: ClassVar[str] = "TEXT"

    def check(self, option: str, value: Any) -> str:
        """Returns the value as a str."""
        if not isinstance(value, str) or not value:
            raise OptionError(option, f"must be a text of at least 1 character, got {shown(value)}")
        return str(value)

    def read(self, text: str) -> Any:
        """The text, with characters for their escapes."""
        return re.sub(r"\\([nrt\\])", lambda found: _ESCAPED[found[1]], text)


_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


@dataclasses.dataclass(frozen=True)
class Path(Rule):
    """A path of a folder.

    Rejects an empty string (an unset shell variable, say) and names that UTF-8 cannot encode, which
    TensorFlow could not write.
    """

    metavar: ClassVar[str] = "DIR"

    def check(self, option: str, value: Any) -> FilePath:
        """Returns the value as a `pathlib.Path`."""
        try:
            name = os.fspath(value)
            name.encode()
        except (TypeError, AttributeError, UnicodeEncodeError) as error:
            raise OptionError(option, f"must be the path of a folder, got {shown(value)}") from error
        if not name or "\0" in name:
            raise OptionError(option, f"must be the path of a folder, got {shown(value)}")
        return FilePath(name)


@dataclasses.dataclass(frozen=True)
class NpzFile(Rule):
    """A path of a file of arrays, whose name ends in .npz."""

    metavar: ClassVar[str] = "FILE.npz"

    def check(self, option: str, value: Any) -> FilePath:
        """Returns the value as a `pathlib.Path`."""
        try:
            path = Path().check(option, value)
        except OptionError:
            path = FilePath()
        if path.suffix != ".npz":
            raise OptionError(option, f"must be the path of a file that ends in .npz, got {shown(value)}")
        return path


@dataclasses.dataclass(frozen=True)
class OptionFile(Rule):
    """A path of a file of options."""

    metavar: ClassVar[str] = "FILE.toml"

    def check(self, option: str, value: Any) -> FilePath:
        """Returns the value as a `pathlib.Path`."""
        try:
            return Path().check(option, value)
        except OptionError as error:
            raise OptionError(option, f"must be the path of a TOML file, got {shown(value)}") from error


@dataclasses.dataclass(frozen=True)
class Scheduler(Rule):
    """`local`, or the address of a Dask scheduler."""

    metavar: ClassVar[str] = "ADDRESS"

    def check(self, option: str, value: Any) -> str:
        """Returns the value."""
        if value == "local":
            return "local"
        try:
            parts = urlsplit(value)
            is_address = bool(parts.hostname and parts.port) and not (parts.path or parts.query)
        except (ValueError, TypeError, AttributeError):  # no text, or a port that is no number
            is_address = False
        if not is_address or parts.scheme != "tcp":
            raise OptionError(
                option,
                f"must be local or the address of a Dask scheduler, tcp://HOST:PORT, got {shown(value)}",
            )
        return str(value)
