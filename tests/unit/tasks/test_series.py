"""Series: what is an input, what is a target, what is held out, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from helpers import assert_close

from tf_rnn.options import OptionError
from tf_rnn.tasks import Series
from tf_rnn.tasks.tables import KENNEDY_AIRPORT, KENNEDY_AIRPORT_SHA256
from tf_rnn.tasks.tabular import LEAD
from tf_rnn.tasks.times import times_after

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# 40 rows: 28 to train, 6 valid, 6 test.
LENGTH, TRAIN, VALID = 40, 28, 34


def made_frame(**columns: Any) -> pd.DataFrame:
    generator = np.random.default_rng(7)
    usual = {"load": generator.normal(50, 9, LENGTH), "price": generator.normal(-3, 2, LENGTH)}
    return pd.DataFrame(usual | columns)


def standard(values: NDArray[Any], part: slice = slice(TRAIN)) -> NDArray[Any]:
    """Values less the mean of a part, by its standard deviation."""
    known = values[part][~np.isnan(values[part])]
    return np.asarray((values - known.mean()) / known.std())


@pytest.mark.parametrize(("rows", "epochs"), [(LENGTH, 100), (30_000, 1e6 // 21_000), (150_000, 10)])
def test_small_tables_are_read_more_often(rows: int, epochs: int) -> None:
    """Up to the tokens of a comparison's run, but at least ten times; 70 % of the rows are for training."""
    task = Series(pd.DataFrame({"load": np.arange(rows) % 7.0}))
    assert task.defaults.epochs == epochs


def test_inputs_and_targets_are_what_the_table_says() -> None:
    """Two targets, an observed and a known column, words, a calendar and two steps ahead, row by row."""
    times = pd.date_range("2024-02-28 20:00", periods=LENGTH, freq="3h")
    rain, holiday = np.arange(LENGTH) % 5.0, np.arange(LENGTH) % 7 == 0
    sky = np.where(rain > 2, "grey", "blue")
    frame = made_frame(time=times, rain=rain, holiday=holiday, sky=sky, town="Ulm")
    task = Series(
        frame,
        target=["load", "price"],
        inputs=["rain", "sky"],
        known=["holiday"],
        static=["town"],
        time="time",
        horizon=2,
        calendar=["hour"],
    )
    inputs, targets = task.stream("train")
    load, price = (standard(frame[name].to_numpy()) for name in ("load", "price"))
    days, free = standard(rain), standard(holiday.astype(float))
    for t in range(TRAIN - 2):
        angle = 2 * np.pi * (times[t + 1].hour + times[t + 1].minute / 60) / 24
        expected = {
            "load": load[t],
            "price": price[t],
            "rain": days[t],
            "sky=blue": sky[t] == "blue",
            "sky=grey": sky[t] == "grey",
            "holiday +1": free[t + 1],
            "holiday +2": free[t + 2],
            "hour sine": np.sin(angle),
            "hour cosine": np.cos(angle),
            "town=Ulm": 1,
        }
        assert task.input_names == tuple(expected)
        assert_close(inputs[t], np.array(list(expected.values()), float), 1e-6, f"inputs of row {t}")
        ahead = np.array([load[t + 1], load[t + 2], price[t + 1], price[t + 2]])
        assert_close(targets[t], ahead, 1e-6, f"targets of row {t}")
    assert len(targets) == TRAIN - 2, "all targets of the training part lie in it"


@pytest.mark.parametrize(("split", "begin", "end"), [("valid", TRAIN, VALID), ("test", VALID, LENGTH)])
def test_held_out_rows_are_predicted_from_what_came_before(split: str, begin: int, end: int) -> None:
    """Every value of the part is predicted, the first from the row before it; the lead does not count."""
    frame = made_frame()
    task = Series(frame, target="load")
    inputs, targets = task.stream(split)
    load = standard(frame["load"].to_numpy())
    counted = ~np.isnan(targets[:, 0])
    assert_close(targets[counted, 0], load[begin:end], 1e-6, "targets that count")
    assert_close(inputs[counted, 0], load[begin - 1 : end - 1], 1e-6, "their inputs")
    assert len(inputs) == end - 1, f"the lead is all of the past, up to {LEAD} rows"
    assert task.loss_steps == "marked"


def test_parts_may_begin_at_dates() -> None:
    """The first row of each held-out part is the first at or after its date, in every series."""
    times = [
        *pd.date_range("2024-01-01", periods=25, freq="D"),
        *pd.date_range("2024-01-08", periods=15, freq="D"),
    ]
    frame = made_frame(day=times, who=["a"] * 25 + ["b"] * 15)
    options: dict[str, Any] = {"target": "load", "time": "day", "series_id": "who"}
    task = Series(frame, **options, valid_from="2024-01-15", test_from="2024-01-18 12:00")
    counted = {split: [(part.counted, part.stop) for part in task.parts(split)] for split in task.splits}
    assert counted == {"train": [(0, 13), (0, 6)], "valid": [(13, 17), (6, 10)], "test": [(17, 24), (10, 14)]}
    assert Series(frame, **options, valid_fraction=0.2).sha256 != task.sha256


def test_the_lead_is_limited() -> None:
    task = Series(pd.DataFrame({"x": np.sin(np.arange(2000.0))}))
    assert task.length("valid") == LEAD + 300
    assert int(np.isnan(task.stream("valid").targets).sum()) == LEAD


def test_the_scale_is_that_of_the_training_part_alone() -> None:
    """Values that are held out may be anything: training sees the same numbers."""
    frame = made_frame()
    changed = frame.copy()
    changed.loc[TRAIN:, "load"] = 1e6
    before, after = (Series(each, target="load").stream("train") for each in (frame, changed))
    assert_close(after.inputs, before.inputs, 0, "training inputs")
    assert_close(after.targets, before.targets, 0, "training targets")


def test_a_missing_value_is_carried_forward_marked_and_has_no_loss() -> None:
    load = np.arange(LENGTH, dtype=float)
    load[[0, 4, 5]] = np.nan
    task = Series(pd.DataFrame({"load": load}), horizon=2, difference="off")
    inputs, targets = task.stream("train")
    assert task.input_names == ("load", "load missing")
    scaled = standard(load)
    expected = np.where(np.arange(TRAIN - 2) == 0, 0, scaled[: TRAIN - 2])
    expected[[4, 5]] = scaled[3]
    assert_close(inputs[:, 0], expected, 1e-6, "carried forward, the mean at the beginning")
    assert list(np.flatnonzero(inputs[:, 1])) == [0, 4, 5]
    missing = [(2, 1), (3, 0), (3, 1), (4, 0)]  # the rows before 4 and 5, one and two steps ahead
    assert [tuple(at) for at in np.argwhere(np.isnan(targets))] == missing


def test_changes_are_measured_from_the_last_known_value() -> None:
    """In units of the standard deviation of changes in the training part; a gap is no change."""
    load = np.cumsum(np.random.default_rng(8).normal(1, 2, LENGTH))
    load[[5, 6]] = np.nan
    task = Series(pd.DataFrame({"load": load}), horizon=2, difference="on")
    inputs, targets = task.stream("train")
    unit, level = (
        np.nanstd(np.diff(load[:TRAIN])),
        np.where(np.isin(np.arange(LENGTH), [5, 6]), load[4], load),
    )
    changes = np.diff(level, prepend=level[0]) / unit
    assert_close(inputs[:, 0], changes[: TRAIN - 2], 1e-6, "changes since the row before")
    expected = np.stack([(load[h : h + TRAIN - 2] - level[: TRAIN - 2]) / unit for h in (1, 2)], axis=1)
    assert_close(np.nan_to_num(targets), np.nan_to_num(expected), 1e-6, "changes to come")
    assert list(np.isnan(targets).sum(axis=0)) == [2, 2]


def test_changes_are_predicted_where_the_last_value_is_a_better_guess_than_the_mean() -> None:
    """For x_t = a x_{t-1} + e_t, the last value has the squared error 2 (1 - a^h) times the variance."""
    noise, x = np.random.default_rng(9).normal(0, 1, 4000), np.zeros(4000)
    for t in range(1, len(x)):
        x[t] = 0.6 * x[t - 1] + noise[t]
    frame = pd.DataFrame({"x": x})
    assert [Series(frame, horizon=horizon).fit.difference for horizon in (1, 4)] == [True, False]


def test_missing_rows_of_equal_steps_are_filled_in() -> None:
    times = pd.date_range("2024-01-01", periods=LENGTH + 3, freq="D").delete([7, 20, 21])
    task = Series(made_frame(day=times), target="load", time="day")
    (one,) = task.series
    assert (len(one), one.gaps) == (LENGTH + 3, 3)
    assert list(np.flatnonzero(np.isnan(one.numbers["load"]))) == [7, 20, 21]
    assert "3 missing rows were filled in as missing values" in task.lines()


@pytest.mark.parametrize(
    ("late", "until"),
    [
        (pd.Timedelta(LENGTH + 1, "D"), "2024-02-19 00:00:00"),
        (pd.Timedelta(90, "min"), "2024-01-09 01:30:00"),
    ],
)
def test_a_gap_that_is_not_filled_in_is_told(late: pd.Timedelta, until: str) -> None:
    """One of more rows than were measured, and one that is no whole number of steps."""
    times = pd.date_range("2024-01-01", periods=LENGTH, freq="D")
    task = Series(made_frame(day=times.where(times < "2024-01-09", times + late)), target="load", time="day")
    why = "was not filled in: too long, or no whole number of steps"
    assert f"the gap from 2024-01-08 00:00:00 to {until} {why}" in task.lines()
    assert len(task.series[0]) == LENGTH


def test_times_at_no_equal_steps_are_told_and_go_on_at_the_median_of_the_last() -> None:
    """They were about an hour apart, the last two three hours."""
    minutes = np.cumsum([60, 61, 62] * 13 + [180])
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, "min")
    task = Series(made_frame(at=times), target="load", time="at")
    assert "times are not equally spaced: each row counts as one step" in task.lines()
    assert task.series[0].times is not None
    (after,) = times_after(task.series[0].times, 1)
    assert pd.Timestamp(after) == times[-1] + pd.Timedelta(61, "min")
    even = Series(
        made_frame(at=pd.date_range("2024-01-31", periods=LENGTH, freq="ME")), target="load", time="at"
    )
    assert not [line for line in even.lines() if "spaced" in line or "gap" in line], even.lines()


def test_rows_at_other_steps_than_those_trained_on_are_told() -> None:
    def notes(frequency: str, fit: dict[str, Any]) -> list[str]:
        at = pd.date_range("2024-01-01", periods=LENGTH, freq=frequency)
        return Series(made_frame(at=at), target="load", time="at", fit=fit).notes()

    hours = made_frame(at=pd.date_range("2024-01-01", periods=LENGTH, freq="h"))
    fit = Series(hours, target="load", time="at").kept()["fit"]
    assert fit["step"] == "1 hour"
    assert notes("h", fit) == []
    for frequency, step in {"2h": "2 hours", "D": "1 day", "MS": "1 month"}.items():
        told = f"rows are {step} apart; those that were trained on were 1 hour apart"
        assert notes(frequency, fit) == [told]
        before = {name: value for name, value in fit.items() if name != "step"}
        assert notes(frequency, before) == [], "a run of an earlier version does not know"


def test_a_single_time_goes_on_as_those_of_other_series() -> None:
    days = pd.date_range("2024-01-01", periods=5).to_numpy()
    assert list(times_after(days[:1], 2, days)) == list(days[1:3])
    months = pd.date_range("2024-01-01", periods=5, freq="MS").to_numpy()
    assert list(times_after(months[1:2], 2, months)) == list(months[2:4])
    assert list(times_after(np.array([3.0]), 2)) == [3, 3]


def test_several_series_have_their_own_scale_and_start_anew() -> None:
    """Rows of two series in turns: 20 of "b" around 100, 20 of "a" around -5."""
    generator = np.random.default_rng(3)
    level = np.tile([100.0, -5.0], LENGTH // 2)
    frame = pd.DataFrame({"x": level + generator.normal(0, 1, LENGTH), "who": ["b", "a"] * (LENGTH // 2)})
    task = Series(frame, target="x", series_id="who")
    stream = task.stream("train")
    assert stream.starts is not None
    assert list(np.flatnonzero(stream.starts)) == [0, 13]
    for number, name in enumerate(["b", "a"]):
        values = frame.loc[frame["who"] == name, "x"].to_numpy()
        own = slice(number * 13, number * 13 + 13)
        assert_close(stream.inputs[own, 0], standard(values, slice(14))[:13], 1e-5, name)
        assert_close(stream.targets[own, 0], standard(values, slice(14))[1:14], 1e-5, name)


def test_the_same_table_is_the_same_task(tmp_path: Path) -> None:
    """As a file, gzipped, with another separator, and as a data frame."""
    frame = made_frame().round(3)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv.gz", index=False)
    frame.to_csv(tmp_path / "c.csv", index=False, sep=";")
    paths = [tmp_path / name for name in ("a.csv", "b.csv.gz", "c.csv")]
    tasks = [Series(data, target="load") for data in (*paths, frame)]
    assert len({task.sha256 for task in tasks}) == 1
    assert [task.name for task in tasks] == ["series"] * 3 + ["dataframe"]
    again = Series(**tasks[0].options())
    assert (again.sha256, again.options()) == (tasks[0].sha256, tasks[0].options())
    assert Series(frame, target="price").sha256 != tasks[0].sha256


def test_other_data_are_read_as_the_training_data_were(tmp_path: Path) -> None:
    """Scale, columns of missing values and words are those that were kept."""
    first = made_frame(sky=["blue", "grey"] * (LENGTH // 2))
    first.loc[3, "load"] = np.nan
    fit = Series(first, target="load", inputs="sky").kept()["fit"]
    other = made_frame(sky="red") * 1
    other["load"] += 1000
    task = Series(other, target="load", inputs="sky", fit=fit)
    assert task.input_names == ("load", "sky=blue", "sky=grey", "load missing")
    known = first["load"].to_numpy()[:TRAIN]
    expected = (other["load"] - np.nanmean(known)) / np.nanstd(known)
    assert_close(task.stream("all").inputs[:, 0], expected[: LENGTH - 1], 1e-4, "old scale")
    assert_close(task.stream("all").inputs[:, 1:], np.zeros((LENGTH - 1, 3)), 0, "no gaps, no known word")


def test_words_are_those_of_the_training_part() -> None:
    """One that is held out alone makes no input, is read as none, and is named; a column needs some."""
    sky = np.resize(["blue", "grey"], LENGTH).astype(object)
    plain = Series(made_frame(sky=sky), target="load", inputs="sky", difference="off")
    sky[TRAIN:] = np.resize(["red", "blue", None], LENGTH - TRAIN)
    task = Series(made_frame(sky=sky), target="load", inputs="sky", difference="off")
    assert task.input_names == plain.input_names == ("load", "sky=blue", "sky=grey")
    inputs = task.stream("all").inputs
    assert_close(inputs[TRAIN:, 1], sky[TRAIN : LENGTH - 1] == "blue", 0, "blue")
    assert not inputs[TRAIN:, 2].any()
    assert task.lines()[1] == "sky has words that were not trained on, and are read as none: red"
    assert not [line for line in plain.lines() if "not trained on" in line]
    sky[:TRAIN] = None
    with pytest.raises(OptionError, match=r"^data must have values of 'sky' in the training part, got none$"):
        Series(made_frame(sky=sky), target="load", inputs="sky")


@pytest.mark.parametrize(
    ("period", "options"),
    [
        (1, {"difference": "on"}),
        (12, {"difference": "off"}),
        (12, {"horizon": 5, "difference": "on"}),
        (1, {"horizon": 3, "target": ["x", "y"], "difference": "off"}),
    ],
)
def test_simple_forecasts_by_their_definition(period: int, options: dict[str, Any]) -> None:
    """Repeating the last values, row by row, on "valid"; 12 is the period that is found."""
    generator = np.random.default_rng(5)
    time = np.arange(240)
    columns = {name: np.sin(2 * np.pi * time / 12) + generator.normal(0, 0.2, 240) for name in "xy"}
    task = Series(pd.DataFrame(columns), **{"target": ["x"], **options})
    targets = options.get("target", ["x"])
    parts = [columns[name][:168] for name in targets]
    units = [(np.diff(part) if task.difference == "on" else part).std() for part in parts]
    scaled = [columns[name] / unit for name, unit in zip(targets, units, strict=True)]
    losses = []
    for t in range(167, 204 - task.horizon):
        guesses = [[x[t + h - period * -(-h // period)] for h in range(1, task.horizon + 1)] for x in scaled]
        truths = [x[t + 1 : t + 1 + task.horizon] for x in scaled]
        losses.append(np.mean((np.array(guesses) - truths) ** 2))
    name = "last value" if period == 1 else "seasonal naive (12)"
    assert_close(task.baselines()[name], np.mean(losses), 1e-6, name)


def test_linear_predictors_of_known_processes() -> None:
    """x_t = 1.8 cos(0.4) x_{t-1} - 0.81 x_{t-2} + e_t needs two rows: with them only the noise is left."""
    generator = np.random.default_rng(11)
    noise, x = generator.normal(0, 1, 150_000), np.zeros(150_000)
    first, second = 1.8 * np.cos(0.4), -0.81
    for t in range(2, len(x)):
        x[t] = first * x[t - 1] + second * x[t - 2] + noise[t]
    task = Series(pd.DataFrame({"x": x}), difference="off")
    variance = task.fit.scales[""]["x"][1] ** 2
    correlation = first / (1 - second)  # of neighbours, by the Yule-Walker equations
    for width, expected in {1: 1 - correlation**2, 2: 1 / variance, 5: 1 / variance}.items():
        found = task.reference(width)
        assert found is not None
        assert found == pytest.approx(expected, rel=0.05), f"{width} rows: {found}, expected {expected}"
    assert Series(made_frame(), target="load").reference(30) is None, "more weights than rows"


def test_linear_predictors_of_quantiles_are_those_of_the_mean_and_of_its_errors() -> None:
    """Of a process with two parts, whose errors are normal: near the lowest pinball loss, s phi(z_q)."""
    rows, levels = 6000, [0.9, 0.2]
    noise = np.random.default_rng(5).normal(0, 1, (2, rows))
    series = np.zeros((2, rows))
    for t in range(1, rows):
        series[:, t] = np.array([0.8, -0.5]) * series[:, t - 1] + noise[:, t]
    frame = pd.DataFrame({"a": series[0], "b": series[1]})
    options: dict[str, Any] = {"target": ["a", "b"], "difference": "off"}
    task, mean = Series(frame, **options, quantiles=levels), Series(frame, **options)
    own, of_mean = task.reference(1), mean.reference(1)
    assert own is not None
    assert of_mean is not None
    spreads = frame[: rows * 7 // 10].std(ddof=0)
    densities = [np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) for z in (1.2815515655, -0.8416212336)]
    lowest = np.mean([density / spread for density in densities for spread in spreads])
    assert own == pytest.approx(lowest, rel=0.05), f"{own}, not {lowest}"
    assert of_mean == pytest.approx(np.mean(1 / spreads**2), rel=0.1)
    assert "linear predictor that reads 1 rows, and the quantiles of its errors" in task.contenders([1])


def assert_refused(message: str, data: Any, **options: Any) -> None:
    """In one line that has these words."""
    with pytest.raises(OptionError) as caught:
        Series(data, **options)
    found = str(caught.value)
    assert message in found, f"{found!r} does not say {message!r}"
    assert "\n" not in found


DATES = {"t": pd.date_range("2024-01-01", periods=LENGTH)}
# Columns, options beside the target "load", and what is said.
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"target": "lod"}, "target must be columns of the data frame, got 'lod'; it has load, price"),
    ({}, {"target": None}, "target must name a column of the data frame, which has load, price"),
    ({}, {"inputs": ["load"]}, "inputs must be given once for each column"),
    ({"load": ["1"] * 5 + ["n/k"] + ["2"] * 34}, {}, "has 'n/k' in row 5 of the data frame"),
    ({"load": [1.0] * 39 + [np.inf]}, {}, "has inf in row 39"),
    ({"load": np.nan}, {}, "all of 'load' is missing"),
    ({"load": 4.0}, {}, "'load' is always 4 there"),
    ({"load": 1e200}, {}, "up to 1e+100, but 'load' has 1e+200 in row 0"),
    ({"load": [[1]] * LENGTH}, {}, "but 'load' has [1] in row 0"),
    ({"load": 1j}, {}, "holds complex numbers"),
    ({"t": [f"w{n % 51}" for n in range(40)]}, {"time": "t"}, "got 'w0' in row 0"),
    ({"t": ["01/02/2024"] * LENGTH}, {"time": "t"}, "got '01/02/2024' in row 0 of"),
    ({"t": [*range(39), 38]}, {"time": "t"}, "time must increase from row to row, got 38 again"),
    ({"t": [*range(38), 50, 40]}, {"time": "t"}, "got 40 after 50 in row 39"),
    ({"t": range(40)}, {"time": "t", "calendar": "hour"}, "unless time is a column of dates"),
    ({"who": ["a"] * 39 + [None]}, {"series_id": "who"}, "there is none in row 39 of the data frame"),
    ({"kind": ["a", "b"] * 20}, {"static": "kind"}, "never change, but 'kind' does"),
    ({}, {"static": "price", "known": "price"}, "as known, too"),
    ({}, {"horizon": 7}, "leave none for 'valid' with a horizon of 7"),
    ({}, {"horizon": 10**8}, "must be a whole number of at most 10000"),
    ({}, {"valid_fraction": 0.6, "test_fraction": 0.4}, "must be below 1 - valid_fraction"),
    ({}, {"valid_from": "1", "test_from": "2"}, "valid_from must be left out unless time is given, got '1'"),
]
# Where the held-out parts begin: valid_from, test_from, and what is said.
BORDERS: list[tuple[Any, Any, str]] = [
    ("2024-01-15", None, "test_from must be given with valid_from, got None"),
    ("2024-01-15", "2024-01-15", "test_from must be later than valid_from"),
    ("soon", "later", "valid_from must be a time as in the column of times"),
    ("NaT", "2024-02-01", "valid_from must be a time as in the column of times, got 'NaT'"),
]


@pytest.mark.parametrize(("changes", "options", "message"), REFUSED)
def test_bad_tables_are_refused_in_one_line(
    changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    assert_refused(message, made_frame(**changes), **{"target": "load"} | options)


def test_bad_borders_are_refused_in_one_line() -> None:
    dated: dict[str, Any] = {"target": "load", "time": "t"}
    for begin, test, message in BORDERS:
        assert_refused(message, made_frame(**DATES), **dated, valid_from=begin, test_from=test)
    both = {"valid_from": "1", "test_from": "2", "test_fraction": 0.3}
    assert_refused("test_fraction must be left out where", made_frame(**DATES), **dated, **both)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is nothing at"),
        (b"", "must be a table, but"),
        (b"a,b\n", "must hold rows, but the file"),
        (b"a\n1\n2\nthree\n", "has 'three' in line 4 of the file"),
        (b"a,b,a\n1,2,3\n", "target must be columns that occur once, the file"),
        (b"a\n\xff\xfe\n", "must be utf-8 text, but"),
        (b"a\n1\n2\n", "must leave at least one step with a target for each split, but the 2 rows"),
        (b'a\n"1\n', "must be a table, but"),
        (gzip.compress(b"a\n" + b"1\n2\n" * 99, mtime=0)[:20], "must be a table, but"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / ("table.csv.gz" if (content or b"").startswith(b"\x1f\x8b") else "table.csv")
    if content is not None:
        path.write_bytes(content)
    assert_refused(message, path, target="a")


def test_a_series_that_opens_late_has_the_scale_of_all() -> None:
    """One without a row in the training part, and one that is new in other data."""
    times = [
        *pd.date_range("2024-01-01", periods=30, freq="D"),
        *pd.date_range("2024-01-25", periods=10, freq="D"),
    ]
    frame = made_frame(day=times, who=["a"] * 30 + ["late"] * 10)
    options: dict[str, Any] = {"target": "load", "time": "day", "series_id": "who", "difference": "off"}
    task = Series(frame, **options, valid_from="2024-01-22", test_from="2024-01-28")
    train = frame["load"][:21]
    assert set(task.fit.scales) >= {"a", ""}
    assert task.fit.scale(task.series[1], "load") == pytest.approx((train.mean(), train.std(ddof=0)))
    new = frame.drop(columns="day").assign(who="new")
    other = Series(new, target="load", series_id="who", fit=task.kept()["fit"])
    assert other.fit.scale(other.series[0], "load") == task.fit.scales[""]["load"]
    said = "who has series that were not trained on, and are scaled as all others together: new"
    assert (task.notes(), other.notes()) == ([], [said])


def test_odd_data_frames() -> None:
    """Columns that occur twice, and an index whose name is taken, are no harm where they are not used."""
    frame = made_frame(x=1.0)
    frame.columns = ["load", "x", "x"]
    assert Series(frame, target="load").columns.target == ("load",)
    indexed = made_frame(time=range(LENGTH)).set_axis(pd.date_range("2024-01-01", periods=LENGTH))
    assert Series(indexed, target="load").columns.time is None


def test_the_measurements_that_come_with_the_package_are_those_described() -> None:
    with gzip.open(KENNEDY_AIRPORT) as file:
        assert hashlib.sha256(file.read()).hexdigest() == KENNEDY_AIRPORT_SHA256
    task = Series()
    assert (task.columns.target, len(task.series[0]), task.series[0].gaps) == (("temperature",), 8730, 0)
