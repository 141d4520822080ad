"""A worker other than the chief: it reads its rows and gives its gradients, and keeps nothing itself."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.checks import require_choice
from tf_rnn.training.loop import SEEDS
from tf_rnn.training.parallel.exchanges import EXCHANGES
from tf_rnn.training.parallel.patience import Patient
from tf_rnn.training.parallel.replica import Joined, Outcome, Replica
from tf_rnn.training.parallel.rows import OwnRows
from tf_rnn.training.parallel.server import LOST, PAUSE_SECONDS, start_server
from tf_rnn.training.parallel.shared import FINISHED, NOT_READY, News

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.cluster import Member
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task

# What reading the variables ends with before the chief has given them values.
NOT_BEGUN = (tf.errors.FailedPreconditionError, tf.errors.NotFoundError)
# How often a worker that is there first looks whether the chief has come.
LOOK_SECONDS = 0.3
# Seeds of workers are so far apart that those of different runs are not those of different workers.
BETWEEN_SEEDS = 1_000_003


class Worker:
    """Takes part in a run until the chief says that it is at its end.

    Args:
        graph: The graph that one process would train alone.
        task: What is learnt.
        member: This process, not worker 0.
        exchange: "sync" or "async"; see `tf_rnn.training.parallel.exchanges`.
        style: Of truncation; "block" is the only one.
        state: "carry" or "reset".
        seed: Of what dropout drops.
        threads: Upper limit on the threads used; None for one a core.
        tell: Given a line for the user.

    Raises:
        OptionError: If an option is not allowed.
    """

    def __init__(
        self,
        graph: UnrolledGraph,
        task: Task,
        member: Member,
        *,
        exchange: str,
        style: str,
        state: str,
        seed: int,
        threads: int | None,
        tell: Callable[[str], None],
    ) -> None:
        require_choice("exchange", exchange, EXCHANGES)
        member.cluster.rows_of_each(graph.batch_size, style)
        self._server, self._threads, self._tell = start_server(member, threads), threads, tell
        self._replica = Replica(graph, member, exchange)
        self._rows = OwnRows(
            task, graph.batch_size, graph.num_steps, member.index, member.cluster.num_workers
        )
        self._resets, self._keeps_step = state == "reset", exchange == "sync"
        self._seed = seed + member.index * BETWEEN_SEEDS
        self._servers = ", ".join(member.cluster.ps)
        self._patient = Patient(tell)
        self._updates = 0
        self._controls: dict[str, Callable[[News, int], Any]] = {}
        if not self._keeps_step:  # else the chief's rate is the one that counts
            self._controls["learning_rate"] = lambda news, _: news.rate
        if graph.options.dropout:
            self._controls["dropout_seed"] = self._dropout_seed
        self._feeding = tuple(self._controls)

    def __call__(self) -> int:
        """Takes part.

        Returns:
            The updates that it has made or taken part in.
        """
        while not self._take_part():
            self._tell("a parameter server is gone: this worker joins again when the chief has begun again")
            time.sleep(PAUSE_SECONDS)
        return self._updates

    def _take_part(self) -> bool:
        """Whether it could do so to the end."""
        session = self._replica.session(self._server, self._threads)
        try:
            run = self._patient(lambda: self._replica.runner(session, self._feeding), self._waiting)
            joined = self._join(session)
            while joined.news.generation != FINISHED:
                self._go_on(session, run, joined)
                joined = self._join(session)
        except LOST:
            return False
        finally:
            session.close()
        return True

    def _join(self, session: Any) -> Joined:
        """Waits until the chief has begun, and returns where this worker is."""

        def joined() -> Joined:
            while True:
                with contextlib.suppress(*NOT_BEGUN):
                    found = self._replica.join(session)
                    if found is not None and found.news.generation != NOT_READY:
                        return found
                time.sleep(LOOK_SECONDS)

        found: Joined = self._patient(joined, self._waiting)
        return found

    def _waiting(self) -> str:
        return f"waiting for the chief (worker 0) to begin, and for the parameter servers at {self._servers}"

    def _go_on(self, session: Any, run: Callable[..., Outcome], joined: Joined) -> None:
        """Makes updates until the run goes on from a checkpoint, or ends."""
        news, position, state = joined
        generation, zero_state = news.generation, self._replica.graph.zero_state()
        epoch, block = self._rows.position(position)
        self._tell(f"joined in epoch {epoch + 1} at block {block + 1} of {self._rows.blocks_per_epoch}")
        while news.generation == generation:
            if self._resets or self._rows.position(position).block == 0:
                state = zero_state
            news, state = self._update(session, run, news, position, state)
            position += 1

    def _update(
        self, session: Any, run: Callable[..., Outcome], news: News, position: int, state: Any
    ) -> tuple[News, Any]:
        block, tick = self._rows.block(position), news.generation + news.updates
        values = [self._controls[name](news, position) for name in self._feeding]
        outcome = self._patient(lambda: run(block, state, tick, *values), self._waiting_for_others)
        after = outcome.news
        while self._keeps_step and after[:2] == news[:2]:  # let go on by what had been said before
            after = self._patient(lambda: self._replica.wait(session), self._waiting_for_others)
        self._updates += after.generation == news.generation  # else it came too late to count
        return after, outcome.final_state

    def _waiting_for_others(self) -> str:
        if self._keeps_step:
            return "standing still: synchronous updates need every worker, and one or more must come"
        return f"waiting for the parameter servers at {self._servers}"

    def _dropout_seed(self, news: News, position: int) -> np.ndarray:
        return np.array([self._seed % SEEDS, position % SEEDS], np.int32)
