"""The loss of a trained model on data, however they are cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.options import OptionError, require_whole
from tf_rnn.tasks import described_task
from tf_rnn.training.evaluation import Evaluation, has_loss, stacked_losses

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream, Task

NUM_STEPS = 50
# So many tokens are read before a row's own where rows are read side by side.
LEAD = 500
CONTEXTS_AT_A_TIME = 100
FRACTIONS = ("valid_fraction", "test_fraction")


class Layout(NamedTuple):
    """How a stream is cut into rows.

    Attributes:
        rows: How many; each starts from a state of zero, `lead` tokens before its own.
        length: Tokens of a row.
        lead: Tokens that are read before, and not counted; the first row has none.
        at_a_time: Rows read side by side.
    """

    rows: int
    length: int
    lead: int
    at_a_time: int


class ModelEvaluator:
    """Gives the loss of a model on a split of its task, every token counted.

    Args:
        graph: On the model's variables.
        open_session: Opens a session of a graph on the same variables, with their trained values.
        task: Name and options of the task that the model was trained on.
        vocabulary: Of a model of language, else None.
    """

    def __init__(
        self,
        graph: UnrolledGraph,
        open_session: Callable[[Any], Any],
        task: dict[str, Any],
        vocabulary: tuple[str, ...] | None,
    ) -> None:
        self._graph, self._open_session = graph, open_session
        self._kept, self._vocabulary = task, vocabulary

    def __call__(
        self,
        split: str = "valid",
        data: str | os.PathLike[str] | None = None,
        *,
        num_steps: int = NUM_STEPS,
        batch_size: int = 1,
        context: int | None = None,
    ) -> Evaluation:
        """Reads a split once, the state carried from its first token to its last.

        The result does not depend on `num_steps`. With `batch_size` 1 it is exact. With more, up to so
        many rows are read side by side, which is quicker; each begins some hundred tokens early, from
        a state of zero, so that its state is almost the true one when its own tokens come. A short
        text has fewer rows: each is at least as long as what is read before it.

        Args:
            split: "train", "valid"; of a text, "test", too, or "all" for all of it in a row.
            data: Other data for the same kind of task, in the same vocabulary; None for those that
                the model was trained on.
            num_steps: The width of the graph that is run.
            batch_size: Rows read side by side, at most.
            context: Sets the state to zero before every so many tokens, and so shows what less
                context costs; None to carry it.

        Raises:
            OptionError: (a ValueError) If a value is not allowed, or the data are not what the model
                can read.
        """
        require_whole("num_steps", num_steps)
        require_whole("batch_size", batch_size)
        if context is not None:
            require_whole("context", context)
        task = self.task(data)
        stream = task.checked_stream(split)
        layout = lay_out(len(stream.targets), batch_size, num_steps, task.period, context)
        losses = self._losses(stream, layout, min(num_steps, layout.length))
        counted = has_loss(stream.targets, task.loss_steps)
        counted[: task.warm_up] = False
        found = losses.ravel()[: len(counted)][counted]
        spread = float(found.std()) / math.sqrt(len(found))
        return Evaluation(float(found.mean()), spread, len(found), {})

    def task(self, data: str | os.PathLike[str] | None = None) -> Task:
        """The task that the model was trained on, or the same kind of task with other data.

        Raises:
            OptionError: If there are none, or they are not in the model's vocabulary, or those that
                the model was trained on have become others.
        """
        if data is not None and "data" not in self._kept["options"]:
            raise OptionError(
                "data", f"must be left out for the task {self._kept['name']}, got {str(data)!r}"
            )
        changes = {} if self._vocabulary is None else {"vocabulary": self._vocabulary}
        if data is not None:
            return self._other_task({**changes, "data": data})
        task = described_task(self._kept, **changes)
        if getattr(task, "sha256", None) != self._kept.get("sha256"):
            raise OptionError("data", "must be given: the text that the model was trained on has changed")
        return task

    def _other_task(self, changes: dict[str, Any]) -> Task:
        try:
            return described_task(self._kept, **changes)
        except OptionError as error:
            if error.option not in FRACTIONS:
                raise
        # The run's shares of one text mean nothing where each split has a file.
        options = {name: value for name, value in self._kept["options"].items() if name not in FRACTIONS}
        return described_task(self._kept | {"options": options}, **changes)

    def _losses(self, stream: Stream, layout: Layout, num_steps: int) -> np.ndarray:
        """The loss of each token, [rows, length]."""
        graph = self._graph.forward(num_steps=num_steps, batch_size=layout.at_a_time)
        found = []
        with self._open_session(graph) as session:
            run = graph.runner(session, graph.cached(stacked_losses), graph.final_state)
            for first in range(0, layout.rows, layout.at_a_time):
                rows = np.arange(first, first + layout.at_a_time)
                state = graph.zero_state()
                for block in _blocks(stream, layout, rows, -layout.lead, 0, num_steps):
                    _, state = run(*block, state)
                state = _without_first(state) if first == 0 and layout.lead else state
                parts = []
                for block in _blocks(stream, layout, rows, 0, layout.length, num_steps):
                    losses, state = run(*block, state)
                    parts.append(losses)
                found.append(np.concatenate(parts, axis=1, dtype=np.float64)[:, : layout.length])
        return np.concatenate(found)[: layout.rows]


def lay_out(length: int, batch_size: int, num_steps: int, period: int, context: int | None) -> Layout:
    """How a stream of `length` tokens is cut for an evaluation.

    Args:
        length: Of the stream.
        batch_size: Rows to read side by side.
        num_steps: Width of the graph.
        period: Length of an example; a row begins with one.
        context: Tokens between two states of zero; None to carry the state.
    """
    if context is not None:
        rows = math.ceil(length / context)
        return Layout(rows, min(context, length), 0, min(rows, CONTEXTS_AT_A_TIME))
    examples = math.ceil(length / period)
    of_row = min(examples, max(math.ceil(examples / batch_size), math.ceil(LEAD / period))) * period
    rows = math.ceil(length / of_row)
    width = min(num_steps, of_row)
    blocks = min(math.ceil(LEAD / width), of_row // width)
    return Layout(rows, of_row, blocks * width if rows > 1 else 0, rows)


def _blocks(
    stream: Stream, layout: Layout, rows: np.ndarray, start: int, stop: int, num_steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets of the steps from `start` to `stop` of some rows, filled up where there are none."""
    last = len(stream.targets) - 1
    for step in range(start, stop, num_steps):
        steps = rows[:, np.newaxis] * layout.length + np.arange(step, step + num_steps)
        places = np.clip(steps, 0, last)
        yield stream.inputs[places], stream.targets[places]


def _without_first(state: Any) -> Any:
    """The state with that of the first row set to zero: nothing stands before it."""

    def reset(part: np.ndarray) -> np.ndarray:
        kept = np.array(part)
        kept[0] = 0
        return kept

    return tf.nest.map_structure(reset, state)
