"""What tasks that are made of a table have in common: its series, their inputs, and the splits."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from tf_rnn.options import OptionError, require_choice, require_whole, shown
from tf_rnn.tasks.base import EPOCHS, Defaults, Task
from tf_rnn.tasks.features import Fit, input_columns
from tf_rnn.tasks.stream import Stream, starts_of
from tf_rnn.tasks.table_options import VALID_FRACTION, TableOptions, column_names, full_signature
from tf_rnn.tasks.tables import Columns, Measured, cut_table, listed, open_table, single_columns
from tf_rnn.tasks.times import calendar_step, is_uneven, longest_gap, months_between, usual_step
from tf_rnn.tasks.values import has_target, is_marked
from tf_rnn.text import counted

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.tables import Opened

WHOLE = "all"
# Steps before a held-out part that are read first, so that the state has settled; they do not count.
LEAD = 200
# The column of times of the measurements at Kennedy Airport.
DEFAULT_TIME = "time"
WIDTHS = (1, 2, 5, 10, 25, 50, 100)
MOST_BATCH, SHORTEST_ROW = 20, 100
# In seconds.
UNITS_OF_TIME = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
MOST_TOKENS, MOST_EPOCHS = 1_000_000, 100


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


class Tabular(Task):
    """The rows of a table, in order of time, with inputs that are real values.

    Each series is cut in time into the splits "train", "valid" and "test". Held-out splits begin with up to
    200 rows of what came before, so that the state has settled; these do not count.

    The constructor of a subclass takes the options of all tables as `**table`. It calls `_open`, finds out
    which columns are what, and calls `_build`.

    Attributes:
        of_frame: The name of a task whose table is a data frame, which cannot be read again.
        linear: What a linear predictor for its targets is called.
        horizon: The steps ahead of the last target of a row; 0 where it is that of the row itself.
        columns: Which columns are what.
        series: The series, as they were measured.
        fit: Scales and words.
        input_names: What the inputs of a step are.
        sha256: The SHA-256 of inputs and targets, in hexadecimal.
    """

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
    token = "row"

    __signature__: ClassVar[inspect.Signature]
    of_frame: ClassVar[str]
    linear: ClassVar[str]
    horizon: int
    calendar: tuple[str, ...]
    columns: Columns
    series: list[Measured]
    fit: Fit

    def __init_subclass__(cls) -> None:
        cls.__signature__ = full_signature(cls.__init__)

    def _open(self, data: Any, table: dict[str, Any]) -> Opened:
        """Reads the table, once the options that need none have been checked."""
        self._options = TableOptions.of(type(self), table)
        self.calendar = column_names("calendar", self._options.calendar)
        opened = open_table(data, self._options.encoding)
        self.data = _as_text(data)
        if not (data is None or isinstance(data, str | os.PathLike)):
            self.name = self.of_frame
        self._stamps, self._origin = opened.stamps, opened.origin
        return opened

    def _columns(self, opened: Opened, data: Any) -> Columns:
        """The columns that the options of all tables name."""
        options = self._options
        return Columns(
            inputs=column_names("inputs", options.inputs),
            static=column_names("static", options.static),
            time=column_of_times(options.time, opened, data),
            series_id=options.series_id,
        )

    def _build(self, opened: Opened, columns: Columns) -> None:
        """Makes the inputs and targets of all rows, and finds out which of them belong to which split."""
        self.columns = columns
        given = None if self._options.fit is None else Fit.from_json(self._options.fit)
        words = None if given is None else tuple(given.categories)
        self.series = cut_table(opened.frame, columns, opened.origin, words)
        self._borders = self._find_borders()
        if given is None and self.horizon >= max(map(len, self.series)):  # it would be large, and for nothing
            raise self._no_targets("train")
        self.fit = given or dataclasses.replace(self._fitted(), step=self._step)
        of_series = [
            input_columns(one, self.columns, self.fit, self.horizon, self.calendar) for one in self.series
        ]
        self.input_names = tuple(of_series[0])
        self.input_size = len(self.input_names)
        self._inputs = [np.stack(list(one.values()), axis=1).astype(np.float32) for one in of_series]
        self._targets = [self._targets_of(one) for one in self.series]
        self.has_starts = len(self.series) > 1
        self._parts = {split: list(self._cut(split)) for split in (*self.splits, WHOLE)}
        if given is None:
            for split in self.splits:
                self.require_targets(split)
        held = (self._counted_targets(part) for split in self.splits for part in self._parts[split])
        self.loss_steps = "marked" if any(map(is_marked, held)) else "all"
        self._streams: dict[str, Stream] = {}
        self._references: dict[int, float | None] = {}
        self.sha256 = self._digest()

    @abstractmethod
    def _fitted(self) -> Fit:
        """Scales and words of the training part."""

    @abstractmethod
    def _targets_of(self, one: Measured) -> NDArray[Any]:
        """The targets of all rows of a series."""

    @abstractmethod
    def _counted_targets(self, part: Part) -> NDArray[Any]:
        """The targets of a part as a network gets them, none of the rows that do not count."""

    def _find_borders(self) -> list[tuple[int, int, int]]:
        """Where the parts of each series end."""
        begins = self._begins()
        return [self._borders_of(one, begins) for one in self.series]

    def _begins(self) -> NDArray[Any] | None:
        """The first times of the held-out parts; None where fractions say how long these are."""
        options = self._options
        given = {"valid_from": options.valid_from, "test_from": options.test_from}
        if not any(given.values()):
            return None
        for option, time in given.items():
            if time is None:
                other = next(name for name in given if name != option)
                raise OptionError(option, f"must be given with {other}, got None")
            if self.columns.time is None:
                raise OptionError(option, f"must be left out unless time is given, got {shown(time)}")
            fraction = option.replace("from", "fraction")
            if getattr(options, fraction) != VALID_FRACTION:
                raise OptionError(fraction, f"must be left out where {option} is given")
        one = self.series[0]
        times = [one.clock.read(option, time, one.times) for option, time in given.items()]
        if not times[0] < times[1]:
            raise OptionError(
                "test_from", f"must be later than valid_from, {options.valid_from}, got {options.test_from}"
            )
        return np.array(times)

    def _borders_of(self, one: Measured, begins: NDArray[Any] | None) -> tuple[int, int, int]:
        length = len(one)
        if begins is not None:
            valid, test = np.searchsorted(one.times, begins).tolist()  # type: ignore[arg-type]
            return valid, test, length
        held_out = self._held_out(length)
        return length - sum(held_out), length - held_out[1], length

    def _held_out(self, length: int) -> tuple[int, int]:
        """How much of a length is in the splits "valid" and "test"."""
        return round(length * self._options.valid_fraction), round(length * self._options.test_fraction)

    def _cut(self, split: str) -> Iterator[Part]:
        """The rows of a split: all targets of a row that counts lie in it."""
        for number, one in enumerate(self.series):
            borders = (0, *self._borders[number])
            place = self.splits.index(split) if split != WHOLE else 0
            begin, end = (0, len(one)) if split == WHOLE else borders[place : place + 2]
            counted = max(begin - min(self.horizon, 1), 0)
            stop = end - self.horizon
            if stop > counted:
                yield Part(number, max(0, counted - LEAD), counted, stop)

    def require_targets(self, split: str) -> None:
        """Raises OptionError for `data` unless a step of a split has a target."""
        if any(
            has_target(self._targets[part.series][part.counted : part.stop]).any()
            for part in self._parts[split]
        ):
            return
        raise self._no_targets(split)

    def _no_targets(self, split: str) -> OptionError:
        """The refusal of a table that leaves a split without a target."""
        ahead = f" with a horizon of {self.horizon}" if self.horizon > 1 else ""
        return OptionError(
            "data",
            f"must leave at least one step with a target for each split, but the {self._size()} of "
            f"{self._origin} leave none for {split!r}{ahead} ({self._cut_words()})",
        )

    def _cut_words(self) -> str:
        """How the table is cut, by its options."""
        options = self._options
        if options.valid_from is not None:
            return f"valid_from {options.valid_from}, test_from {options.test_from}"
        return f"valid_fraction {options.valid_fraction}, test_fraction {options.test_fraction}"

    def _size(self) -> str:
        """How much there is to be split."""
        return f"{max(map(len, self.series))} rows"

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
        parts = self.parts(split)
        if not parts:
            raise OptionError("data", f"must have rows for the split {split!r}, {self._origin} has too few")
        if split not in self._streams:
            inputs = np.concatenate([self.inputs_of(part) for part in parts])
            targets = np.concatenate([self._counted_targets(part) for part in parts])
            stream = Stream(inputs, targets, self.series_starts(split) if self.has_starts else None)
            for array in stream:
                array.flags.writeable = False
            self._streams[split] = stream
        return self._streams[split]

    def series_starts(self, split: str) -> NDArray[np.bool_]:
        """Which steps of a split's stream are the first of a series, [length]."""
        return starts_of([part.stop - part.first for part in self.parts(split)])

    def inputs_of(self, part: Part) -> NDArray[np.float32]:
        """The inputs of a part, those before the rows that count included, [rows, input_size]."""
        return self._inputs[part.series][part.first : part.stop]

    def is_current(self) -> bool:
        """Returns whether the file is unchanged since it was read."""
        return self._stamps is not None and all(stamp.is_current() for stamp in self._stamps)

    def kept(self) -> dict[str, Any]:
        """Returns what a model keeps of its training data, to read other data in the same way."""
        return {"fit": self.fit.as_json(), "input_names": list(self.input_names)}

    def reference(self, num_steps: int) -> float | None:
        """Returns the loss on "valid" of the best linear predictor that reads the last `num_steps` rows.

        It is fitted to the split "train"; None where that has too few rows.
        """
        if num_steps not in self._references:
            self._references[num_steps] = self._reference(num_steps)
        return self._references[num_steps]

    @abstractmethod
    def _reference(self, num_steps: int) -> float | None:
        """See `reference`."""

    def contenders(self, widths: Sequence[int]) -> dict[str, float]:
        """Returns the baselines, and the loss of the best linear predictor of some widths."""
        linear = {width: loss for width in widths if (loss := self.reference(width)) is not None}
        best = min(linear, key=lambda width: linear[width], default=None)
        if best is None:
            return self.baselines()
        return self.baselines() | {self._contender(best): linear[best]}

    def _contender(self, num_steps: int) -> str:
        """What the linear predictor that reads so many rows is called."""
        return f"{self.linear} that reads {num_steps} rows"

    def _guess(self) -> list[str]:
        """A line with the losses of linear predictors by the number of rows that they read."""
        losses = {width: self.reference(width) for width in self.defaults.num_steps}
        parts = [f"{width}: {loss:.4f}" for width, loss in losses.items() if loss is not None]
        title = f"{self.linear}s on the validation part, by rows read"
        return [f"{title}: {', '.join(parts)}"] if parts else []

    @property
    def _read_at_all_lags(self) -> int:
        """The number of first inputs whose past may say more: not those known ahead, calendar, static."""
        before = [*self.columns.target, *self.columns.inputs]
        names = [
            name for name in self.input_names if name.split("=")[0] in before or name.endswith(" missing")
        ]
        return len(names)

    def notes(self) -> list[str]:
        """Returns lines about what is not as in the data that were trained on: steps, series, words."""
        found = []
        if self._step and self.fit.step not in ("", self._step):
            found.append(
                f"rows are {self._step} apart; those that were trained on were {self.fit.step} apart"
            )
        trained = {name for name, scales in self.fit.scales.items() if name and scales}
        if trained and (new := [one.name for one in self.series if one.name not in self.fit.scales]):
            which = f"{self.columns.series_id} has series that were not trained on"
            found.append(f"{which}, and are scaled as all others together: {listed(new)}")
        for name, known in self.fit.categories.items():
            words = {word for one in self.series for word in one.words.get(name, ()) if word is not None}
            if name != self.columns.label and (unknown := sorted(words.difference(known))):
                found.append(
                    f"{name} has words that were not trained on, and are read as none: {listed(unknown)}"
                )
        return found

    @property
    def _step(self) -> str:
        """The usual time between two rows of the longest series in words; "" where there is none."""
        return step_words(max(self.series, key=len))

    @property
    def _of_step(self) -> str:
        """The end of a line about rows: " of 1 hour"."""
        return f" of {self._step}" if self._step else ""

    def _options_of_table(self) -> dict[str, Any]:
        """The options that all tables have."""
        options, columns = self._options, self.columns
        return {
            "inputs": list(columns.inputs),
            "static": list(columns.static),
            "time": columns.time,
            "series_id": columns.series_id,
            "calendar": list(self.calendar),
            "valid_fraction": options.valid_fraction,
            "test_fraction": options.test_fraction,
            "valid_from": options.valid_from,
            "test_from": options.test_from,
            "encoding": options.encoding,
            "fit": options.fit,
        }

    def _gaps(self) -> list[str]:
        """Lines about the rows that were missing, and about times that are not equally spaced."""
        gaps = sum(one.gaps for one in self.series)
        found = [f"{gaps} missing rows were filled in as missing values"] if gaps else []
        timed = [(one, one.times) for one in self.series if one.times is not None]
        if any(is_uneven(times) for _, times in timed):
            found.append("times are not equally spaced: each row counts as one step")
        gap = next(((one, pair) for one, times in timed if (pair := longest_gap(times))), None)
        if gap is not None:
            one, times = gap
            between = " to ".join(map(one.clock.shown, times))
            found.append(f"the gap from {between} was not filled in: too long, or no whole number of steps")
        return found

    def _all_names(self) -> tuple[str, ...]:
        """The names that inputs and targets have."""
        return self.input_names

    def _digest(self) -> str:
        digest = hashlib.sha256(json.dumps(self._all_names()).encode())
        for one, inputs, targets, borders in zip(
            self.series, self._inputs, self._targets, self._borders, strict=True
        ):
            digest.update(f"{one.name} {inputs.shape} {targets.shape} {borders}".encode())
            digest.update(inputs.tobytes())
            digest.update(targets.tobytes())
        return digest.hexdigest()

    def _suitable(self) -> Defaults:
        """Returns training settings: those that are given, or some that suit the size of the data."""
        if self._options.defaults is not None:
            return self._options.defaults
        length, held_out = self.length("train"), self.length("valid")
        batch_size = min(MOST_BATCH, max(1, min(length, held_out) // SHORTEST_ROW))
        longest = min(WIDTHS[-1], length // batch_size, held_out // batch_size)
        tokens = max(length, min(MOST_EPOCHS * length, MOST_TOKENS))
        return dataclasses.replace(
            type(self).defaults,
            batch_size=batch_size,
            tokens=tokens,
            epochs=max(EPOCHS, tokens // max(1, length)),  # there may be none where others were trained on
            num_steps=tuple(width for width in WIDTHS if width <= longest),
            longest=longest,
        )


def column_of_times(time: str | None, opened: Opened, data: Any) -> str | None:
    """The column that is given, that of the built-in table, or the only one of dates; None for none."""
    if time is not None:
        return time
    if data is None:
        return DEFAULT_TIME
    dates = [name for name in single_columns(opened.frame) if opened.frame[name].dtype.kind == "M"]
    return dates[0] if len(dates) == 1 else None


def _as_text(data: Any) -> str | None:
    return str(Path(data).absolute()) if isinstance(data, str | os.PathLike) else None


def step_words(one: Measured) -> str:
    """The usual step of a series for people to read: "1 hour"; "" where there is none."""
    if one.times is None:
        return ""
    step = usual_step(one.times)
    if step is None:
        if calendar_step(one.times) is None:
            return ""
        months = months_between(one.times).min()
        return counted(months, "month") if months else "1 business day"
    if not isinstance(step, np.timedelta64):
        return f"{step:g}"
    seconds = step / np.timedelta64(1, "s")
    length, name = next((unit for unit in UNITS_OF_TIME if seconds >= unit[0]), UNITS_OF_TIME[-1])
    count = seconds / length
    return f"{count:g} {name}{'' if count == 1 else 's'}"
