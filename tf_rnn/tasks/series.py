"""Series: numbers measured over time, to be predicted some steps ahead."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.options import OptionError, require_choice, require_fraction, require_whole, shown
from tf_rnn.options.declared import TASK_OPTIONS
from tf_rnn.options.words import DIFFERENCES
from tf_rnn.tasks.base import Defaults, Task
from tf_rnn.tasks.corpus import UTF_8
from tf_rnn.tasks.features import CYCLES, Fit, input_columns, last_known, last_value_is_better, target_columns
from tf_rnn.tasks.references import LinearPredictor, partial_autocorrelations, season
from tf_rnn.tasks.stream import Stream
from tf_rnn.tasks.tables import Columns, Measured, as_time, cut_table, numeric_columns, open_table, usual_step
from tf_rnn.tasks.values import has_target, mean_loss

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.tables import Opened

VALID_FRACTION = TEST_FRACTION = 0.15
WHOLE = "all"
# Steps before a held-out part that are read first, so that the state has settled; they do not count.
LEAD = 200
# The columns of the measurements at Kennedy Airport.
DEFAULT_TARGET, DEFAULT_TIME = ("temperature",), "time"
WIDTHS = (1, 2, 5, 10, 25, 50, 100)
MOST_BATCH, SHORTEST_ROW = 20, 100
# Lags whose partial autocorrelation is looked at, and shown; |r| beyond this by chance in one of 100 cases.
MOST_LAGS, SHOWN_LAGS, ONE_PERCENT = 200, 8, 2.576
# In seconds.
UNITS_OF_TIME = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
MOST_TOKENS, EPOCHS = 1_000_000, 100


class Part(NamedTuple):
    """The rows of one series that a split is made of.

    Attributes:
        series: The number of the series.
        first: The first row that is read.
        counted: The first row that counts.
        stop: The row after the last one.
    """

    series: int
    first: int
    counted: int
    stop: int


class Series(Task):
    """The rows of a table, in order of time; the targets of each are the values of the next rows.

        time      load  temperature         inputs at t       targets at t (horizon 2)
        00:00      310           14         load_t, temp_t    load_{t+1}, load_{t+2}
        01:00      295           13
        02:00      290           13         scaled: (x - mean) / standard deviation of the training part

    Each series is cut in time into the splits "train", "valid" and "test". Held-out splits begin with up to
    200 rows of what came before, so that the state has settled; these do not count. Mean and standard
    deviation are those of the training part, of each series where there are several. A missing value has no
    loss as a target; as an input it is the last value before it, and another input says where that is so.
    Rows that are missing in a column of equally spaced times are filled in as missing.

        task = tf_rnn.tasks.Series("load.csv", target="load", time="time", calendar=["hour", "weekday"])
        task = tf_rnn.tasks.Series(frame, target=["load", "price"], series_id="city", horizon=24)

    Args:
        data: A `pandas.DataFrame`; the path of a CSV file, which may be gzipped, or of a Parquet file; or
            None for hourly measurements at Kennedy Airport, New York, in 2013.
        target: The column to predict, or several; None for the only column of numbers.
        inputs: Further columns, observed up to now: numbers, or words.
        known: Columns that are known ahead (a holiday, a price): all values from the next row to `horizon`
            rows ahead are inputs.
        static: Columns that are the same in all rows of a series.
        time: The column of dates or numbers that says when a row was measured. It must increase.
        series_id: The column that says which series a row belongs to, where there are several.
        horizon: The number of steps ahead to predict; all of them at every step, as one vector.
        calendar: What of the next row's date is an input: any of "hour", "weekday", "month".
        quantiles: Quantiles to predict instead of the mean, such as [0.1, 0.5, 0.9]; the loss is then the
            pinball loss, see `tf_rnn.graph.losses.Pinball`.
        difference: "on" to predict changes since the last row, and to read the last change instead of the
            last value; "off" for the values; "auto" for changes if the last value is a better forecast than
            the mean, for most targets of most series, in the training part.
        valid_fraction: The fraction of each series in the split "valid".
        test_fraction: The fraction of each series in the split "test", at its end.
        valid_from: The first time of the split "valid", a date or a number as in the column `time`; instead
            of the fractions.
        test_from: The first time of the split "test".
        encoding: The encoding of a CSV file.
        fit: Scales and words of a model that was trained on other data; None to take them from these.
        defaults: Training settings; None for some that suit the size of the data.

    Attributes:
        columns: Which columns are what.
        series: The series, as they were measured.
        fit: Scales and words.
        input_names: What the inputs of a step are.
        sha256: The SHA-256 of inputs and targets, in hexadecimal.

    Raises:
        OptionError: For the option that is not allowed, with the line of the table at fault.
    """

    name = "series"
    defaults = Defaults(
        batch_size=MOST_BATCH,
        optimizer="adam",
        learning_rate=0.002,
        tokens=MOST_TOKENS,
        cell="lstm",
        state_size=16,
        clip_norm=5.0,
        num_steps=WIDTHS,
        longest=WIDTHS[-1],
    )
    splits = ("train", "valid", "test")
    input_kind = "real"
    loss = "squared_error"
    unit = "scaled squared error"

    def __init__(
        self,
        data: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        inputs: str | Sequence[str] = (),
        known: str | Sequence[str] = (),
        static: str | Sequence[str] = (),
        time: str | None = None,
        series_id: str | None = None,
        horizon: int = 1,
        calendar: str | Sequence[str] = (),
        quantiles: Sequence[float] | None = None,
        difference: str = "auto",
        valid_fraction: float = VALID_FRACTION,
        test_fraction: float = TEST_FRACTION,
        valid_from: str | None = None,
        test_from: str | None = None,
        encoding: str = UTF_8,
        fit: Any = None,
        defaults: Defaults | None = None,
    ) -> None:
        self.horizon = require_whole("horizon", horizon)
        self.calendar = tuple(
            require_choice("calendar", name, CYCLES) for name in _names("calendar", calendar)
        )
        self.quantiles = None if quantiles is None else TASK_OPTIONS["quantiles"].check(list(quantiles))
        if self.quantiles is not None:
            self.loss, self.unit = "pinball", "scaled pinball loss"
        self.difference = require_choice("difference", difference, DIFFERENCES)
        self.valid_fraction = require_fraction("valid_fraction", valid_fraction)
        self.test_fraction = require_fraction("test_fraction", test_fraction)
        if self.valid_fraction + self.test_fraction >= 1:
            problem = f"must be below 1 - valid_fraction ({self.valid_fraction}), got {self.test_fraction}"
            raise OptionError("test_fraction", problem)
        self.encoding = TASK_OPTIONS["encoding"].check(encoding)
        opened = open_table(data, self.encoding)
        self.data = _as_text(data)
        if not (data is None or isinstance(data, str | os.PathLike)):
            self.name = "dataframe"  # which cannot be read again
        self._stamps, self._origin = opened.stamps, opened.origin
        lists = {"inputs": inputs, "known": known, "static": static}
        self.columns = Columns(
            target=_target(target, opened, data, time, series_id),
            **{option: _names(option, names) for option, names in lists.items()},
            time=_time(time, opened, data),
            series_id=None if series_id is None else _names("series_id", series_id)[0],
        )
        self.valid_from, self.test_from = valid_from, test_from
        given = None if fit is None else Fit.from_json(fit)
        words = None if given is None else tuple(given.categories)
        self.series: list[Measured] = cut_table(opened.frame, self.columns, opened.origin, words)
        self._given, self._from = fit, self._begins()
        self._streams: dict[str, Stream] = {}
        self._references: dict[int, float | None] = {}
        borders = [self._borders(one)[0] for one in self.series]
        self.fit = given or Fit.of(self.series, self.columns, borders, difference=self._differs(borders))
        self._build()
        self.sha256 = self._digest()
        self.defaults = self._suitable() if defaults is None else defaults

    def _begins(self) -> NDArray[Any] | None:
        """The first times of the held-out parts; None where fractions say how long these are."""
        given = {"valid_from": self.valid_from, "test_from": self.test_from}
        if not any(given.values()):
            return None
        for option, time in given.items():
            if time is None:
                raise OptionError(
                    option, "must be given where the other held-out part begins at a time, got None"
                )
            if self.columns.time is None:
                raise OptionError(option, f"must be left out unless time is given, got {shown(time)}")
            fraction = option.replace("from", "fraction")
            if getattr(self, fraction) != VALID_FRACTION:
                raise OptionError(fraction, f"must be left out where {option} is given")
        times = [as_time(option, time, self.series[0]) for option, time in given.items()]
        if not times[0] < times[1]:
            raise OptionError(
                "test_from", f"must be later than valid_from, {self.valid_from}, got {self.test_from}"
            )
        return np.array(times)

    def _build(self) -> None:
        """Makes the inputs and targets of all rows, and tells which of them belong to which split."""
        of_series = [
            input_columns(one, self.columns, self.fit, self.horizon, self.calendar) for one in self.series
        ]
        self.input_names = tuple(of_series[0])
        self._inputs = [np.stack(list(one.values()), axis=1).astype(np.float32) for one in of_series]
        self._targets = [
            target_columns(one, self.columns, self.fit, self.horizon).astype(np.float32)
            for one in self.series
        ]
        self.input_size = len(self.input_names)
        self.num_classes = len(self.columns.target) * self.horizon * self._copies
        self.has_starts = len(self.series) > 1
        self._parts = {split: list(self._cut(split)) for split in (*self.splits, WHOLE)}
        if self._given is None:
            for split in self.splits:
                self._require_targets(split)
        is_whole = all(not np.isnan(self.stream(split).targets).any() for split in self.splits)
        self.loss_steps = "all" if is_whole else "marked"

    def _differs(self, borders: Sequence[int]) -> bool:
        """Whether targets are changes; see `difference`."""
        if self.difference != "auto":
            return self.difference == "on"
        votes = [
            last_value_is_better(one.numbers[name][:border], self.horizon)
            for one, border in zip(self.series, borders, strict=True)
            for name in self.columns.target
        ]
        return sum(votes) * 2 > len(votes)

    def _borders(self, one: Measured) -> tuple[int, int, int]:
        """Where the parts of a series end."""
        length = len(one)
        if self._from is not None:
            valid, test = np.searchsorted(one.times, self._from).tolist()  # type: ignore[arg-type]
            return valid, test, length
        held_out = [round(length * self.valid_fraction), round(length * self.test_fraction)]
        return length - sum(held_out), length - held_out[1], length

    def _cut(self, split: str) -> Iterator[Part]:
        """The rows of a split: all targets of a row that counts lie in it."""
        for number, one in enumerate(self.series):
            borders = (0, *self._borders(one))
            place = self.splits.index(split) if split != WHOLE else 0
            begin, end = (0, len(one)) if split == WHOLE else borders[place : place + 2]
            counted = max(begin - 1, 0)
            stop = end - self.horizon
            if stop > counted:
                yield Part(number, max(0, counted - LEAD), counted, stop)

    def _require_targets(self, split: str) -> None:
        if any(
            has_target(self._targets[part.series][part.counted : part.stop]).any()
            for part in self._parts[split]
        ):
            return
        rows = max(map(len, self.series))
        ahead = f" with a horizon of {self.horizon}" if self.horizon > 1 else ""
        raise OptionError(
            "data",
            f"must leave at least one step with a target for each split, but the {rows} rows of "
            f"{self._origin} leave none for {split!r}{ahead} (valid_fraction {self.valid_fraction}, "
            f"test_fraction {self.test_fraction})",
        )

    def parts(self, split: str) -> list[Part]:
        """The rows that a split is made of, in the order of its stream."""
        return self._parts[require_choice("split", split, (*self.splits, WHOLE))]

    def length(self, split: str = "train") -> int:
        """Returns the number of steps of a split, those before it included; or of "all"."""
        return sum(part.stop - part.first for part in self.parts(split))

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the steps of a split, series by series, the same in every epoch; the arrays are read-only.

        The split "all" is every series from its first row to its last.
        """
        require_whole("epoch", epoch, at_least=0)
        require_choice("split", split, (*self.splits, WHOLE))
        if split not in self._streams:
            self._streams[split] = self._joined(split)
        return self._streams[split]

    def _joined(self, split: str) -> Stream:
        inputs, targets = [], []
        for part in self._parts[split]:
            own = self._targets[part.series][part.first : part.stop].copy()
            own[: part.counted - part.first] = np.nan
            own = np.repeat(own, self._copies, axis=1)
            inputs.append(self._inputs[part.series][part.first : part.stop])
            targets.append(own)
        if not inputs:
            raise OptionError("data", f"must have rows for the split {split!r}, {self._origin} has too few")
        starts = self.series_starts(split) if self.has_starts else None
        stream = Stream(np.concatenate(inputs), np.concatenate(targets), starts)
        for array in stream:
            array.flags.writeable = False
        return stream

    def series_starts(self, split: str) -> NDArray[np.bool_]:
        """Which steps of a split's stream are the first of a series, [length]."""
        starts = np.zeros(self.length(split), bool)
        lengths = [part.stop - part.first for part in self.parts(split)]
        starts[np.cumsum([0, *lengths[:-1]])] = True
        return starts

    def is_current(self) -> bool:
        """Returns whether the file is unchanged since it was read."""
        return self._stamps is not None and all(stamp.is_current() for stamp in self._stamps)

    def baselines(self) -> dict[str, float]:
        """Returns the losses of two simple forecasts on the split "valid".

        "last value" repeats the last known value. "seasonal naive (p)" repeats the last p steps, with the
        period p by the autocorrelation of the training part; it is left out where there is no clear season.
        """
        period = self.period_of_season
        found = {"last value": self._loss_of(1)}
        return found if period is None else found | {f"seasonal naive ({period})": self._loss_of(period)}

    @functools.cached_property
    def period_of_season(self) -> int | None:
        """The period of the first target of the longest series, in its training part; see `season`."""
        longest = max(self.series, key=len)
        return season(last_known(longest.numbers[self.columns.target[0]][: self._borders(longest)[0]]))

    def _loss_of(self, period: int) -> float:
        """The loss on "valid" of repeating the last `period` values."""
        parts = self._parts["valid"]
        errors = np.concatenate([self.repeated(part, period) - self.targets_of(part) for part in parts])
        flat = errors.reshape(len(errors), -1)
        return mean_loss(np.repeat(flat, self._copies, axis=1), self.quantiles)

    def repeated(self, part: Part, period: int) -> NDArray[np.float64]:
        """The forecasts that repeat the last `period` values, scaled, as `targets_of`."""
        rows = np.arange(part.counted, part.stop)[:, np.newaxis]
        ahead = np.arange(1, self.horizon + 1)
        places = np.maximum(rows + ahead - period * -(-ahead // period), 0)
        one, guesses = self.series[part.series], []
        for name in self.columns.target:
            levels = self.fit.levels(one, name)[rows]
            guesses.append((last_known(one.numbers[name])[places] - levels) / self.fit.spread(one, name))
        return np.stack(guesses, axis=1)

    @property
    def _copies(self) -> int:
        """How often each target stands among the targets: once for each quantile."""
        return 1 if self.quantiles is None else len(self.quantiles)

    @property
    def middle(self) -> int:
        """The number of the quantile that is closest to the median; 0 where the mean is predicted."""
        return 0 if self.quantiles is None else int(np.argmin(np.abs(np.array(self.quantiles) - 0.5)))

    def by_quantile(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The outputs of a network, [rows, targets, horizon, quantiles]; one quantile where it is the mean.

        Quantiles that cross are put in order.
        """
        split = outputs.reshape(len(outputs), len(self.columns.target), self.horizon, self._copies)
        if self.quantiles is None:
            return split
        return np.sort(split, axis=3)[..., np.argsort(np.argsort(self.quantiles))]

    def targets_of(self, part: Part) -> NDArray[np.float32]:
        """The targets of the rows of a part that count, scaled, [rows, targets, horizon]; nan for none."""
        own = self._targets[part.series][part.counted : part.stop]
        return own.reshape(len(own), len(self.columns.target), self.horizon)

    def inputs_of(self, part: Part) -> NDArray[np.float32]:
        """The inputs of a part, those before the rows that count included, [rows, input_size]."""
        return self._inputs[part.series][part.first : part.stop]

    def reference(self, num_steps: int) -> float | None:
        """Returns the loss on "valid" of the best linear predictor that reads the last `num_steps` rows.

        It is fitted to the split "train"; see `LinearPredictor`. None where that has too few rows for it, and
        for quantiles.
        """
        if self.quantiles is not None:
            return None
        if num_steps not in self._references:
            self._references[num_steps] = self._reference(num_steps)
        return self._references[num_steps]

    def contenders(self, widths: Sequence[int]) -> dict[str, float]:
        """Returns the losses of the simple forecasts, and of the best linear predictor of some widths."""
        linear = {width: loss for width in widths if (loss := self.reference(width)) is not None}
        best = min(linear, key=lambda width: linear[width], default=None)
        if best is None:
            return self.baselines()
        return self.baselines() | {f"linear predictor that reads {best} rows": linear[best]}

    def _reference(self, num_steps: int) -> float | None:
        observed = len(self.input_names) - self._read_once
        predictor = LinearPredictor(observed, num_steps)
        train, valid = self.stream("train"), self.stream("valid")
        if not predictor.fit(train.inputs, train.targets, self.series_starts("train")):
            return None
        rows = np.flatnonzero(has_target(valid.targets))
        guesses = predictor(valid.inputs, self.series_starts("valid"), rows)
        return mean_loss(guesses - valid.targets[rows])

    @property
    def _read_once(self) -> int:
        """The number of the last inputs, whose past says nothing more: known ahead, calendar, static."""
        before = [*self.columns.target, *self.columns.inputs]
        names = [
            name for name in self.input_names if name.split("=")[0] in before or name.endswith(" missing")
        ]
        return len(self.input_names) - len(names)

    def lines(self) -> list[str]:
        """Returns lines about what was read, and what linear predictors make of it."""
        counts = {
            split: sum(part.stop - part.counted for part in self._parts[split]) for split in self.splits
        }
        sizes = " / ".join(f"{count:,} {split}" for split, count in counts.items())
        of_series = f" of {len(self.series)} series" if len(self.series) > 1 else ""
        targets = ", ".join(self.columns.target)
        ahead = "the next step" if self.horizon == 1 else f"the next {self.horizon} steps"
        found = [f"{self.name}: {sizes} steps{step_words(self.series[0])}{of_series}; {ahead} of {targets}"]
        if self.fit.difference:
            found.append("predicted are changes since the last row, in units of their standard deviation")
        gaps = sum(one.gaps for one in self.series)
        if gaps:
            found.append(f"{gaps} missing rows were filled in as missing values")
        return [*found, *self._marked_lags(), *self._guess()]

    def _marked_lags(self) -> list[str]:
        """A line with the lags at which the partial autocorrelation of the first target is clear."""
        longest = max(self.series, key=len)
        name = self.columns.target[0]
        values = last_known(longest.numbers[name][: self._borders(longest)[0]])
        values = np.diff(values) if self.fit.difference else values
        partial = np.abs(partial_autocorrelations(values, min(MOST_LAGS, len(values) // 3)))
        clear = np.flatnonzero(partial > ONE_PERCENT / math.sqrt(len(values)))
        if not len(clear):
            return ["partial autocorrelation: at no lag beyond chance"]
        strongest = sorted(clear[np.argsort(-partial[clear])][:SHOWN_LAGS] + 1)
        shown = " ".join(map(str, strongest))
        more = "" if len(clear) <= SHOWN_LAGS else f", the strongest of {len(clear)} up to {clear[-1] + 1}"
        return [f"partial autocorrelation of {name} beyond chance at the lags {shown}{more}"]

    def _guess(self) -> list[str]:
        """A line with the losses of linear predictors by the number of rows that they read."""
        losses = {width: self.reference(width) for width in self.defaults.num_steps}
        parts = [f"{width}: {loss:.4f}" for width, loss in losses.items() if loss is not None]
        title = "linear predictors on the validation part, by rows read"
        return [f"{title}: {', '.join(parts)}"] if parts else []

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; `fit` is None unless it was given."""
        lists = {name: list(names) for name, names in self.columns.by_option().items()}
        return {
            "data": self.data,
            **lists,
            "time": self.columns.time,
            "series_id": self.columns.series_id,
            "horizon": self.horizon,
            "calendar": list(self.calendar),
            "quantiles": None if self.quantiles is None else list(self.quantiles),
            "difference": self.difference,
            "valid_fraction": self.valid_fraction,
            "test_fraction": self.test_fraction,
            "valid_from": self.valid_from,
            "test_from": self.test_from,
            "encoding": self.encoding,
            "fit": self._given,
        }

    def kept(self) -> dict[str, Any]:
        """Returns what a model keeps of its training data, to read other data in the same way."""
        return {"fit": self.fit.as_json(), "input_names": list(self.input_names)}

    def _digest(self) -> str:
        digest = hashlib.sha256(json.dumps(self.input_names).encode())
        for one, inputs, targets in zip(self.series, self._inputs, self._targets, strict=True):
            digest.update(f"{one.name} {inputs.shape} {targets.shape} {self._borders(one)}".encode())
            digest.update(inputs.tobytes())
            digest.update(targets.tobytes())
        return digest.hexdigest()

    def _suitable(self) -> Defaults:
        """Returns training settings that suit the size of the data."""
        length, held_out = self.length("train"), self.length("valid")
        batch_size = min(MOST_BATCH, max(1, min(length, held_out) // SHORTEST_ROW))
        longest = min(WIDTHS[-1], length // batch_size, held_out // batch_size)
        return dataclasses.replace(
            type(self).defaults,
            batch_size=batch_size,
            tokens=max(length, min(EPOCHS * length, MOST_TOKENS)),
            num_steps=tuple(width for width in WIDTHS if width <= longest),
            longest=longest,
        )


def _names(option: str, names: str | Sequence[str]) -> tuple[str, ...]:
    """Names as a tuple; one name alone is a tuple, too."""
    found = (names,) if isinstance(names, str) else names
    if not isinstance(found, tuple | list) or not all(isinstance(name, str) and name for name in found):
        raise OptionError(option, f"must be names of columns, got {shown(names)}")
    return tuple(found)


def _target(
    target: Any, opened: Opened, data: Any, time: str | None, series_id: str | None
) -> tuple[str, ...]:
    if target is not None and target != ():
        return _names("target", target)
    if data is None:
        return DEFAULT_TARGET
    found = [name for name in numeric_columns(opened.frame) if name not in (time, series_id)]
    if len(found) != 1:
        choices = ", ".join(found[:12]) or "none that holds numbers"
        raise OptionError("target", f"must name a column of {opened.origin}, which has {choices}")
    return tuple(found)


def _time(time: Any, opened: Opened, data: Any) -> str | None:
    if time is not None:
        return _names("time", time)[0]
    if data is None:
        return DEFAULT_TIME
    dates = [str(name) for name in opened.frame.columns if opened.frame[name].dtype.kind == "M"]
    return dates[0] if len(dates) == 1 else None


def _as_text(data: Any) -> str | None:
    return str(Path(data).absolute()) if isinstance(data, str | os.PathLike) else None


def step_words(one: Measured) -> str:
    """The usual step of a series for people to read: " of 1 hour"; "" where there is none."""
    step = None if one.times is None else usual_step(one.times)
    if step is None:
        return ""
    if not isinstance(step, np.timedelta64):
        return f" of {step:g}"
    seconds = step / np.timedelta64(1, "s")
    length, name = next((unit for unit in UNITS_OF_TIME if seconds >= unit[0]), UNITS_OF_TIME[-1])
    count = seconds / length
    return f" of {count:g} {name}{'' if count == 1 else 's'}"
