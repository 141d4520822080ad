"""Labels: a class of every row of a table, or one of every series, to be named from what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.options import OptionError, require_choice, shown
from tf_rnn.options.words import LABEL_AT
from tf_rnn.tasks.corpus import UTF_8
from tf_rnn.tasks.features import Fit, class_targets
from tf_rnn.tasks.tables import Columns, listed, numeric_columns
from tf_rnn.tasks.tabular import (
    TEST_FRACTION,
    VALID_FRACTION,
    Tabular,
    column_name,
    column_names,
    column_of_times,
    step_words,
)
from tf_rnn.tasks.values import NO_CLASS, frequency_loss, has_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.base import Defaults
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
        label: The column of classes: words or whole numbers.
        inputs: The columns that are observed, numbers or words; at least one.
        static: Columns that are the same in all rows of a series.
        time: The column of dates or numbers that says when a row was measured. It must increase.
        series_id: The column that says which series a row belongs to, where there are several.
        label_at: "every" for a target in every row; "end" for one in the last row of each series alone.
        calendar: What of a row's date is an input: any of "hour", "weekday", "month".
        valid_fraction: The fraction of each series in "valid"; with labels at the end, of all series.
        test_fraction: The fraction in "test".
        valid_from: The first time of the split "valid", instead of the fractions.
        test_from: The first time of the split "test".
        encoding: The encoding of a CSV file.
        fit: Scales, words and labels of a model that was trained on other data, which these need not have;
            None to take them from these.
        defaults: Training settings; None for some that suit the size of the data.

    Attributes:
        label: The column of classes.
        labels: The labels in the order of their class indices.
        columns, series, fit, input_names, sha256: See `Tabular`.

    Raises:
        OptionError: For the option that is not allowed, with the line of the table at fault.
    """

    name = "labels"
    of_frame = "labelled dataframe"
    unit = "nats"
    horizon = 0

    def __init__(
        self,
        data: Any = None,
        *,
        label: str | None = None,
        inputs: str | Sequence[str] = (),
        static: str | Sequence[str] = (),
        time: str | None = None,
        series_id: str | None = None,
        label_at: str = "every",
        calendar: str | Sequence[str] = (),
        valid_fraction: float = VALID_FRACTION,
        test_fraction: float = TEST_FRACTION,
        valid_from: str | None = None,
        test_from: str | None = None,
        encoding: str = UTF_8,
        fit: Any = None,
        defaults: Defaults | None = None,
    ) -> None:
        self.label_at = require_choice("label_at", label_at, LABEL_AT)
        if self._of_series:
            self.token = "series"
            _require_several(series_id, {"valid_from": valid_from, "test_from": test_from})
        opened = self._open(
            data,
            calendar=calendar,
            valid_fraction=valid_fraction,
            test_fraction=test_fraction,
            valid_from=valid_from,
            test_from=test_from,
            encoding=encoding,
        )
        self.label = _label(label, opened, data)
        if fit is not None and self.label not in opened.frame.columns:
            opened = opened._replace(frame=opened.frame.assign(**{self.label: None}))
        columns = Columns(
            inputs=_inputs(inputs, self.label, opened, data),
            static=column_names("static", static),
            time=column_of_times(time, opened, data),
            series_id=column_name("series_id", series_id),
            label=self.label,
        )
        self._build(opened, columns, fit)
        self.num_classes = len(self.labels)
        self.defaults = self._suitable() if defaults is None else defaults

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

    def _size(self) -> str:
        return f"{len(self.series)} series" if self._of_series else super()._size()

    def baselines(self) -> dict[str, float]:
        """Returns the loss on "valid" of a predictor that sees no inputs.

        "frequencies" predicts each label by its share of the training targets, one added to each count.
        """
        train, valid = self._known("train"), self._known("valid")
        return {"frequencies": frequency_loss(train, valid, self.num_classes)}

    def contenders(self, widths: Sequence[int]) -> dict[str, float]:
        """Returns the baselines, whatever the widths."""
        return self.baselines()

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
        what = "series" if self._of_series else f"rows{step_words(self.series[0])}{several}"
        known = np.concatenate([targets[has_target(targets)] for targets in self._targets])
        shares = np.bincount(known, minlength=self.num_classes) / len(known)
        order = np.argsort(-shares, kind="stable")
        shown_labels = [f"{self.labels[place]} {shares[place]:.1%}" for place in order[:MOST_SHOWN]]
        more = [f"{len(order) - MOST_SHOWN} more"] if len(order) > MOST_SHOWN else []
        listed = ", ".join([*shown_labels, *more])
        return [f"{self.name}: {sizes} {what}; {self.label}: {listed}", *self._gaps()]

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; `fit` is None unless it was given."""
        return {
            "data": self.data,
            "label": self.label,
            "inputs": list(self.columns.inputs),
            "static": list(self.columns.static),
            "time": self.columns.time,
            "series_id": self.columns.series_id,
            "label_at": self.label_at,
            "calendar": list(self.calendar),
            **self._options_of_table(),
        }


def _require_several(series_id: Any, times: dict[str, Any]) -> None:
    """Raises OptionError unless labels may be at the end of series."""
    if series_id is None:
        raise OptionError("label_at", "must be every unless series_id is given, got 'end'")
    for option, time in times.items():
        if time is not None:
            problem = f"must be left out where label_at is end, for splits of whole series, got {shown(time)}"
            raise OptionError(option, problem)


def _label(label: Any, opened: Opened, data: Any) -> str:
    if label is None and data is None:
        return DEFAULT_LABEL
    if label is None:
        columns = [str(name) for name in opened.frame.columns]
        raise OptionError("label", f"must name a column of {opened.origin}, which has {listed(columns)}")
    return column_names("label", label)[0]


def _inputs(inputs: Any, label: str, opened: Opened, data: Any) -> tuple[str, ...]:
    found = column_names("inputs", inputs)
    if not found and data is None:
        return tuple(name for name in numeric_columns(opened.frame) if name != label)
    if not found:
        raise OptionError("inputs", f"must name the columns that {label} is to be named from, got none")
    return found
