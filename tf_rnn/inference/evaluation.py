"""The loss of a trained model on a split of its task, or on other data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.options import OptionError, require_whole
from tf_rnn.tasks import TASKS, Labels, Series, Tabular, described_task
from tf_rnn.tasks.corpus import UTF_8
from tf_rnn.tasks.language import require_text
from tf_rnn.training.evaluation import (
    Evaluation,
    counted_tokens,
    mean_and_error,
    stacked_hits,
    stacked_losses,
    stacked_predictions,
    usable,
    weights_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream, Task

NUM_STEPS = 50
# Tokens read before each parallel row to build up its state.
LEAD = 500
CONTEXTS_AT_A_TIME = 100
FRACTIONS = ("valid_fraction", "test_fraction")
KEPT = ("fit",)
# What a task of a data frame, which cannot be read again, is for other data.
OF_OTHER_DATA = {kind.of_frame: kind.name for kind in (Series, Labels)}


OfTable = TypeVar("OfTable", bound=Tabular)


class Layout(NamedTuple):
    """The rows into which a stream is cut.

    Attributes:
        rows: Number of rows; each starts from a state of zero, `lead` tokens before its own tokens.
        length: Tokens of a row.
        lead: Tokens that are read first and not counted; the first row has none.
        at_a_time: Rows read in parallel.
    """

    rows: int
    length: int
    lead: int
    at_a_time: int


class ModelEvaluator:
    """Measures the loss of a trained model on a split of its task, counting every token.

    It keeps no state between calls, and threads may share it.

    Args:
        graph: A graph with the model's variables.
        open_session: Opens a session of a graph on the same variables, with their trained values.
        task: Name and options of the task that the model was trained on.
        vocabulary: The tokens of a language model, else None.
        own: The task itself, for one that is not in `tf_rnn.tasks`.
    """

    def __init__(
        self,
        graph: UnrolledGraph,
        open_session: Callable[[Any], Any],
        task: dict[str, Any],
        vocabulary: tuple[str, ...] | None,
        own: Task | None = None,
    ) -> None:
        self._graph, self._open_session = graph, open_session
        self._description, self._vocabulary, self._own = task, vocabulary, own

    def __call__(
        self,
        split: str = "valid",
        data: str | os.PathLike[str] | None = None,
        *,
        encoding: str | None = None,
        num_steps: int = NUM_STEPS,
        batch_size: int = 1,
        context: int | None = None,
    ) -> Evaluation:
        """Reads a split once and returns the mean loss of its tokens.

        With `batch_size` 1 the state is carried from the first token to the last, and the result is exact.
        More rows are faster: each starts from a state of zero, a few hundred tokens early, so that its state
        is close to the true one when its own tokens begin. Rows are at least as long as this lead, so a
        short text has fewer of them than `batch_size`. The result does not depend on `num_steps`.

        Args:
            split: "train" or "valid"; for a text also "test", or "all" for the three of them in order.
            data: Other data for the same kind of task, in the same vocabulary; by default the data
                that the model was trained on.
            encoding: The encoding of the other data; None for UTF-8.
            num_steps: Width of the graph that is run; affects speed only.
            batch_size: Largest number of rows to read in parallel.
            context: Resets the state to zero every `context` tokens, to measure the value of longer
                context; None carries it.

        Raises:
            OptionError: (a ValueError) If a value is not allowed, or the model cannot read the data.
        """
        require_whole("num_steps", num_steps)
        require_whole("batch_size", batch_size)
        if context is not None:
            require_whole("context", context)
        task = self.task(data, encoding)
        return self.on(task, split, num_steps=num_steps, batch_size=batch_size, context=context)

    def on(
        self,
        task: Task,
        split: str = "valid",
        *,
        num_steps: int = NUM_STEPS,
        batch_size: int = 1,
        context: int | None = None,
    ) -> Evaluation:
        """Measures the loss on a task that `task` returned; see `__call__`."""
        found, weights = self._counted(stacked_losses, task, split, num_steps, batch_size, context)
        return Evaluation(*mean_and_error(found, weights), len(found), {})

    def accuracy(
        self,
        task: Task,
        split: str = "valid",
        *,
        num_steps: int = NUM_STEPS,
        batch_size: int = 1,
        context: int | None = None,
    ) -> float:
        """The share of targets that are the class with the largest prediction; see `on`.

        Raises:
            OptionError: Also for a task whose targets are no classes.
        """
        if task.loss != "cross_entropy":
            raise OptionError("task", f"must have targets that are classes, got {task.name}")
        hits, weights = self._counted(stacked_hits, task, split, num_steps, batch_size, context)
        return float(np.average(hits, weights=weights))

    def predictions(
        self,
        task: Task,
        split: str = "valid",
        *,
        num_steps: int = NUM_STEPS,
        batch_size: int = 1,
        context: int | None = None,
    ) -> np.ndarray:
        """The predictions at all steps of a split, [length, num_classes]; see `on`."""
        stream = usable(task, task.checked_stream(split), split, self._graph.options.dtype)
        length = len(stream.targets)
        layout = lay_out(length, batch_size, num_steps, task.period, context)
        found = self._measured(stacked_predictions, stream, layout, min(num_steps, layout.length))
        return found.reshape(-1, found.shape[-1])[:length]

    def _counted(
        self,
        measure: Callable[[UnrolledGraph], Any],
        task: Task,
        split: str,
        num_steps: int,
        batch_size: int,
        context: int | None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """What a graph measures at each step, of all tokens that count, in order, and their weights, if any.

        Args:
            measure: Makes what is fetched, [batch_size, num_steps].
            task: See `on`, as the rest.
            split: The split.
            num_steps: The width.
            batch_size: Rows.
            context: Steps between two resets.
        """
        if isinstance(task, Tabular):
            task.require_targets(split)
        stream = usable(task, task.checked_stream(split), split, self._graph.options.dtype)
        layout = lay_out(len(stream.targets), batch_size, num_steps, task.period, context)
        found = self._measured(measure, stream, layout, min(num_steps, layout.length))
        counted = counted_tokens(task, stream, split)
        return np.asarray(found.ravel()[: len(counted)][counted]), weights_of(stream, counted)

    def task(self, data: str | os.PathLike[str] | None = None, encoding: str | None = None) -> Task:
        """The task that the model was trained on, or the same kind of task with other data.

        Args:
            data: The other data.
            encoding: Their encoding; None for UTF-8.

        Raises:
            OptionError: If the data do not exist, are not in the model's vocabulary, or have changed since
                the model was trained on them; or the task is not in `tf_rnn.tasks` and was not given.
        """
        if data is None and encoding is not None:
            raise OptionError("encoding", f"must be left out unless data is given, got {encoding!r}")
        if data is not None and "data" not in self._description["options"]:
            name = self._description["name"]
            raise OptionError("data", f"must be left out for the task {name}, got {str(data)!r}")
        if data is not None and self._description["name"] in OF_OTHER_DATA:
            return self._other_task(self._kept() | {"data": data, "encoding": encoding or UTF_8})
        if self._own is not None:
            return self._own
        if self._description["name"] not in TASKS:
            name = self._description["name"]
            raise OptionError("task", f"must be given to load a model of a task of your own, {name!r}")
        changes: dict[str, Any] = {} if self._vocabulary is None else {"vocabulary": self._vocabulary}
        if data is not None:
            return self._other_task(changes | self._kept() | {"data": data, "encoding": encoding or UTF_8})
        require_text(self._description["options"], "the model")
        task = described_task(self._description, **changes)
        if getattr(task, "sha256", None) != self._description.get("sha256"):
            what = "table" if isinstance(task, Tabular) else "text"
            problem = f"must be given: the {what} that the model was trained on has changed"
            raise OptionError("data", problem)
        return task

    def table(self, kind: type[OfTable], data: Any, encoding: str | None) -> OfTable:
        """The task of a model that was trained on a kind of table, or the same with other data; see `task`.

        Raises:
            OptionError: For `folder`, if the model is of another task; or see `task`.
        """
        name = self._description["name"]
        name = OF_OTHER_DATA.get(name, name)
        if issubclass(TASKS.get(name, kind), kind):  # that of another is not read
            task = self.task(data, encoding)
            if isinstance(task, kind):
                return task
            name = task.name
        raise OptionError("folder", f"must hold a model of {kind.name}, got one of the task {name}")

    def _kept(self) -> dict[str, Any]:
        """What the run has kept of its training data, beside the vocabulary; see `Task.kept`."""
        return {name: self._description[name] for name in KEPT if name in self._description}

    def _other_task(self, changes: dict[str, Any]) -> Task:
        name = self._description["name"]
        described = self._description | {"name": OF_OTHER_DATA.get(name, name)}
        try:
            return described_task(described, **changes)
        except OptionError as error:
            if error.option not in FRACTIONS:
                raise
        # The other data have a file for each split, so the fractions of the run's single file do not apply.
        options = self._description["options"]
        options = {name: value for name, value in options.items() if name not in FRACTIONS}
        return described_task(self._description | {"options": options}, **changes)

    def _measured(
        self, measure: Callable[[UnrolledGraph], Any], stream: Stream, layout: Layout, num_steps: int
    ) -> np.ndarray:
        """What a graph measures of each token, [rows, length, ...]."""
        graph = self._graph.forward(num_steps=num_steps, batch_size=layout.at_a_time)
        with self._open_session(graph) as session:
            run = graph.runner(session, graph.cached(measure), graph.final_state)
            groups = [
                _group_of(run, graph.zero_state(), stream, layout, first, num_steps)
                for first in range(0, layout.rows, layout.at_a_time)
            ]
        return np.concatenate(groups)[: layout.rows]


def lay_out(length: int, batch_size: int, num_steps: int, period: int, context: int | None) -> Layout:
    """The rows for the evaluation of a stream.

    Args:
        length: Tokens of the stream.
        batch_size: Largest number of rows to read in parallel.
        num_steps: Width of the graph.
        period: Length of an example; rows start at the beginning of one.
        context: Tokens between two resets of the state; None carries it.
    """
    if context is not None:
        rows = math.ceil(length / context)
        return Layout(rows, min(context, length), 0, min(rows, CONTEXTS_AT_A_TIME))
    examples = math.ceil(length / period)
    row_length = min(examples, max(math.ceil(examples / batch_size), math.ceil(LEAD / period))) * period
    rows = math.ceil(length / row_length)
    width = min(num_steps, row_length)
    blocks = min(math.ceil(LEAD / width), row_length // width)
    return Layout(rows, row_length, blocks * width if rows > 1 else 0, rows)


def _group_of(
    run: Callable[..., Any], zero_state: Any, stream: Stream, layout: Layout, first: int, num_steps: int
) -> np.ndarray:
    """What is measured of the rows that are read in parallel with row `first`, [at_a_time, length, ...]."""
    starts = np.arange(first, first + layout.at_a_time)[:, np.newaxis] * layout.length
    last = len(stream.targets) - 1
    parts, state = [], zero_state
    for step in range(-layout.lead, layout.length, num_steps):  # the lead is a multiple of num_steps
        if step == first == 0:
            state = _without_first(state, zero_state)
        tokens = np.clip(starts + np.arange(step, step + num_steps), 0, last)
        block = stream.at(tokens)
        found, state = run(block.inputs, block.targets, state, starts=block.starts)
        parts.append(found)
    return np.concatenate(parts, axis=1, dtype=np.float64)[:, layout.lead : layout.lead + layout.length]


def _without_first(state: Any, zero_state: Any) -> Any:
    """The state with that of a start for the first row, which has no tokens before it."""
    return tf.nest.map_structure(lambda part, start: np.concatenate([start[:1], part[1:]]), state, zero_state)
