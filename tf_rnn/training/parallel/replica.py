"""A worker's own graph: its rows alone, on variables that stand on the parameter servers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells import describe_cell, described_cell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import saved_names
from tf_rnn.graph.session import assign
from tf_rnn.training.parallel.exchanges import EXCHANGES
from tf_rnn.training.parallel.server import place_variables, session_config
from tf_rnn.training.parallel.shared import News, Shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from tf_rnn.cluster import Member
    from tf_rnn.tasks import Stream


class Outcome(NamedTuple):
    """What one update gives.

    Attributes:
        loss: Its total loss, before the update: of this worker's rows, or of all where the chief applies
            the updates of all.
        gradient_norm: Of the gradient applied, or else of this worker's, before clipping.
        final_state: Of this worker's rows.
        news: What is so after it.
    """

    loss: float
    gradient_norm: float
    final_state: Any
    news: News


class Joined(NamedTuple):
    """Where a worker joins a run.

    Attributes:
        news: How the run is.
        position: Blocks that this worker has read since the run began.
        state: What the last of them left.
    """

    news: News
    position: int
    state: Any


class Replica:
    """A worker's own graph, in a `tf.Graph` of its own.

    Args:
        graph: The graph that one process would train alone, on a cell of `tf_rnn.cells`.
        member: Which worker.
        exchange: How the workers' gradients come together, a key of EXCHANGES.

    Attributes:
        graph: The worker's; its plain `train_step` knows nothing of the other workers.
        shared: What the workers know of one another.
        tick: int64, to feed: how far the run is, so that what comes late can be told.
        index: Which worker.
        num_workers: How many there are.

    Raises:
        OptionError: If the rows cannot be shared out among the workers, or the cell is of another kind.
    """

    def __init__(self, graph: UnrolledGraph, member: Member, exchange: str) -> None:
        self._member, self.index, self.num_workers = member, member.index, member.cluster.num_workers
        rows = member.cluster.rows_of_each(graph.batch_size)
        options = dataclasses.replace(graph.options, batch_size=rows)
        description = describe_cell(graph.cell)
        with tf.Graph().as_default(), tf.device(place_variables(member.cluster, self.index)):
            self.graph = UnrolledGraph(described_cell(description), **dataclasses.asdict(options))
            members = range(self.num_workers) if member.is_chief else [self.index]
            self.shared = Shared(self.num_workers, self.graph.final_state, members)
            self.tick = tf.placeholder_with_default(tf.constant(0, tf.int64), [], name="tick")
            self._step = EXCHANGES[exchange](self)
            self._join = self._place_join()
        self._variables = saved_names(self.graph)

    def session(self, server: Any, threads: int | None) -> Any:
        """Opens a session; nothing is initialised."""
        config = session_config(self._member, threads)
        return tf.Session(server.target, graph=self.graph.tf_graph, config=config)

    def runner(self, session: Any, feeding: Sequence[str]) -> Callable[..., Outcome]:
        """Returns a function (block, state, tick, *values) -> Outcome that makes an update.

        Args:
            session: An open session.
            feeding: Names of the graph's attributes that the values are fed to.
        """
        step, graph = self._step, self.graph
        fed = [self.tick, *(getattr(graph, name) for name in feeding)]
        fetches = (step.loss, step.gradient_norm, graph.final_state, step.news, step.train)
        run = graph.runner(session, *fetches, feeding=fed)

        def update(block: Stream, state: Any, tick: int, *values: Any) -> Outcome:
            loss, norm, final_state, news, _ = run(*block, state, tick, *values)
            return Outcome(float(loss), float(norm), final_state, as_numbers(news))

        return update

    def wait(self, session: Any) -> News:
        """Waits until the chief has applied an update of all, which may have been told before."""
        return as_numbers(session.run(self._step.wait))

    def _place_join(self) -> tuple[Any, Any, Any]:
        """Reads the news first, then this worker's state, and its position last."""
        news = self.shared.news()
        with tf.control_dependencies(list(news)):
            parts = [variable.read_value() for variable in self.shared.states[self.index]]
        with tf.control_dependencies(parts):
            position = self.shared.positions.read_value()[self.index]
        return news, parts, position

    def missing(self, session: Any) -> list[int]:
        """The workers whose gradients the chief has not got yet."""
        return [worker for worker, slots in self._step.slots.items() if slots.is_empty(session)]

    def join(self, session: Any) -> Joined | None:
        """Where this worker is, or None while that is being written; then it is to be asked again.

        Of all that keep step the blocks read are the updates made. An update of all counts the former
        first, then keeps the states, and counts the latter last. What is read here in the opposite
        order belongs together if both counts are equal.
        """
        news, parts, position = session.run(self._join)
        if self._step.wait is not None and news.generation > 0 and position != news.updates:
            return None
        state = tf.nest.pack_sequence_as(self.graph.zero_state(), parts)
        return Joined(as_numbers(news), int(position), state)

    def push(self, session: Any, values: Mapping[str, np.ndarray]) -> None:
        """Gives all that training changes its values, by the names under which it is saved."""
        assign(session, [self._variables[name] for name in values], [*values.values()])

    def pull(self, session: Any) -> tuple[dict[str, np.ndarray], list[int], dict[int, list[np.ndarray]]]:
        """What training has changed, by name; the workers' positions; and their states."""
        fetched = session.run([self._variables, self.shared.positions, self.shared.states])
        values, positions, states = fetched
        return values, [int(position) for position in positions], states

    def clear(self, session: Any, tick: int) -> None:
        """Forgets what was handed in and not applied."""
        for slots in self._step.slots.values():
            slots.clear(session, tick)

    def let_go_on(self, session: Any, tick: int) -> None:
        """Wakes those who wait for an update of all: there is other news."""
        session.run([slots.let_go_on for slots in self._step.slots.values()], {self.tick: tick})


def as_numbers(news: News) -> News:
    """As Python's numbers."""
    return News(int(news.generation), int(news.updates), float(news.rate))
