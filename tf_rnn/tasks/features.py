"""From the columns of a table to the inputs and targets of a network: scaling, gaps, words, calendar."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, shown
from tf_rnn.tasks.tables import listed
from tf_rnn.tasks.times import DAY, times_after
from tf_rnn.tasks.values import NO_CLASS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.tables import Columns, Measured

# The cycles of the calendar: the part of each that has passed at a time.
WEEK = np.timedelta64(7, "D")
MONDAY = np.datetime64("1970-01-05", "ns")


def _part_of_year(times: NDArray[Any]) -> NDArray[np.float64]:
    years = times.astype("datetime64[Y]")
    starts, ends = years.astype("datetime64[ns]"), (years + np.timedelta64(1, "Y")).astype("datetime64[ns]")
    return np.asarray((times - starts) / (ends - starts))


# A standard deviation that is smaller, relative to the mean, is rounding.
SMALLEST_SPREAD = 1e-15
# By the words of the option `calendar`.
CYCLES = {
    "hour": lambda times: ((times - MONDAY) / DAY) % 1,
    "weekday": lambda times: ((times - MONDAY) / WEEK) % 1,
    "month": _part_of_year,
}


@dataclasses.dataclass(frozen=True)
class Fit:
    """What the training part of a table says about its columns, for use on all parts and on other tables.

    Attributes:
        scales: Mean and standard deviation of the numbers by series and column; under "" what is the same
            for all series, which also serves those that the training part lacks.
        gappy: The columns with missing values, each with an input that says where.
        categories: The words of a column in the training part, each an input of 0 or 1; of the column of
            labels those of all rows, each a class.
        difference: Whether targets are changes since the last row: the scale of a target has no mean then,
            and the standard deviation is that of the changes from row to row.
        step: The usual time between two rows in words, "1 hour"; "" where there is none.
    """

    scales: dict[str, dict[str, tuple[float, float]]]
    gappy: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    difference: bool = False
    step: str = ""

    @classmethod
    def of(
        cls,
        series: Sequence[Measured],
        columns: Columns,
        borders: Sequence[int],
        *,
        difference: bool = False,
        whole: bool = False,
    ) -> Fit:
        """Fits the training part of a table.

        Args:
            series: The series.
            columns: Which columns are what.
            borders: The number of training rows of each series.
            difference: Whether targets are changes.
            whole: Whether splits are made of whole series, so that one scale serves all of them.

        Raises:
            OptionError: For `target`, if one is constant in the training part; for `data`, if a column has no
                values there.
        """
        parts = list(zip(series, borders, strict=True))
        observed = [name for name in columns.inputs if name in series[0].numbers]
        measured = [*columns.target, *observed]
        ahead = [name for name in (*columns.known, *columns.static) if name in series[0].numbers]
        shared = {
            name: _scale(name, [each.numbers[name][:border] for each, border in parts])
            for name in (*measured, *ahead)
        }
        scales = {
            each.name: {
                name: _scale(name, [each.numbers[name][:border]])
                for name in measured
                if not whole and _varies(each.numbers[name][:border])
            }
            for each, border in parts
        }
        for name in columns.target:
            _refuse_constant(name, shared[name])
            if difference:
                changes = {each.name: np.diff(each.numbers[name][:border]) for each, border in parts}
                shared[name] = 0.0, _scale(name, list(changes.values()))[1]
                for own, scale in scales.items():
                    if name in scale:
                        scale[name] = 0.0, _scale(name, [changes[own]])[1]
        scales[""] = shared
        gappy = [
            name
            for name in measured
            if any(np.isnan(each.numbers[name][:border]).any() for each, border in parts)
        ]
        categories = {
            name: _categories(
                name,
                [each.words[name][: None if name == columns.label else border] for each, border in parts],
            )
            for name in series[0].words
        }
        return cls(scales, tuple(gappy), categories, difference)

    def as_json(self) -> dict[str, Any]:
        """The fit, ready for JSON."""
        return {
            "scales": {
                series: {name: list(pair) for name, pair in of.items()} for series, of in self.scales.items()
            },
            "gappy": list(self.gappy),
            "categories": {name: list(words) for name, words in self.categories.items()},
            "difference": self.difference,
            "step": self.step,
        }

    @classmethod
    def from_json(cls, value: Any) -> Fit:
        """The fit that `as_json` describes.

        Raises:
            OptionError: For `fit`, if it does not.
        """
        try:
            scales = {
                str(series): {str(name): (float(mean), float(spread)) for name, (mean, spread) in of.items()}
                for series, of in value["scales"].items()
            }
            categories = {str(name): tuple(map(str, words)) for name, words in value["categories"].items()}
            gappy, step = tuple(map(str, value["gappy"])), str(value.get("step", ""))
            return cls(scales, gappy, categories, bool(value["difference"]), step)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OptionError("fit", f"must be what a run has kept, got {shown(value)}") from error

    def scale(self, series: Measured, column: str) -> tuple[float, float]:
        """Mean and standard deviation of a column in a series; for one that is new, that of all series."""
        return (self.scales[""] | self.scales.get(series.name, {}))[column]

    def levels(self, series: Measured, target: str) -> NDArray[np.float64]:
        """What the targets of each row are measured from, [length]: the mean, or the row's own value."""
        if self.difference:
            return last_known(series.numbers[target])
        return np.full(len(series), self.scale(series, target)[0])

    def spread(self, series: Measured, target: str) -> float:
        """The unit of a scaled target."""
        return self.scale(series, target)[1] or 1.0


def _categories(name: str, parts: Sequence[NDArray[np.object_]]) -> tuple[str, ...]:
    """The words of a column in their order."""
    found = {word for part in parts for word in part if word is not None}
    if not found:
        raise _no_values(name)
    return _in_order(found)


def _in_order(words: set[str]) -> tuple[str, ...]:
    """Words in the order of the alphabet; whole numbers in that of their size."""
    try:
        return tuple(sorted(words, key=lambda word: (int(word), word)))
    except ValueError:
        return tuple(sorted(words))


def _scale(name: str, parts: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Mean and standard deviation of what is known; the latter is 0 for a constant."""
    values = np.concatenate(parts)
    known = values[~np.isnan(values)]
    if not len(known):
        raise _no_values(name)
    mean, spread = float(known.mean()), float(known.std())
    return mean, spread if spread > SMALLEST_SPREAD * abs(mean) else 0.0


def _no_values(name: str) -> OptionError:
    return OptionError("data", f"must have values of {name!r} in the training part, got none")


def _refuse_constant(name: str, scale: tuple[float, float]) -> None:
    if not scale[1]:
        raise OptionError(
            "target", f"must vary in the training part, but {name!r} is always {scale[0]:g} there"
        )


def _varies(values: NDArray[np.float64]) -> bool:
    """Whether changes from row to row are known, and differ from 0."""
    changes = np.diff(values)
    return bool((np.abs(changes[~np.isnan(changes)]) > 0).any())


def scaled(values: NDArray[np.float64], scale: tuple[float, float]) -> NDArray[np.float64]:
    """(values - mean) / standard deviation; values - mean where that is 0."""
    mean, spread = scale
    return (values - mean) / (spread or 1.0)


def carried_forward(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values with each missing one replaced by the last before it; by 0, the mean, where there is none."""
    places = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(places)
    return np.asarray(np.where(last < 0, 0.0, values[np.maximum(last, 0)]))


def last_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values with each missing one replaced by the last before it; by the first where there is none."""
    first = values[np.argmax(~np.isnan(values))]
    return np.asarray(carried_forward(values - first) + first)


def last_value_is_better(values: NDArray[np.float64], horizon: int) -> bool:
    """Whether the last value is a better forecast than the mean, over all steps ahead up to a horizon."""
    if not _varies(values):
        return False
    level, errors = last_known(values), list[float]()
    for ahead in range(1, min(horizon, len(values) - 1) + 1):
        errors.append(float(np.nanmean((values[ahead:] - level[:-ahead]) ** 2)))
    return bool(np.mean(errors) < np.nanvar(values))


def input_columns(
    series: Measured, columns: Columns, fit: Fit, horizon: int, calendar: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """The inputs of every row by name: what is known at row t when the rows after it are to be predicted.

        target, inputs      scaled values at t, carried forward where missing; 1 where they are missing;
                            of a target the change since t - 1, where targets are changes
        known               values at t + 1 ... t + horizon, scaled
        calendar            sine and cosine of the hour, weekday or month at t + 1; at t where horizon is 0
        static              scaled, or 0 and 1 for words

    At the end of the series, the last known values are repeated.

    Raises:
        OptionError: For `calendar`, if times are not dates.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for name in columns.target:
        found |= _changes(series, name, fit) if fit.difference else _observed(series, name, fit)
    for name in columns.inputs:
        found |= _observed(series, name, fit)
    for name in fit.gappy:
        found[f"{name} missing"] = np.isnan(series.numbers[name]).astype(float)
    for name in columns.known:
        found |= _known(series, name, fit, horizon)
    found |= calendar_columns(series, calendar, ahead=min(horizon, 1))
    for name in columns.static:
        found |= _observed(series, name, fit)
    return found


def _observed(series: Measured, name: str, fit: Fit) -> dict[str, NDArray[np.float64]]:
    if name in series.words:
        return _indicators(name, series.words[name], fit)
    return {name: carried_forward(scaled(series.numbers[name], fit.scale(series, name)))}


def _changes(series: Measured, name: str, fit: Fit) -> dict[str, NDArray[np.float64]]:
    """The changes of a target since the row before; 0 in the first row."""
    changes = np.diff(last_known(series.numbers[name]), prepend=np.nan)
    changes[0] = 0.0
    return {name: np.asarray(changes / fit.spread(series, name))}


def _indicators(name: str, words: NDArray[np.object_], fit: Fit) -> dict[str, NDArray[np.float64]]:
    """1 where a row has a word, for each word; a row without any has 0 for all of them."""
    return {f"{name}={word}": (words == word).astype(float) for word in fit.categories[name]}


def _known(series: Measured, name: str, fit: Fit, horizon: int) -> dict[str, NDArray[np.float64]]:
    if name in series.words:
        now = _indicators(name, series.words[name], fit)
    else:
        now = {name: carried_forward(scaled(series.numbers[name], fit.scale(series, name)))}
    rows = np.arange(len(series))
    return {
        f"{column} +{ahead}": values[np.minimum(rows + ahead, len(series) - 1)]
        for column, values in now.items()
        for ahead in range(1, horizon + 1)
    }


def calendar_columns(series: Measured, calendar: Sequence[str], ahead: int) -> dict[str, NDArray[np.float64]]:
    """Sine and cosine of the parts of cycles that have passed at each row, or the next, by local time.

    Args:
        series: What was measured.
        calendar: Names of cycles.
        ahead: 0 for the time of the row itself, 1 for that of the next one.

    Raises:
        OptionError: For `calendar`, if times are not dates.
    """
    if not calendar:
        return {}
    times = series.times
    if times is None or times.dtype.kind != "M":
        raise OptionError("calendar", "must be left out unless time is a column of dates")
    at = series.clock.local(np.concatenate([times[1:], times_after(times, 1)]) if ahead else times)
    found: dict[str, NDArray[np.float64]] = {}
    for name in calendar:
        angles = 2 * np.pi * CYCLES[name](at)
        found |= {f"{name} sine": np.sin(angles), f"{name} cosine": np.cos(angles)}
    return found


def class_targets(words: NDArray[np.object_], labels: Sequence[str]) -> NDArray[np.int32]:
    """The classes of labels by their places among those that are known, int32 [length]; -1 for none.

    Raises:
        OptionError: For `label`, if one is not known.
    """
    places = {None: NO_CLASS} | {label: place for place, label in enumerate(labels)}
    for word in words:
        if word not in places:
            raise OptionError(
                "label", f"must be one of those that were trained on, {listed(labels)}; got {word!r}"
            )
    return np.array([places[word] for word in words], np.int32)


def target_columns(series: Measured, columns: Columns, fit: Fit, horizon: int) -> NDArray[np.float64]:
    """The scaled targets of every row, [length, targets * horizon]: for each target all steps ahead.

    Row t has the values at t + 1 ... t + horizon, less the level of row t, by the unit; nan where one is
    missing or lies after the end.
    """
    length = len(series)
    ahead = np.arange(length)[:, np.newaxis] + np.arange(1, horizon + 1)
    inside = ahead < length
    parts = []
    for name in columns.target:
        values = series.numbers[name][np.minimum(ahead, length - 1)]
        levels = fit.levels(series, name)[:, np.newaxis]
        parts.append(np.where(inside, (values - levels) / fit.spread(series, name), np.nan))
    return np.concatenate(parts, axis=1)
