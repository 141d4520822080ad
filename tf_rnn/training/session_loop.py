"""The session loop: run the graph on a block, take its final state, feed it to the next run."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.options import STATES, require_choice
from tf_rnn.training.probe import GradientProbe
from tf_rnn.training.runs import Runs
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream, Task


class Place(NamedTuple):
    """Where in the stream a run is, and what it takes along: all that is needed to go on from there.

    An epoch is read as a course of windows over the rows, from `offset` on, as a rule from 0.

    Attributes:
        epoch: Number of the epoch, from 0.
        offset: The step of the rows at which the course begins.
        windows: How many windows of the course have been run.
        start: The step of the rows at which the next window starts.
        state: The state to start it from; None for zero.
        measured: For the style "adaptive": what was measured in the course, in order.
        positions: Of several workers that do not keep step, how many blocks each has read since the
            run began; `windows` and `start` then say nothing.
    """

    epoch: int = 0
    offset: int = 0
    windows: int = 0
    start: int = 0
    state: Any = None
    measured: tuple[np.ndarray, ...] = ()
    positions: tuple[int, ...] = ()

    def for_other_width(self) -> Place:
        """The same place for windows of another width: a new course over the rest of the rows."""
        return Place(self.epoch, offset=self.start, start=self.start, state=self.state)

    def for_other_rows(self) -> Place:
        """The start of the same epoch: with other rows, nothing of it has been read."""
        return Place(self.epoch)


class Update(NamedTuple):
    """One run of the training step.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: The mean loss of a step, before the update.
        gradient_norm: The norm of the gradient, before clipping.
        final_state: The state that goes on to the next run.
        tokens: Examples times steps whose errors were counted for the first time.
        place: Where the run is after it.
        updates: How many these are: above 1 where those of other workers are among them.
    """

    epoch: int
    loss: float
    gradient_norm: float
    final_state: Any
    tokens: int
    place: Place = Place()
    updates: int = 1


def session_loop(
    graph: UnrolledGraph,
    task: Task,
    session: Any,
    state: str = "carry",
    truncation: Truncation | None = None,
) -> Iterator[Update]:
    """Runs the training step on window after window, epoch after epoch, without end.

    Args:
        graph: With an optimizer.
        task: Whose split "train" to read.
        session: An open session of the graph.
        state: "carry" or "reset".
        truncation: Which errors go back how far; None for blocks.

    Yields:
        An `Update` after each run.
    """
    return itertools.chain.from_iterable(session_epochs(graph, task, session, state, truncation))


def session_epochs(
    graph: UnrolledGraph,
    task: Task,
    session: Any,
    state: str = "carry",
    truncation: Truncation | None = None,
    place: Place | None = None,
    controls: Mapping[str, Callable[[], Any]] | None = None,
) -> Iterator[Iterator[Update]]:
    """The same loop in two levels: for each epoch an iterator over its updates.

    Args:
        graph: As for `session_loop`, like the next four.
        task: See there.
        session: See there.
        state: See there.
        truncation: See there.
        place: Where to go on; None for the beginning.
        controls: What is fed anew at each run, by the name of the graph's attribute:
            `learning_rate`, `dropout_seed`.
    """
    loop = _Loop(graph, task, session, state, truncation or Truncation(), controls or {})
    place = place or Place()
    yield loop.epoch(place)
    for epoch in itertools.count(place.epoch + 1):
        yield loop.epoch(Place(epoch))


class _Loop:
    """What all epochs of a loop have in common; see `session_epochs`."""

    def __init__(
        self,
        graph: UnrolledGraph,
        task: Task,
        session: Any,
        state: str,
        truncation: Truncation,
        controls: Mapping[str, Callable[[], Any]],
    ) -> None:
        self._graph, self._task, self._truncation = graph, task, truncation
        self._next_state = NEXT_STATE[require_choice("state", state, STATES)]
        self._probe = GradientProbe(graph, session)
        self._runs = Runs(session, tuple(controls))
        self._controls = tuple(controls.values())

    def epoch(self, place: Place) -> Iterator[Update]:
        """Runs the rest of an epoch from a place on."""
        rows = _from(self._task.rows(self._graph.batch_size, "train", place.epoch), place.offset)
        length = rows.targets.shape[1]
        if length < self._graph.num_steps:
            return
        zero_state = self._graph.zero_state()
        current = zero_state if place.state is None else place.state
        measured = list(place.measured)
        again = iter(place.measured)

        def measure(start: int) -> np.ndarray:
            found = next(again, None)
            if found is None:
                found = self._probe.norms(rows, start, current)
                measured.append(found)
            return found

        windows = self._truncation.of(self._graph, length).windows(place.epoch, measure)
        for number, window in enumerate(windows, start=1):
            if number <= place.windows:
                continue
            values = tuple(control() for control in self._controls)
            loss, gradient_norm, state_after, _ = self._runs(window, rows, current, values)
            current = self._next_state(state_after, zero_state)
            start = place.offset + int(window.start + window.advance)
            yield Update(
                epoch=place.epoch + 1,
                loss=float(loss) * window.loss_scale,
                gradient_norm=float(gradient_norm),
                final_state=state_after,
                tokens=int(window.new_steps * self._graph.batch_size),
                place=Place(place.epoch, place.offset, number, start, current, tuple(measured)),
            )


def _from(rows: Stream, offset: int) -> Stream:
    return type(rows)(rows.inputs[:, offset:], rows.targets[:, offset:])


NEXT_STATE: dict[str, Callable[[Any, Any], Any]] = {
    "carry": lambda final_state, _: final_state,
    "reset": lambda _, zero_state: zero_state,
}
