"""The scaling of a table inside the exported graph: measured values in, predictions in their units out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.tasks.features import Fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# The inputs of the signature that takes and gives units, beside the state.
VALUES, PREVIOUS, WORDS, SERIES, TIME = "values", "previous", "words", "series", "time"
# A day in seconds; days from the year 0 to 1970, which began on a Thursday.
DAY, BEFORE_1970, SINCE_MONDAY = 86_400, 719_528, 3


class Entry(NamedTuple):
    """A value that is fed: that of a column, or the one `ahead` rows later."""

    column: str
    ahead: int = 0

    @property
    def title(self) -> str:
        """What an input is called that is made of it."""
        return self.of(self.column)

    def of(self, name: str) -> str:
        """What an input of another name is called that is read as far ahead."""
        return f"{name} +{self.ahead}" if self.ahead else name


class Units(NamedTuple):
    """How the columns of a table become inputs, and predictions are scaled back.

    Attributes:
        inputs: What the network reads, by the names of the run.
        values: The numbers that are fed, the targets first.
        words: The words that are fed.
        calendar: What of a date is read.
        targets: The columns that are predicted; none where labels are.
        labels: The labels, in the order of their classes; none where there are targets.
        horizon: Steps ahead that are predicted of each target; 0 of labels.
        quantiles: Those of each step; None for the mean.
        fit: Scales and words.
    """

    inputs: tuple[str, ...]
    values: tuple[Entry, ...]
    words: tuple[Entry, ...]
    calendar: tuple[str, ...]
    targets: tuple[str, ...]
    labels: tuple[str, ...]
    horizon: int
    quantiles: tuple[float, ...] | None
    fit: Fit

    @property
    def series(self) -> tuple[str, ...]:
        """The series that have scales of their own."""
        return tuple(name for name, own in self.fit.scales.items() if name and own)

    def placeholders(self) -> dict[str, Any]:
        """What is fed of each row, by name; see `write_saved_model`."""
        numbers, words = len(self.values), len(self.words)
        found: dict[str, tuple[str, list[int]]] = {}
        if numbers:
            found = {VALUES: ("float64", [numbers]), PREVIOUS: ("float64", [numbers])}
        if words:
            found[WORDS] = "string", [words]
        if self.series:
            found[SERIES] = "string", []
        if self.calendar:
            found[TIME] = "float64", []
        return {name: tf.placeholder(dtype, [None, *shape], name) for name, (dtype, shape) in found.items()}

    def known(self, given: dict[str, Any]) -> dict[str, Any]:
        """The last known values, which are `previous` of the next row; none where there are no numbers."""
        if not self.values:
            return {}
        return {PREVIOUS: tf.where(tf.math.is_nan(given[VALUES]), given[PREVIOUS], given[VALUES])}

    def scaled(self, given: dict[str, Any], dtype: str) -> Any:
        """What the network reads, [batch_size, inputs]."""
        found: list[Any] = []
        names: list[str] = []
        if self.values:
            found += [self._numbers(given), tf.cast(tf.math.is_nan(given[VALUES]), "float64")]
            names += [entry.title for entry in self.values]
            names += [f"{entry.title} missing" for entry in self.values]
        for place, entry in enumerate(self.words):
            categories = self.fit.categories[entry.column]
            is_word = tf.equal(given[WORDS][:, place : place + 1], tf.constant([categories]))
            found.append(tf.cast(is_word, "float64"))
            names += [entry.of(f"{entry.column}={word}") for word in categories]
        for name in self.calendar:
            angle = 2 * np.pi * CYCLES[name](given[TIME][:, tf.newaxis] / DAY)
            found += [tf.sin(angle), tf.cos(angle)]
            names += [f"{name} sine", f"{name} cosine"]
        places = [names.index(name) for name in self.inputs]
        return tf.cast(tf.gather(tf.concat(found, axis=1), places, axis=1), dtype)

    def in_units(self, prediction: Any, given: dict[str, Any]) -> Any:
        """Predictions times spread plus level, the mean or the last known value; quantiles in their order."""
        if not self.targets:
            return prediction
        count, copies = len(self.targets), 1 if self.quantiles is None else len(self.quantiles)
        levels, spreads = (part[:, :count, tf.newaxis, tf.newaxis] for part in self._scales(given))
        if self.fit.difference:
            levels = self.known(given)[PREVIOUS][:, :count, tf.newaxis, tf.newaxis]
        values = tf.reshape(tf.cast(prediction, "float64"), [-1, count, self.horizon, copies])
        values = values * spreads + levels
        if self.quantiles is not None:
            values = tf.gather(tf.sort(values), np.argsort(np.argsort(self.quantiles)), axis=3)
        return tf.reshape(values, [-1, count * self.horizon * copies])

    def _numbers(self, given: dict[str, Any]) -> Any:
        """(value - level) / spread of the last known values; 0 where there is none yet.

        The level is the mean, or the value before of a target that is read as changes.
        """
        levels, spreads = self._scales(given)
        if self.fit.difference:
            count = len(self.targets)
            levels = tf.concat([given[PREVIOUS][:, :count], levels[:, count:]], axis=1)
        numbers = (self.known(given)[PREVIOUS] - levels) / spreads
        return tf.where(tf.math.is_nan(numbers), tf.zeros_like(numbers), numbers)

    def _scales(self, given: dict[str, Any]) -> tuple[Any, Any]:
        """Mean and spread of each value, [batch_size, values], in the series that each row is of."""
        is_it = tf.equal(given[SERIES][:, tf.newaxis], tf.constant([self.series])) if self.series else None
        if is_it is None:
            which = tf.zeros(tf.shape(given[VALUES])[:1], tf.int32)
        else:
            is_none = tf.logical_not(tf.reduce_any(is_it, axis=1, keepdims=True))
            which = tf.argmax(tf.cast(tf.concat([is_it, is_none], axis=1), tf.int32), axis=1)
        means, spreads = (tf.gather(tf.constant(part), which) for part in self.table())
        return means, spreads

    def table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and spread of each value, [series + 1, values]: in each series, then in all others."""
        shared = self.fit.scales[""]
        own = [shared | self.fit.scales[name] for name in self.series]
        rows = [[scales[entry.column] for entry in self.values] for scales in (*own, shared)]
        pairs = np.reshape(np.array(rows, np.float64), (len(rows), -1, 2))
        return pairs[..., 0], np.where(pairs[..., 1] == 0, 1.0, pairs[..., 1])


def _part_of_year(days: Any) -> Any:
    """The part of its year that has passed at a time, in days since 1970."""
    days += BEFORE_1970
    year = tf.floor(days / 365.2425)  # or the one before, or after
    year += tf.cast(days >= _start_of(year + 1), "float64") - tf.cast(days < _start_of(year), "float64")
    return (days - _start_of(year)) / (_start_of(year + 1) - _start_of(year))


def _start_of(year: Any) -> Any:
    """The days before a year, from the year 0 on: 365 in each, and one more in each leap year."""
    leap_years = tf.floor((year + 3) / 4) - tf.floor((year + 99) / 100) + tf.floor((year + 399) / 400)
    return 365 * year + leap_years


# The part of a cycle that has passed at a time in days since 1970, by the words of the option `calendar`.
CYCLES: dict[str, Callable[[Any], Any]] = {
    "hour": lambda days: tf.math.floormod(days, 1.0),
    "weekday": lambda days: tf.math.floormod((days + SINCE_MONDAY) / 7, 1.0),
    "month": _part_of_year,
}


def units_of(task: dict[str, Any]) -> Units | None:
    """The units of a run on a table; None for any other task.

    Args:
        task: The task in the run's configuration.
    """
    if "fit" not in task:
        return None
    fit, options = Fit.from_json(task["fit"]), task["options"]
    targets, horizon = tuple(options.get("target", ())), options.get("horizon", 0)
    read = [Entry(name) for name in (*targets, *options["inputs"], *options["static"])]
    read += [Entry(name, step) for name in options.get("known", ()) for step in range(1, horizon + 1)]
    return Units(
        tuple(task["input_names"]),
        tuple(entry for entry in read if entry.column not in fit.categories),
        tuple(entry for entry in read if entry.column in fit.categories),
        tuple(options["calendar"]),
        targets,
        fit.categories.get(options.get("label", ""), ()),
        horizon,
        options.get("quantiles"),
        fit,
    )
