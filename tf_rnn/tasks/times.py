"""Times of a table: read, shown, and continued."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

# Whole numbers in this range are dates.
YEAR_MONTH_DAY = (1700_01_01, 2200_12_31)
# Times, the last ones, that say how those to come follow each other.
RECENT = 60
# A date that may be read in two ways, 01/02/2010.
TWO_WAYS = r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b"
# The zone or offset at the end of a date.
OFFSET = r"\s*(?:Z|[+-]\d\d:?\d\d)$"
# The share of equal steps in time from which a longer one is a gap.
REGULAR = 0.9
DAY = np.timedelta64(1, "D")


class Clock(NamedTuple):
    """How times were read. Where the time zone changes its offset, days and months keep their local times.

    Attributes:
        zone: The time zone of the table, or the offset of its last row; None where it names none.
        is_local: Whether times are local ones, else UTC.
    """

    zone: dt.tzinfo | None = None
    is_local: bool = False

    def local(self, times: NDArray[Any]) -> NDArray[Any]:
        """Times as a clock on the wall shows them."""
        import pandas as pd  # noqa: PLC0415

        if self.zone is None or self.is_local:
            return times
        index = pd.DatetimeIndex(times, tz="UTC").tz_convert(self.zone)
        return np.asarray(index.tz_localize(None), "datetime64[ns]")

    def shown(self, time: Any) -> str:
        """A time for people and files to read: `2013-07-04 18:00:00`, with the offset if any, or `1987`."""
        import pandas as pd  # noqa: PLC0415

        if not isinstance(time, np.datetime64):
            return f"{time:g}"
        stamp = pd.Timestamp(time)
        if self.zone is not None:
            stamp = self._of_zone(stamp) if self.is_local else stamp.tz_localize("UTC").tz_convert(self.zone)
        return str(stamp.isoformat(sep=" ", timespec="seconds"))

    def read(self, option: str, value: Any, times: NDArray[Any] | None) -> Any:
        """A time as it stands among others.

        Raises:
            OptionError: For `option`, if it is none.
        """
        import pandas as pd  # noqa: PLC0415

        try:
            if times is not None and times.dtype.kind == "f":
                return float(value)
            time = pd.Timestamp(value)
        except (TypeError, ValueError):
            time = pd.NaT
        if time is pd.NaT:
            raise OptionError(option, f"must be a time as in the column of times, got {shown(value)}")
        if time.tz is None and self.zone is not None and not self.is_local:
            time = self._of_zone(time)
        if time.tz is not None:
            time = time.tz_convert(self.zone).tz_localize(None) if self.is_local else time.tz_convert(None)
        return time.to_datetime64()

    def _of_zone(self, stamp: Any) -> Any:
        """A local time with its zone; of two the later, and the next one where the clock leaves it out."""
        return stamp.tz_localize(self.zone, ambiguous=False, nonexistent="shift_forward")


UTC = Clock()


def read_times(column: Any, origin: str) -> tuple[NDArray[Any], Clock]:
    """Times as datetime64, or as the numbers that they are given as, and how they were read.

    They are in UTC. Where all rows are of the same time of day in a zone, as days and months are, they are
    local times: the steps between them are equal, though one day in a year has 23 hours.

    Args:
        column: The column of a data frame.
        origin: Where that comes from, for messages.

    Raises:
        OptionError: For `time`, if something is no time, with its line.
    """
    import pandas as pd  # noqa: PLC0415

    times: NDArray[Any]
    clock, is_text = UTC, column.dtype.kind not in "mM"
    if column.dtype.kind in "iu" and column.between(*YEAR_MONTH_DAY).all():
        column = column.astype(str)  # 20130704
    if column.dtype.kind in "iuf":
        times = column.to_numpy(np.float64, na_value=np.nan)
        missing = np.flatnonzero(~np.isfinite(times))
    else:
        unclear = np.flatnonzero(is_text & column.astype(str).str.match(TWO_WAYS).to_numpy(bool))
        if len(unclear):
            row = unclear[0]
            problem = f"got {str(column.iloc[row])!r} in {line_of(row, origin)}: which is the day?"
            raise OptionError("time", f"must be dates such as 2013-07-04 18:00, {problem}")
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of what is no date at all
            parsed = pd.to_datetime(column, errors="coerce", utc=True)
            zone = getattr(pd.to_datetime(column.iloc[-1], errors="coerce"), "tzinfo", None)
        missing = np.flatnonzero(parsed.isna())
        local = parsed.dt.tz_localize(None)
        if zone is not None and not len(missing):
            bare = column.astype(str).str.replace(OFFSET, "", regex=True) if is_text else column
            on_wall = pd.to_datetime(bare).dt.tz_localize(None)
            is_local = len(column) > 1 and (on_wall - on_wall.dt.normalize()).nunique() == 1
            clock, local = Clock(zone, is_local), on_wall if is_local else local
        times = local.to_numpy("datetime64[ns]")
    if len(missing):
        row = missing[0]
        got = "nothing" if pd.isna(column.iloc[row]) else repr(str(column.iloc[row]))
        raise OptionError(
            "time",
            f"must be a date such as 2013-07-04 18:00, or a number, got {got} in {line_of(row, origin)}",
        )
    return times, clock


def line_of(row: int, origin: str) -> str:
    """Where a row is: files have a line of names first."""
    return f"row {row} of {origin}" if origin == "the data frame" else f"line {row + 2} of {origin}"


def usual_step(times: NDArray[Any]) -> Any:
    """The step between most neighbouring times, or None where steps differ too often."""
    if len(times) < 3:
        return None
    steps, counts = np.unique(np.diff(times), return_counts=True)
    usual = steps[counts.argmax()]
    return usual if counts.max() >= REGULAR * counts.sum() else None


def calendar_step(times: NDArray[Any]) -> Any:
    """A number of months between times, or a business day, as an offset of pandas; None where there is none.

    All times lie on it, and at most half of its steps are missing: the same day of a month, its last one, its
    first or last business day; or Mondays to Fridays.
    """
    from pandas import offsets  # noqa: PLC0415

    if len(times) < 3 or times.dtype.kind != "M" or np.median(np.diff(times)) < DAY:
        return None
    months = months_between(times)
    count = 0 if (months == 0).any() else int(np.gcd.reduce(months))
    kinds = (offsets.MonthEnd, offsets.BusinessMonthBegin, offsets.BusinessMonthEnd)
    same_day = offsets.DateOffset(months=count)
    tried = [same_day, *(kind(count) for kind in kinds)] if count else [offsets.BusinessDay()]
    return next((offset for offset in tried if _lie_on(times, _from_to(times, offset))), None)


def months_between(times: NDArray[Any]) -> NDArray[np.intp]:
    """From the month of each time to that of the next."""
    return np.diff(times.astype("datetime64[M]")).astype(np.intp)


def _from_to(times: NDArray[Any], offset: Any) -> NDArray[Any]:
    """All times from the first to the last."""
    import pandas as pd  # noqa: PLC0415

    return np.asarray(pd.date_range(times[0], times[-1], freq=offset), "datetime64[ns]")


def _lie_on(times: NDArray[Any], grid: NDArray[Any]) -> bool:
    """Whether all times are among those of a grid, at most half of which are missing."""
    return len(grid) <= 2 * len(times) and bool(np.isin(times, grid).all())


def times_after(times: NDArray[Any], count: int, like: NDArray[Any] | None = None) -> NDArray[Any]:
    """The times after the last one: by the calendar, or at the usual step, or at the median of the last ones.

    Args:
        times: The times.
        count: How many.
        like: Other times, whose steps are those of a single time.
    """
    import pandas as pd  # noqa: PLC0415

    known = times if like is None or len(times) > 1 else like
    step, offset = usual_step(known), calendar_step(known[-RECENT:])
    if offset is not None and (step is None or step > DAY):
        return np.asarray(pd.date_range(times[-1], periods=count + 1, freq=offset)[1:], "datetime64[ns]")
    if step is None:
        steps = np.sort(np.diff(known[-RECENT:]))
        step = steps[len(steps) // 2] if len(steps) else times[-1] - times[-1]
    return np.asarray(times[-1] + np.arange(1, count + 1) * step)


def is_uneven(times: NDArray[Any]) -> bool:
    """Whether times follow each other neither at equal steps nor by a calendar."""
    return len(times) > 2 and usual_step(times) is None and calendar_step(times) is None


def longest_gap(times: NDArray[Any]) -> tuple[Any, Any] | None:
    """The times around the longest gap among equal steps; None without any, or where steps are not equal."""
    step = usual_step(times)
    if step is None:
        return None
    steps = np.diff(times)
    place = int(steps.argmax())
    return (times[place], times[place + 1]) if steps[place] > step else None


def without_gaps(times: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Where each time stands among all steps from the first to the last, and the times of all of them.

    Steps are equal, or those of a calendar. Times stay as they are where most steps are neither, or one is no
    multiple of the others.
    """
    kept = np.arange(len(times)), times
    step = usual_step(times)
    if step is not None:
        places = (times - times[0]) / step
        whole = np.rint(places).astype(np.intp)
        if np.allclose(places, whole) and whole[-1] + 1 <= 2 * len(times):
            return whole, times[0] + np.arange(whole[-1] + 1) * step
    offset = calendar_step(times)
    if offset is None:
        return kept
    grid = _from_to(times, offset)
    return np.searchsorted(grid, times), grid
