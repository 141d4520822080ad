"""Series: numbers measured over time, to be predicted some steps ahead."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, require_choice
from tf_rnn.options.declared import TASK_OPTIONS
from tf_rnn.options.words import DIFFERENCES
from tf_rnn.tasks.features import Fit, last_known, last_value_is_better, target_columns
from tf_rnn.tasks.references import LinearPredictor, partial_autocorrelations, season
from tf_rnn.tasks.table_options import column_names
from tf_rnn.tasks.tables import numeric_columns
from tf_rnn.tasks.tabular import Tabular
from tf_rnn.tasks.values import has_target, mean_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.table_options import TableOptions
    from tf_rnn.tasks.tables import Measured, Opened
    from tf_rnn.tasks.tabular import Part

# The columns of the measurements at Kennedy Airport.
DEFAULT_TARGET = ("temperature",)
# Lags whose partial autocorrelation is looked at, and shown; |r| beyond this by chance in one of 100 cases.
MOST_LAGS, SHOWN_LAGS, ONE_PERCENT = 200, 8, 2.576
LEAST_ROWS = 30
# Errors of a linear predictor whose quantiles are taken, the newest.
MOST_ERRORS = 10_000


class Series(Tabular):
    """The rows of a table, in order of time; the targets of each are the values of the next rows.

        time      load  temperature         inputs at t       targets at t (horizon 2)
        00:00      310           14         load_t, temp_t    load_{t+1}, load_{t+2}
        01:00      295           13
        02:00      290           13         scaled: (x - mean) / standard deviation of the training part

    Each series is cut in time into the splits "train", "valid" and "test". Held-out splits begin with up to
    200 rows of what came before, so that the state has settled; these do not count. Mean and standard
    deviation are those of the training part, of each series where there are several. A missing value has no
    loss as a target; as an input it is the last value before it, and another input says where that is so.
    Rows that are missing in a column of times that are equally spaced, or months or business days apart, are
    filled in as missing.

        task = tf_rnn.tasks.Series("load.csv", target="load", time="time", calendar=["hour", "weekday"])
        task = tf_rnn.tasks.Series(frame, target=["load", "price"], series_id="city", horizon=24)

    Args:
        data: A `pandas.DataFrame`; the path of a CSV file, which may be gzipped, or of a Parquet file; or
            None for hourly measurements at Kennedy Airport, New York, in 2013.
        target: The column to predict, or several; None for the only column of numbers.
        known: Columns that are known ahead (a holiday, a price): all values from the next row to `horizon`
            rows ahead are inputs.
        horizon: The number of steps ahead to predict; all of them at every step, as one vector.
        quantiles: Quantiles to predict instead of the mean, such as [0.1, 0.5, 0.9]; the loss is then the
            pinball loss, see `tf_rnn.graph.losses.Pinball`.
        difference: "on" to predict changes since the last row, and to read the last change instead of the
            last value; "off" for the values; "auto" for changes if the last value is a better forecast than
            the mean, for most targets of most series, in the training part.
        **table: The options of all tables, such as `time` and `series_id`; see `TableOptions`. `inputs` are
            further columns, beside the targets; `calendar` is that of the next row's date.

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
    of_frame = "dataframe"
    linear = "linear predictor"
    loss = "squared_error"
    unit = "scaled squared error"

    def __init__(
        self,
        data: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        known: str | Sequence[str] = (),
        horizon: int = 1,
        quantiles: Sequence[float] | None = None,
        difference: str = "auto",
        **table: Any,
    ) -> None:
        self.horizon = TASK_OPTIONS["horizon"].check(horizon)
        self.quantiles = None if quantiles is None else TASK_OPTIONS["quantiles"].check(list(quantiles))
        if self.quantiles is not None:
            self.loss, self.unit = "pinball", "scaled pinball loss"
        self.difference = require_choice("difference", difference, DIFFERENCES)
        known = column_names("known", known)
        opened = self._open(data, table)
        columns = dataclasses.replace(
            self._columns(opened, data), target=_target(target, opened, data, self._options), known=known
        )
        self.num_classes = len(columns.target) * self.horizon * self._copies
        self._build(opened, columns)
        self.defaults = self._suitable()

    def _fitted(self) -> Fit:
        borders = [border for border, *_ in self._borders]
        return Fit.of(self.series, self.columns, borders, difference=self._differs(borders))

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

    def _targets_of(self, one: Measured) -> NDArray[np.float32]:
        return target_columns(one, self.columns, self.fit, self.horizon).astype(np.float32)

    def _counted_targets(self, part: Part) -> NDArray[np.float32]:
        own = self._targets[part.series][part.first : part.stop].copy()
        own[: part.counted - part.first] = np.nan
        return np.repeat(own, self._copies, axis=1)

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
        longest = max(range(len(self.series)), key=lambda number: len(self.series[number]))
        values = self.series[longest].numbers[self.columns.target[0]]
        return season(last_known(values[: self._borders[longest][0]]))

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

    def _contender(self, num_steps: int) -> str:
        title = super()._contender(num_steps)
        return title if self.quantiles is None else f"{title}, and the quantiles of its errors"

    def _reference(self, num_steps: int) -> float | None:
        """Of `LinearPredictor`; of quantiles each is the mean that it predicts plus that of its errors."""
        predictor = LinearPredictor(self._read_at_all_lags, num_steps)
        train, valid = self.stream("train"), self.stream("valid")
        starts = self.series_starts("train")
        if not predictor.fit(train.inputs, train.targets, starts):
            return None
        rows = np.flatnonzero(has_target(valid.targets))
        guesses = predictor(valid.inputs, self.series_starts("valid"), rows)
        if self.quantiles is not None:
            fitted = np.flatnonzero(~np.isnan(train.targets).any(axis=1))[-MOST_ERRORS:]
            errors = train.targets[fitted] - predictor(train.inputs, starts, fitted)
            levels = np.resize(self.quantiles, errors.shape[1])
            guesses += [np.quantile(*pair) for pair in zip(errors.T, levels, strict=True)]
        return mean_loss(guesses - valid.targets[rows], self.quantiles)

    def lines(self) -> list[str]:
        """Returns lines about what was read, and what linear predictors make of it."""
        counts = {
            split: sum(part.stop - part.counted for part in self._parts[split]) for split in self.splits
        }
        sizes = " / ".join(f"{count:,} {split}" for split, count in counts.items())
        of_series = f" of {len(self.series)} series" if len(self.series) > 1 else ""
        targets = ", ".join(self.columns.target)
        ahead = "the next step" if self.horizon == 1 else f"the next {self.horizon} steps"
        found = [f"{self.name}: {sizes} steps{self._of_step}{of_series}; {ahead} of {targets}"]
        if self.fit.difference:
            found.append("predicted are changes since the last row, in units of their standard deviation")
        return [*found, *self._gaps(), *self.notes(), *self._marked_lags(), *self._guess()]

    def _marked_lags(self) -> list[str]:
        """A line with the lags at which the partial autocorrelation of the first target is clear."""
        number = max(range(len(self.series)), key=lambda each: len(self.series[each]))
        name = self.columns.target[0]
        values = last_known(self.series[number].numbers[name][: self._borders[number][0]])
        values = np.diff(values) if self.fit.difference else values
        if len(values) < LEAST_ROWS:
            return []
        partial = np.abs(partial_autocorrelations(values, min(MOST_LAGS, len(values) // 3)))
        clear = np.flatnonzero(partial > ONE_PERCENT / math.sqrt(len(values)))
        if not len(clear):
            return ["partial autocorrelation: at no lag beyond chance"]
        strongest = sorted(clear[np.argsort(-partial[clear])][:SHOWN_LAGS] + 1)
        shown = " ".join(map(str, strongest))
        more = "" if len(clear) <= SHOWN_LAGS else f", the strongest of {len(clear)} up to {clear[-1] + 1}"
        return [f"partial autocorrelation of {name} beyond chance at the lags {shown}{more}"]

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; `fit` is None unless it was given."""
        return {
            "data": self.data,
            "target": list(self.columns.target),
            "known": list(self.columns.known),
            "horizon": self.horizon,
            "quantiles": None if self.quantiles is None else list(self.quantiles),
            "difference": self.difference,
            **self._options_of_table(),
        }


def _target(target: Any, opened: Opened, data: Any, options: TableOptions) -> tuple[str, ...]:
    if target is not None and target != ():
        return column_names("target", target)
    if data is None:
        return DEFAULT_TARGET
    found = [name for name in numeric_columns(opened.frame) if name not in (options.time, options.series_id)]
    if len(found) != 1:
        choices = ", ".join(found[:12]) or "none that holds numbers"
        raise OptionError("target", f"must name a column of {opened.origin}, which has {choices}")
    return tuple(found)
