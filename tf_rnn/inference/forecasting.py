"""Forecasts by a trained network, in the units of the table."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.files import new_table, write_figure, write_text
from tf_rnn.inference.forecast_page import forecast_page
from tf_rnn.inference.outputs import outputs
from tf_rnn.options import OptionError, require_whole
from tf_rnn.reporting import Table
from tf_rnn.reporting.style import COLOURS, literal, make_figure
from tf_rnn.tasks import Series
from tf_rnn.tasks.features import input_columns
from tf_rnn.tasks.times import times_after

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray

    from tf_rnn.inference.load import Model
    from tf_rnn.tasks.tables import Measured

# Rows of the past in a picture, for each step ahead; and at least.
DRAWN_PER_STEP, DRAWN_AT_LEAST = 4, 48
# Series that are drawn at most.
MOST_DRAWN = 6
# Beside the table its picture and the page.
BESIDE = (".png", ".html")
# Forecasts of fewer steps have a dot for each.
FEW = 30


@dataclasses.dataclass(frozen=True)
class SeriesForecast:
    """The forecast of one series.

    Attributes:
        series: What was measured.
        origin: The last row that the forecast knows.
        times: When the predicted rows are: times, or numbers of rows.
        values: The predictions by target, [horizon, quantiles], in the target's unit; one column, the mean,
            where no quantiles are predicted.
        truths: The values that were measured, likewise; nan where they are not known.
    """

    series: Measured
    origin: int
    times: NDArray[Any]
    values: dict[str, NDArray[np.float64]]
    truths: dict[str, NDArray[np.float64]]


@dataclasses.dataclass(frozen=True)
class Forecast:
    """The forecasts of all series of a table.

    Attributes:
        forecasts: One for each series.
        quantiles: Those that are predicted; None where it is the mean.
        time: The name of the column of times.
        series_id: The name of the column of series; None for a single one.
        notes: Lines about words and series that the network was not trained on.
    """

    forecasts: list[SeriesForecast]
    quantiles: tuple[float, ...] | None
    time: str
    series_id: str | None
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each row: series, time, steps ahead, each target and, where known, the truth."""
        found = []
        for one in self.forecasts:
            for step, time in enumerate(one.times):
                record: dict[str, Any] = {} if self.series_id is None else {self.series_id: one.series.name}
                record |= {self.time: one.series.clock.shown(time), "step": step + 1}
                for name, values in one.values.items():
                    titles = [name] if self.quantiles is None else [f"{name} {q:g}" for q in self.quantiles]
                    record |= dict(zip(titles, map(float, values[step]), strict=True))
                    if not np.isnan(one.truths[name]).all():
                        truth = float(one.truths[name][step])
                        record[f"{name} measured"] = None if np.isnan(truth) else truth
                found.append(record)
        return found

    def table(self) -> Table:
        """The records as a table."""
        names = list(dict.fromkeys(name for record in self.records for name in record))
        return Table.of_records("Forecast", self.records, names)

    def figure(self) -> Any:
        """The past, the forecast and, where known, the truth: a `matplotlib.figure.Figure`."""
        targets = list(self.forecasts[0].values)
        drawn = self.forecasts[: max(1, MOST_DRAWN // len(targets))]
        left_out = len(self.forecasts) - len(drawn)
        title = "Forecast" + (f" ({left_out} more series are not drawn)" if left_out else "")
        panels = [(one, name) for one in drawn for name in targets]
        figure, grid = make_figure(title, (8, 1.5 + 2.5 * len(panels)), rows=len(panels))
        for axes, (one, name) in zip(np.ravel(grid), panels, strict=True):
            _draw(axes, one, name, self.quantiles)
        np.ravel(grid)[0].legend(frameon=False, fontsize=8)
        np.ravel(grid)[-1].set_xlabel(literal(self.time))
        return figure

    def write(self, out: str | os.PathLike[str]) -> list[Path]:
        """Writes the table as CSV, and beside it the picture and a page in HTML that has both.

        Args:
            out: The path of a new CSV file.

        Returns:
            The files.

        Raises:
            OptionError: For `out`, if there is such a file, or it cannot be written.
        """
        with new_table(out, *BESIDE) as (path, picture, page):
            write_text(path, self.table().csv())
            write_figure(picture, self.figure())
            write_text(page, forecast_page(self, picture.name).html())
        return [path, picture, page]


def forecast(
    model: Model,
    horizon: int | None = None,
    data: Any = None,
    *,
    encoding: str | None = None,
    hold_back: int = 0,
) -> Forecast:
    """Predicts what follows a table.

    The network reads every series from its first row to the last one with a target. It predicts as many steps
    at once as it was trained for. Beyond these, its predictions are fed back as if they had been measured.

    Args:
        model: A network trained on series.
        horizon: Steps ahead; None for as many as the network was trained to predict.
        data: Other measurements with the same columns: a path or a data frame; None for those of the run.
        encoding: That of other data; None for UTF-8.
        hold_back: The number of last rows with a target that the forecast may not know, to be compared with
            it.

    Raises:
        OptionError: If a value is not allowed, the network is of another task, or the table lacks what is
            known ahead.
    """
    task = model.evaluator.table(Series, data, encoding)
    horizon = task.horizon if horizon is None else require_whole("horizon", horizon)
    hold_back = require_whole("hold_back", hold_back, at_least=0)
    if horizon > task.horizon and task.quantiles is not None:
        raise OptionError(
            "horizon",
            f"must be at most {task.horizon}, as trained, where quantiles are predicted: fed back, they "
            f"would be too narrow; got {horizon}",
        )
    if horizon > task.horizon and task.columns.inputs:
        inputs = ", ".join(task.columns.inputs)
        raise OptionError(
            "horizon",
            f"must be at most {task.horizon}, as trained, since its inputs ({inputs}) are not known ahead, "
            f"got {horizon}",
        )
    if task.columns.time is not None and max(map(len, task.series)) < 2:
        raise OptionError("data", "must have at least 2 rows, which say how far apart times are; there is 1")
    found = [_forecast(model, task, one, horizon, hold_back) for one in task.series]
    columns = task.columns
    return Forecast(found, task.quantiles, columns.time or "row", columns.series_id, task.notes())


def _forecast(model: Model, task: Series, one: Measured, horizon: int, hold_back: int) -> SeriesForecast:
    measured = np.flatnonzero(~np.all([np.isnan(one.numbers[name]) for name in task.columns.target], axis=0))
    if len(measured) <= hold_back:
        named = f" of the series {one.name!r}" if one.name else ""
        raise OptionError("hold_back", f"must be below {len(measured)}, the rows{named}, got {hold_back}")
    origin = int(measured[-1]) - hold_back
    _require_known(task, one, origin, horizon)
    truths = {name: _padded(one.numbers[name][origin + 1 :], horizon) for name in task.columns.target}
    ahead = _without_future(task, one, origin, horizon)
    state, done, rows = None, 0, range(origin + 1)
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in task.columns.target}
    while done < horizon:
        inputs = input_columns(ahead, task.columns, task.fit, task.horizon, task.calendar)
        stacked = np.stack([column[rows.start : rows.stop] for column in inputs.values()], axis=1)
        predicted, state = outputs(model, stacked.astype(np.float32), state)
        steps = min(task.horizon, horizon - done)
        first = origin + 1 + done
        for number, name in enumerate(task.columns.target):
            level, spread = task.fit.levels(ahead, name)[first - 1], task.fit.spread(one, name)
            found = level + task.by_quantile(predicted[-1:])[0, number, :steps] * spread
            ahead.numbers[name][first : first + steps] = found[:, task.middle]
            values[name].append(found)
        rows = range(rows.stop, rows.stop + steps)
        done += steps
    joined = {name: np.concatenate(blocks) for name, blocks in values.items()}
    times = np.arange(len(ahead)) if ahead.times is None else ahead.times
    return SeriesForecast(one, origin, times[origin + 1 : origin + 1 + horizon], joined, truths)


def _require_known(task: Series, one: Measured, origin: int, horizon: int) -> None:
    """Raises OptionError unless a table has what is known ahead for all steps of a forecast."""
    ahead = slice(origin + 1, origin + 1 + horizon)
    given = [~_is_missing(one, name)[ahead] for name in task.columns.known]
    there = int(np.logical_and.reduce(given).cumprod().sum()) if given else horizon
    if there < horizon:
        named = f" for the series {one.name!r}" if one.name else ""
        raise OptionError(
            "data",
            f"must have {horizon} rows with {', '.join(task.columns.known)}{named} after the last known "
            f"target, which may be empty there; it has {there} without a gap",
        )


def _is_missing(one: Measured, name: str) -> NDArray[np.bool_]:
    """Which values of a column are missing."""
    if name in one.words:
        return np.array([word is None for word in one.words[name]])
    return np.isnan(one.numbers[name])


def _without_future(task: Series, one: Measured, origin: int, horizon: int) -> Measured:
    """A copy of a series for a forecast: nothing measured after the origin, rows for all steps ahead."""
    length = max(len(one), origin + 1 + horizon)
    known = {*task.columns.known, *task.columns.static}

    def part(name: str, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        longer = np.concatenate([values, np.full(length - len(one), missing, values.dtype)])
        if name not in known:
            longer[origin + 1 :] = missing
        return longer

    times = one.times
    if times is not None and length > len(one):
        longest = max(task.series, key=len).times
        times = np.concatenate([times, times_after(times, length - len(one), longest)])
    return dataclasses.replace(
        one,
        times=times,
        numbers={name: part(name, values, np.nan) for name, values in one.numbers.items()},
        words={name: part(name, values, None) for name, values in one.words.items()},
    )


def _padded(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The first values, nan where there are too few."""
    return np.concatenate([values[:length], np.full(max(0, length - len(values)), np.nan)])


def _draw(axes: Any, one: SeriesForecast, name: str, quantiles: tuple[float, ...] | None) -> None:
    """The end of the past, the forecast, and the truth where it is known."""
    horizon = len(one.times)
    first = max(0, one.origin + 1 - max(DRAWN_AT_LEAST, DRAWN_PER_STEP * horizon))
    times = np.arange(len(one.series)) if one.series.times is None else one.series.times
    times, ahead = (one.series.clock.local(each) for each in (times, one.times))
    past = one.series.numbers[name][first : one.origin + 1]
    dot = {"marker": "."} if horizon < FEW else {}
    look = {"color": "0.35", "linewidth": 1.2, "label": "measured"}
    axes.plot(times[first : one.origin + 1], past, **look, **({"marker": "."} if len(past) == 1 else {}))
    if not np.isnan(one.truths[name]).all():
        axes.plot(
            ahead, one.truths[name], color="0.35", linestyle=":", linewidth=1.6, label="what came", **dot
        )
    found, middle = one.values[name], 0
    if quantiles is not None:
        order = np.argsort(quantiles)
        lowest, middle, highest = order[0], int(np.argmin(np.abs(np.array(quantiles) - 0.5))), order[-1]
        label = f"quantiles {quantiles[lowest]:g} to {quantiles[highest]:g}"
        band = {"color": COLOURS[0], "alpha": 0.2, "linewidth": 0, "label": label}
        axes.fill_between(ahead, found[:, lowest], found[:, highest], **band)
        if horizon == 1:
            axes.vlines(ahead, found[:, lowest], found[:, highest], color=COLOURS[0], alpha=0.4, linewidth=4)
    label = "forecast" if quantiles is None else f"quantile {quantiles[middle]:g}"
    axes.plot(ahead, found[:, middle], color=COLOURS[0], label=label, **dot)
    axes.set_ylabel(literal(f"{name}, {one.series.name}" if one.series.name else name))
    axes.tick_params(axis="x", labelrotation=20)
