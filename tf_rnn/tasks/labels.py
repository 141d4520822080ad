"""Labels: a class of every row of a table, or one of every series, to be named from what was measured."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, require_choice, shown
from tf_rnn.options.words import LABEL_AT
from tf_rnn.tasks.features import Fit, class_targets
from tf_rnn.tasks.logistic import LogisticPredictor
from tf_rnn.tasks.table_options import column_names
from tf_rnn.tasks.tables import listed, numeric_columns
from tf_rnn.tasks.tabular import Tabular
from tf_rnn.tasks.values import NO_CLASS, frequency_loss, has_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tf_rnn.tasks.tables import Measured, Opened
    from tf_rnn.tasks.tabular import Part

# Of the measurements at Kennedy Airport: how many flights depart in an hour, as a class.
DEFAULT_LABEL = "departures"
# Labels that a line names before it says how many more there are.
MOST_SHOWN = 5


class Labels(Tabular):
    """The rows of a table, in order of time; the target of each is its class, or that of its series.

        time      speed  activity       inputs at t   target at t    with label_at="end"
        00:00       1.2  walk           speed_t       walk           none
        00:01       2.9  run                          run            none
        00:02       3.1  run                          run            run

    With a label for every row, series are cut in time into the splits "train", "valid" and "test", and scaled
    with mean and standard deviation of their training part. With labels at the end, splits are made of whole
    series in the order of their first rows, and all are scaled with mean and standard deviation over the
    series that are trained on. Rows without a label have no loss. Missing inputs and missing rows are treated
    as in `Series`.

        task = tf_rnn.tasks.Labels("walks.csv", label="activity", inputs=["speed"], time="time")
        task = tf_rnn.tasks.Labels(frame, label="word", inputs=["x", "y"], series_id="who", label_at="end")

    Args:
        data: A table, as of `Series`.
        label: The column of classes: words or whole numbers. All that occur are classes, in held-out parts,
            too.
        label_at: "every" for a target in every row; "end" for one in the last row of each series alone.
        **table: The options of all tables, such as `time` and `series_id`; see `TableOptions`. There must be
            `inputs`; with labels at the end, fractions are those of all series; where there is a `fit`,
            the table need not have labels.

    Attributes:
        label: The column of classes.
        labels: The labels in the order of their class indices.
        columns, series, fit, input_names, sha256: See `Tabular`.

    Raises:
        OptionError: For the option that is not allowed, with the line of the table at fault.
    """

    name = "labels"
    of_frame = "labelled dataframe"
    linear = "logistic regression"
    unit = "nats"
    horizon = 0

    def __init__(
        self,
        data: Any = None,
        *,
        label: str | None = None,
        label_at: str = "every",
        **table: Any,
    ) -> None:
        self.label_at = require_choice("label_at", label_at, LABEL_AT)
        if self._of_series:
            self.token = "series"
            _require_several(table)
        opened = self._open(data, table)
        self.label = _label(label, opened, data)
        columns = self._columns(opened, data)
        inputs = _inputs(columns.inputs, self.label, opened, data)
        self._build(opened, dataclasses.replace(columns, inputs=inputs, label=self.label))
        self.num_classes = len(self.labels)
        self.defaults = self._suitable()

    @property
    def _of_series(self) -> bool:
        """Whether a label is that of a series."""
        return self.label_at == "end"

    def _find_borders(self) -> list[tuple[int, int, int]]:
        if not self._of_series:
            return super()._find_borders()
        count = len(self.series)
        valid, test = self._held_out(count)
        lengths = np.array([len(one) for one in self.series])
        numbers = np.arange(count)
        ends = (lengths * (numbers < count - valid - test), lengths * (numbers < count - test), lengths)
        return [(int(one), int(other), int(last)) for one, other, last in zip(*ends, strict=True)]

    def _fitted(self) -> Fit:
        borders = [border for border, *_ in self._borders]
        return Fit.of(self.series, self.columns, borders, whole=self._of_series)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their class indices."""
        return self.fit.categories.get(self.label, ())

    def _all_names(self) -> tuple[str, ...]:
        return (*self.input_names, *self.labels)

    def _targets_of(self, one: Measured) -> NDArray[np.int32]:
        if len(self.labels) < 2:
            problem = f"{self._origin} has only {', '.join(self.labels) or 'none'}"
            raise OptionError("label", f"must be a column of at least two different labels, {problem}")
        classes = class_targets(one.words[self.label], self.labels)
        if self._of_series:
            classes[:-1] = NO_CLASS
        return classes

    def _counted_targets(self, part: Part) -> NDArray[np.int32]:
        own = self._targets[part.series][part.first : part.stop].copy()
        own[: part.counted - part.first] = NO_CLASS
        return own

    def _no_targets(self, split: str) -> OptionError:
        if all(word is None for one in self.series for word in one.words[self.label]):
            return OptionError(
                "data", f"must have labels in a column {self.label!r}, {self._origin} has none"
            )
        return super()._no_targets(split)

    def _size(self) -> str:
        return f"{len(self.series)} series" if self._of_series else super()._size()

    def baselines(self) -> dict[str, float]:
        """Returns the loss on "valid" of a predictor that sees no inputs.

        "frequencies" predicts each label by its share of the training targets, one added to each count.
        """
        train, valid = self._known("train"), self._known("valid")
        return {"frequencies": frequency_loss(train, valid, self.num_classes)}

    def _reference(self, num_steps: int) -> float | None:
        """Of `LogisticPredictor`."""
        predictor = LogisticPredictor(self._read_at_all_lags, num_steps, self.num_classes)
        train, valid = self.stream("train"), self.stream("valid")
        if not predictor.fit(train.inputs, train.targets, self.series_starts("train")):
            return None
        rows = np.flatnonzero(has_target(valid.targets))
        logarithms = predictor(valid.inputs, self.series_starts("valid"), rows)
        return -float(logarithms[np.arange(len(rows)), valid.targets[rows]].mean())

    def most_frequent(self, split: str) -> tuple[str, float]:
        """Returns the label that occurs most often in a split, and its share of the labels there."""
        counts = np.bincount(self._known(split), minlength=self.num_classes)
        return self.labels[counts.argmax()], float(counts.max() / counts.sum())

    def _known(self, split: str) -> NDArray[np.int32]:
        targets = self.stream(split).targets
        return targets[has_target(targets)]

    def lines(self) -> list[str]:
        """Returns lines about what was read: how much, and how often each label occurs."""
        counts = {split: len(self._known(split)) for split in self.splits}
        sizes = " / ".join(f"{count:,} {split}" for split, count in counts.items())
        several = f" of {len(self.series)} series" if len(self.series) > 1 else ""
        what = "series" if self._of_series else f"rows{self._of_step}{several}"
        known = np.concatenate([targets[has_target(targets)] for targets in self._targets])
        shares = np.bincount(known, minlength=self.num_classes) / len(known)
        order = np.argsort(-shares, kind="stable")
        shown_labels = [f"{self.labels[place]} {shares[place]:.1%}" for place in order[:MOST_SHOWN]]
        more = [f"{len(order) - MOST_SHOWN} more"] if len(order) > MOST_SHOWN else []
        listed = ", ".join([*shown_labels, *more])
        found = [f"{self.name}: {sizes} {what}; {self.label}: {listed}"]
        return [*found, *self._gaps(), *self.notes(), *self._guess()]

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; `fit` is None unless it was given."""
        return {
            "data": self.data,
            "label": self.label,
            "label_at": self.label_at,
            **self._options_of_table(),
        }


def _require_several(table: dict[str, Any]) -> None:
    """Raises OptionError unless labels may be at the end of series."""
    if table.get("series_id") is None:
        raise OptionError("label_at", "must be every unless series_id is given, got 'end'")
    for option in ("valid_from", "test_from"):
        if table.get(option) is not None:
            got = shown(table[option])
            raise OptionError(
                option, f"must be left out where label_at is end, for splits of whole series, got {got}"
            )


def _label(label: Any, opened: Opened, data: Any) -> str:
    if label is None and data is None:
        return DEFAULT_LABEL
    if label is None:
        columns = [str(name) for name in opened.frame.columns]
        raise OptionError("label", f"must name a column of {opened.origin}, which has {listed(columns)}")
    return column_names("label", label)[0]


def _inputs(given: tuple[str, ...], label: str, opened: Opened, data: Any) -> tuple[str, ...]:
    if not given and data is None:
        return tuple(name for name in numeric_columns(opened.frame) if name != label)
    if not given:
        raise OptionError("inputs", f"must name the columns that {label} is to be named from, got none")
    return given
