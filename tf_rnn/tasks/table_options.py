"""The options that all tasks of tables have."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from tf_rnn.options import OptionError, require_choice, require_fraction, shown
from tf_rnn.options.declared import TASK_OPTIONS
from tf_rnn.options.names import unexpected
from tf_rnn.options.words import CALENDAR
from tf_rnn.tasks.corpus import UTF_8

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.tasks.base import Defaults

VALID_FRACTION = TEST_FRACTION = 0.15


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """What is told about any table.

    Attributes:
        inputs: Columns that are observed up to now: numbers, or words.
        static: Columns that are the same in all rows of a series.
        time: The column of dates or numbers that says when a row was measured. It must increase. Dates may
            have a time zone; it is that of the calendar and of forecasts. None for the only column of dates.
        series_id: The column that says which series a row belongs to, where there are several.
        calendar: What of a date is an input: any of "hour", "weekday", "month".
        valid_fraction: The fraction of each series in the split "valid".
        test_fraction: The fraction of each series in the split "test", at its end.
        valid_from: The first time of the split "valid", a date or a number as in the column `time`; instead
            of the fractions.
        test_from: The first time of the split "test".
        encoding: The encoding of a CSV file.
        fit: Scales and words of a model that was trained on other data; None to take them from these.
        defaults: Training settings; None for some that suit the size of the data.

    Raises:
        OptionError: For the option that is not allowed.
    """

    inputs: str | Sequence[str] = ()
    static: str | Sequence[str] = ()
    time: str | None = None
    series_id: str | None = None
    calendar: str | Sequence[str] = ()
    valid_fraction: float = VALID_FRACTION
    test_fraction: float = TEST_FRACTION
    valid_from: str | None = None
    test_from: str | None = None
    encoding: str = UTF_8
    fit: Any = None
    defaults: Defaults | None = None

    def __post_init__(self) -> None:
        cycles = column_names("calendar", self.calendar)
        found: dict[str, Any] = {
            "inputs": column_names("inputs", self.inputs),
            "static": column_names("static", self.static),
            "time": column_name("time", self.time),
            "series_id": column_name("series_id", self.series_id),
            "calendar": tuple(require_choice("calendar", name, CALENDAR) for name in cycles),
            "valid_fraction": require_fraction("valid_fraction", self.valid_fraction),
            "test_fraction": require_fraction("test_fraction", self.test_fraction),
            "encoding": TASK_OPTIONS["encoding"].check(self.encoding),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        if self.valid_fraction + self.test_fraction >= 1:
            problem = f"must be below 1 - valid_fraction ({self.valid_fraction}), got {self.test_fraction}"
            raise OptionError("test_fraction", problem)

    @classmethod
    def of(cls, kind: type, given: dict[str, Any]) -> TableOptions:
        """The options among the keywords of a task's constructor.

        Raises:
            OptionError: For the option that is not allowed.
            TypeError: The task has no such option.
        """
        known = inspect.signature(kind).parameters
        for name in given:
            if name not in known:
                raise unexpected(kind.__name__, name, known)
        return cls(**given)


def full_signature(constructor: Callable[..., None]) -> inspect.Signature:
    """The signature of a constructor, with those of `TableOptions` for `**table`."""
    _, *own = inspect.signature(constructor).parameters.values()
    if not own or own[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return inspect.Signature(own)
    every = inspect.signature(TableOptions).parameters.values()
    return inspect.Signature([*own[:-1], *(each.replace(kind=each.KEYWORD_ONLY) for each in every)])


def column_names(option: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """Names as a tuple; one name alone is a tuple, too."""
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, tuple | list) or not all(isinstance(name, str) and name for name in found):
        raise OptionError(option, f"must be names of columns, got {shown(given)}")
    return tuple(found)


def column_name(option: str, given: str | None) -> str | None:
    """The name of a single column, or None."""
    return None if given is None else column_names(option, given)[0]
