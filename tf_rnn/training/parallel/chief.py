"""The chief: the worker that begins a run on a cluster, keeps it, and evaluates."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.checks import require_choice
from tf_rnn.graph.naming import saved_names
from tf_rnn.graph.session import assign
from tf_rnn.training.crew import StoppedWaitingError
from tf_rnn.training.divergence import DivergedError
from tf_rnn.training.parallel.exchanges import EXCHANGES
from tf_rnn.training.parallel.patience import Patient
from tf_rnn.training.parallel.replica import Replica
from tf_rnn.training.parallel.rows import OwnRows
from tf_rnn.training.parallel.server import LOST, PAUSE_SECONDS, LostError, start_server
from tf_rnn.training.parallel.shared import FINISHED, NOT_READY
from tf_rnn.training.session_loop import Place, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tf_rnn.cluster import Member
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.checkpoints import Snapshot
    from tf_rnn.training.loop import Plan

Result = TypeVar("Result")


class Chief:
    """A crew for `train`: all workers of a cluster, led by this one.

    The session that `train` is given is a copy on this machine. It is brought up to date before an
    evaluation and before a checkpoint, so that neither is of weights that others are changing, and that
    both are what a run of one process leaves.

    Args:
        member: This process, worker 0.
        exchange: "sync" or "async"; see `tf_rnn.training.parallel.exchanges`.
        server: This process's.
        threads: Upper limit on the threads of its graph; None for one a core.
        tell: Given a line for the user.

    Raises:
        OptionError: If `exchange` is not allowed.
    """

    def __init__(
        self, member: Member, exchange: str, server: Any, threads: int | None, tell: Callable[[str], None]
    ) -> None:
        self._member, self._cluster = member, member.cluster
        self._exchange = require_choice("exchange", exchange, EXCHANGES)
        self._server, self._threads, self._tell = server, threads, tell
        self._keeps_step = exchange == "sync"
        self._remote: Any = None
        self._has_news = False
        self._in_epoch = 0
        self._positions: list[int] = []
        self._all_states: Any = None

    def check(self, graph: UnrolledGraph, plan: Plan) -> None:
        """Raises OptionError unless the rows can be shared out, and are read in blocks."""
        self._cluster.rows_of_each(graph.batch_size, plan.truncation.style)

    def config(self) -> dict[str, Any]:
        """How many they are, and how their gradients come together."""
        sizes = {"workers": self._cluster.num_workers, "ps": len(self._cluster.ps)}
        return {"cluster": sizes | {"exchange": self._exchange}}

    def accept(self, kept: Snapshot | None) -> Snapshot | None:
        """The epoch begins anew where the workers are not where these would be."""
        if kept is None:
            return None
        place = kept.place
        fits = len(place.positions) == self._cluster.num_workers and not self._keeps_step
        had_kept_step = bool(place.windows) and not place.positions
        if place.offset or (place.positions and not fits) or (had_kept_step and not self._keeps_step):
            return kept.at_start_of_epoch()
        return kept

    def sizes(self, tokens_per_update: int, updates_per_epoch: int) -> tuple[int, int]:
        """Updates of all rows if all keep step, else those of each worker."""
        if self._keeps_step:
            return tokens_per_update, updates_per_epoch
        workers = self._cluster.num_workers
        return tokens_per_update // workers, updates_per_epoch * workers

    def epochs(
        self,
        graph: UnrolledGraph,
        task: Task,
        session: Any,
        plan: Plan,
        place: Place,
        controls: Mapping[str, Callable[[], Any]],
        is_stopped: Callable[[], bool],
    ) -> Iterator[Iterator[Update]]:
        """For each epoch of all workers together an iterator over this worker's updates."""
        self._local, self._session, self._plan = graph, session, plan
        self._names = saved_names(graph)
        self._patient = Patient(self._tell, is_stopped)
        self._replica = Replica(graph, self._member, self._exchange)
        self._rows = OwnRows(task, graph.batch_size, graph.num_steps, 0, self._cluster.num_workers)
        self._controls = controls
        return self._epochs(place)

    def _epochs(self, place: Place) -> Iterator[Iterator[Update]]:
        self._begin(place)
        for epoch in itertools.count(place.epoch):
            yield self._epoch(epoch)

    def _epoch(self, epoch: int) -> Iterator[Update]:
        blocks = self._rows.blocks_per_epoch
        total = blocks if self._keeps_step else blocks * self._cluster.num_workers
        while self._in_epoch < total:
            yield self._update(epoch)
        self._in_epoch = 0

    def _begin(self, place: Place) -> None:
        """Gives the parameter servers what the local session holds, and lets the workers join."""
        workers, blocks = self._cluster.num_workers, self._rows.blocks_per_epoch
        positions = list(place.positions) or [place.epoch * blocks + place.windows] * workers
        states = self._shares(self._local.zero_state() if place.state is None else place.state)
        self._position, self._updates = positions[0], positions[0] if self._keeps_step else sum(positions)
        self._state = tf.nest.pack_sequence_as(self._replica.graph.zero_state(), states[0])
        read_in_epoch = self._updates - place.epoch * blocks * (1 if self._keeps_step else workers)
        self._in_epoch = max(0, read_in_epoch)
        self._remote = self._replica.session(self._server, self._threads)
        self._generation = time.time_ns() // 1000
        rate = self._controls.get("learning_rate", lambda: self._local.options.learning_rate)()
        values = self._session.run(self._names)

        def begin() -> None:
            replica, remote = self._replica, self._remote
            replica.shared.set_generation(remote, NOT_READY)
            replica.clear(remote, self._tick)
            replica.push(remote, values)
            replica.shared.begin(remote, self._updates, rate, positions, states)
            replica.shared.set_generation(remote, self._generation)
            replica.let_go_on(remote, self._tick)
            self._run = replica.runner(remote, tuple(self._controls))

        self._ask(begin, self._waiting_for_servers)

    @property
    def _tick(self) -> int:
        """Grows with each update, and over a return to a checkpoint, too."""
        return self._generation + self._updates

    def _shares(self, state: Any) -> dict[int, list[np.ndarray]]:
        """A state of all rows as a flat list for each worker."""
        workers = self._cluster.num_workers
        parts = [np.split(np.asarray(part), workers) for part in tf.nest.flatten(state)]
        return {worker: [part[worker] for part in parts] for worker in range(workers)}

    def _update(self, epoch: int) -> Update:
        graph = self._replica.graph
        values = [control() for control in self._controls.values()]
        starts = self._rows.position(self._position).block == 0 or self._plan.state == "reset"
        state = graph.zero_state() if starts else self._state
        block = self._rows.block(self._position)
        outcome = self._ask(lambda: self._run(block, state, self._tick, *values), self._waiting_for_workers)
        count = outcome.news.updates - self._updates
        self._updates, self._state = outcome.news.updates, outcome.final_state
        self._position += 1
        self._in_epoch += count
        self._has_news = True
        rows = self._local.batch_size if self._keeps_step else graph.batch_size
        return Update(
            epoch=epoch + 1,
            loss=outcome.loss * graph.loss_scale,
            gradient_norm=outcome.gradient_norm,
            final_state=outcome.final_state,
            tokens=count * rows * graph.num_steps,
            place=Place(epoch, windows=self._in_epoch, start=self._in_epoch * graph.num_steps),
            updates=count,
        )

    def catch_up(self, place: Place, final_state: Any) -> tuple[Place, Any]:
        """Fetches the weights, and where the workers are."""
        if self._has_news:
            pulled = self._ask(lambda: self._replica.pull(self._remote), self._waiting_for_servers)
            values, positions, states = pulled
            if self._keeps_step and positions[0] != self._position:
                # An update that was no longer waited for has been made after all.
                raise StoppedWaitingError
            self._positions = positions
            assign(self._session, [self._names[name] for name in values], [*values.values()])
            flat = [np.concatenate(parts) for parts in zip(*states.values(), strict=True)]
            self._all_states = tf.nest.pack_sequence_as(self._local.zero_state(), flat)
            self._has_news = False
        if self._all_states is None:
            return place, final_state
        carried = self._all_states if self._plan.state == "carry" else self._local.zero_state()
        if not self._keeps_step:
            place = Place(place.epoch, state=carried, positions=tuple(self._positions))
        elif place.windows:
            place = place._replace(state=carried)
        return place, self._all_states

    def _ask(self, function: Callable[[], Any], waiting_for: Callable[[], str]) -> Any:
        """What a function gives that needs other processes.

        Raises:
            LostError: If one of them is gone.
        """
        try:
            return self._patient(function, waiting_for)
        except LOST as error:
            raise LostError(str(error)) from error

    def _waiting_for_servers(self) -> str:
        return f"waiting for the parameter servers at {', '.join(self._cluster.ps)}"

    def _waiting_for_workers(self) -> str:
        missing = [f"worker {worker}" for worker in self._replica.missing(self._remote)]
        if not missing:
            return self._waiting_for_servers()
        return f"standing still: synchronous updates need every worker, {' and '.join(missing)} must come"

    def finish(self) -> None:
        """Tells the workers that the run is at its end."""

        def finish() -> None:
            self._replica.shared.set_generation(self._remote, FINISHED)
            self._replica.let_go_on(self._remote, self._tick)

        if self._remote is not None:
            self._ask(finish, self._waiting_for_servers)

    def close(self) -> None:
        """Closes its session."""
        if self._remote is not None:
            self._remote.close()


def lead(
    member: Member,
    exchange: str,
    threads: int | None,
    attempt: Callable[[Chief], Result],
    tell: Callable[[str], None],
) -> Result:
    """Is the chief of a cluster until the run is at its end.

    Args:
        member: This process, worker 0.
        exchange: See `Chief`.
        threads: See `Chief`.
        attempt: Calls `train` with the crew that it is given, from the last checkpoint if there is one;
            called again each time that a parameter server was lost. What it returns is returned.
        tell: Given a line for the user.

    Raises:
        OptionError: For `cluster`, if the address is not this machine's, or taken; and what `train` raises.
    """
    server = start_server(member, threads)
    while True:
        chief = Chief(member, exchange, server, threads, tell)
        try:
            result = attempt(chief)
            chief.finish()
        except DivergedError:
            with contextlib.suppress(LostError):
                chief.finish()
            raise
        except LostError:
            tell("a parameter server is gone: when it is back, the run goes on from the last checkpoint")
            time.sleep(PAUSE_SECONDS)
        else:
            return result
        finally:
            chief.close()
