"""Times of tables: zones, gaps, and what comes next."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tf_rnn.options import OptionError
from tf_rnn.tasks import Series
from tf_rnn.tasks.features import calendar_columns
from tf_rnn.tasks.times import times_after, without_gaps

LENGTH = 60
BERLIN = "Europe/Berlin"


def series_of(times: Any, **options: Any) -> Series:
    values = np.sin(np.arange(len(times)) * 0.7) + np.arange(len(times)) % 3
    frame = pd.DataFrame({"time": times, "load": values})
    return Series(frame, target="load", time="time", **options)


def shown(task: Series, count: int) -> list[str]:
    """The times that follow a table, as a forecast writes them."""
    (one,) = task.series
    assert one.times is not None
    return [one.clock.shown(time) for time in times_after(one.times, count)]


def test_times_without_a_zone_stay_as_they_are() -> None:
    task = series_of(pd.date_range("2024-03-01", periods=LENGTH, freq="h").astype(str))
    assert shown(task, 2) == ["2024-03-03 12:00:00", "2024-03-03 13:00:00"]
    assert shown(series_of(np.arange(LENGTH) / 2), 2) == ["30", "30.5"]


@pytest.mark.parametrize(
    ("ending", "expected"),
    [("+05:30", "+05:30"), ("-0400", "-04:00"), ("Z", "+00:00"), (" +02:00", "+02:00")],
)
def test_an_offset_is_that_of_the_forecast(ending: str, expected: str) -> None:
    times = [f"{time}{ending}" for time in pd.date_range("2024-03-01", periods=LENGTH, freq="h")]
    task = series_of(times)
    assert shown(task, 2) == [f"2024-03-03 {hour}:00:00{expected}" for hour in (12, 13)]
    assert not task.series[0].clock.is_local


def test_hours_pass_evenly_where_the_clocks_change() -> None:
    """On 31 March 2024 there is no 02:30 in Berlin, on 27 October there are two."""
    times = pd.date_range("2024-03-29 14:30", periods=36, freq="h", tz=BERLIN)
    task = series_of(times)
    assert task.series[0].gaps == 0
    assert shown(task, 2) == ["2024-03-31 03:30:00+02:00", "2024-03-31 04:30:00+02:00"]
    autumn = series_of(pd.date_range("2024-10-25 14:30", periods=36, freq="h", tz=BERLIN))
    ends = ["02:30:00+02:00", "02:30:00+01:00", "03:30:00+01:00"]
    assert shown(autumn, 3) == [f"2024-10-27 {end}" for end in ends]


@pytest.mark.parametrize("as_text", [False, True])
def test_days_and_months_begin_at_local_midnight(*, as_text: bool) -> None:
    """Steps of 23 and 25 hours are no gaps, and a missing day is one; so in a file, whose offsets differ."""
    days = pd.date_range("2024-02-01", "2024-03-31", freq="D", tz=BERLIN)
    kept = days.delete(20)
    task = series_of([str(day) for day in kept] if as_text else kept)
    assert task.series[0].gaps == 1
    assert task.series[0].clock.is_local
    offset = "+01:00" if as_text else "+02:00"
    assert shown(task, 1) == [f"2024-04-01 00:00:00{offset}"], "a file does not say when summer begins"
    months = pd.date_range("2019-12-01", periods=LENGTH, freq="MS", tz=BERLIN)
    expected = ["2024-12-01 00:00:00+01:00", "2025-01-01 00:00:00+01:00"]
    assert shown(series_of([str(month) for month in months] if as_text else months), 2) == expected


def test_a_calendar_is_that_of_the_zone() -> None:
    times = pd.date_range("2024-03-30", periods=48, freq="h", tz=BERLIN)
    (one,) = series_of(times).series
    found = calendar_columns(one, ["hour"], ahead=0)
    angles = 2 * np.pi * times.hour.to_numpy() / 24
    np.testing.assert_allclose(found["hour sine"], np.sin(angles), atol=1e-12)
    assert times.hour[27] == 4, "an hour is left out in the second night"


@pytest.mark.parametrize(
    ("zone", "given", "expected"),
    [
        (None, "2024-03-02 06:00", "2024-03-02 06:00"),
        (None, "2024-03-02 06:00+02:00", "2024-03-02 04:00"),
        (BERLIN, "2024-03-02 06:00", "2024-03-02 05:00"),
        (BERLIN, "2024-03-02 06:00+00:00", "2024-03-02 06:00"),
    ],
)
def test_a_part_begins_at_a_time_of_the_table(zone: str | None, given: str, expected: str) -> None:
    (one,) = series_of(pd.date_range("2024-03-01", periods=LENGTH, freq="h", tz=zone)).series
    assert one.clock.read("valid_from", given, one.times) == np.datetime64(expected)


def test_a_day_begins_at_midnight_of_its_zone() -> None:
    (one,) = series_of(pd.date_range("2024-03-01", periods=LENGTH, freq="D", tz=BERLIN)).series
    for given in ("2024-04-02", "2024-04-02 00:00+02:00", "2024-04-01 22:00Z", dt.datetime(2024, 4, 2)):
        assert one.clock.read("valid_from", given, one.times) == np.datetime64("2024-04-02"), given


def test_an_order_that_is_wrong_is_shown_in_the_zone() -> None:
    times = pd.date_range("2024-03-01", periods=LENGTH, freq="h", tz=BERLIN).to_list()
    times[5] = times[3]
    message = r"got 2024-03-01 03:00:00\+01:00 after 2024-03-01 04:00:00\+01:00 in row 5 of the data frame"
    with pytest.raises(OptionError, match=message):
        series_of(times)


CALENDARS = {
    "MS": ("2010-01-01", ["2015-01-01", "2015-02-01"]),
    "ME": ("2010-01-31", ["2015-01-31", "2015-02-28"]),
    "BMS": ("2010-01-01", ["2015-01-01", "2015-02-02"]),
    "BME": ("2010-01-29", ["2015-01-30", "2015-02-27"]),
    "QS-FEB": ("2010-02-01", ["2025-02-01", "2025-05-01"]),
    "QE-MAR": ("2010-03-31", ["2025-03-31", "2025-06-30"]),
    "YS-APR": ("1950-04-01", ["2010-04-01", "2011-04-01"]),
    "YE-FEB": ("1950-02-28", ["2010-02-28", "2011-02-28"]),
    "2MS": ("2010-01-01", ["2020-01-01", "2020-03-01"]),
    "B": ("2010-01-01", ["2010-03-26", "2010-03-29"]),
    "D": ("2010-01-01", ["2010-03-02", "2010-03-03"]),
    "W": ("2010-01-03", ["2011-02-27", "2011-03-06"]),
    "same day": ("2010-01-17 09:30", ["2015-01-17", "2015-02-17"]),
}


@pytest.mark.parametrize("frequency", CALENDARS)
@pytest.mark.parametrize("missing", [[], [7], [1, 2, 30, 41, 42, 43, 58]])
def test_calendars_have_gaps_and_go_on(frequency: str, missing: list[int]) -> None:
    """Rows that are left out of sixty steps of a calendar are found, and those to come follow it."""
    start, expected = CALENDARS[frequency]
    freq: Any = pd.DateOffset(months=1) if frequency == "same day" else frequency
    times = pd.date_range(start, periods=LENGTH, freq=freq).to_numpy("datetime64[ns]")
    kept = np.delete(times, missing)
    places, filled = without_gaps(kept)
    np.testing.assert_array_equal(filled, times)
    np.testing.assert_array_equal(places, np.delete(np.arange(LENGTH), missing))
    assert [str(time)[:10] for time in times_after(kept, 2)] == expected


@pytest.mark.parametrize(
    "times",
    [
        ["2010-01-01", "2010-02-01"],
        ["2010-01-01", "2010-02-01", "2010-03-03", "2010-04-01"],
        ["2010-01-01", "2010-01-17", "2010-02-01", "2010-03-01", "2010-04-01"],
        ["2010-01-01", "2010-02-01 06:00", "2010-03-01", "2010-04-01"],
        ["2010-01-01", "2010-02-01", "2010-03-01", "2011-04-01"],
    ],
    ids=["two", "another day", "within a month", "another hour", "most are missing"],
)
def test_times_of_no_calendar_stay_as_they_are(times: list[str]) -> None:
    given = np.array(times, "datetime64[ns]")
    places, filled = without_gaps(given)
    np.testing.assert_array_equal(filled, given)
    np.testing.assert_array_equal(places, np.arange(len(given)))


def test_missing_months_are_missing_rows() -> None:
    months = pd.date_range("2010-01-31", periods=LENGTH, freq="ME", tz=BERLIN)
    task = series_of(months.delete([11, 30]))
    (one,) = task.series
    assert list(np.flatnonzero(np.isnan(one.numbers["load"]))) == [11, 30]
    assert "2 missing rows were filled in as missing values" in task.lines()
    assert "steps of 1 month" in task.lines()[0]
    assert shown(task, 2) == ["2015-01-31 00:00:00+01:00", "2015-02-28 00:00:00+01:00"]
