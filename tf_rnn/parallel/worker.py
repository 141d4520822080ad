"""Workers that train one network together, connected in a ring."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tf_rnn.parallel.all_reduce import AllReduce
from tf_rnn.parallel.rows import gathered_state, own_state, shared_task
from tf_rnn.training.checkpoints import read_state, write_state
from tf_rnn.training.evaluation import Evaluation
from tf_rnn.training.run_folder import require_finite_weights
from tf_rnn.training.state import read_variables
from tf_rnn.training.worker import Votes, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.parallel.ring import Ring
    from tf_rnn.tasks import Task
    from tf_rnn.training import CurvePoint, TrainingState
    from tf_rnn.training.run_folder import RunFolder, Saver


class RingWorker(Worker):
    """A worker connected with others in a ring.

        with Ring(cluster_task()) as ring, RingWorker(ring) as worker:
            graph = UnrolledGraph(..., batch_size=8, reduce_gradients=worker.reduce_gradients)
            tf_rnn.train(graph, task, out="runs/a", worker=worker)

    All workers must train the same network on the same task; its batches have the rows of all of them.
    Used as a context it raises LostWorkerError where TensorFlow would raise an error of its own.

    Args:
        ring: The connections to the other workers.
    """

    def __init__(self, ring: Ring) -> None:
        self.index, self.num_workers = ring.task.index, ring.task.num_workers
        self._ring, self._all_reduce = ring, AllReduce(ring)
        self.reduce_gradients = self._all_reduce

    def __enter__(self) -> Self:
        self._all_reduce.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._all_reduce.__exit__(kind, error, trace)

    def share(self, task: Task, style: str) -> Task:
        """See `Worker.share`."""
        self._ring.task.check(self.num_workers, style)
        return shared_task(self._ring.task, task)

    def begin(
        self, start: TrainingState, folder: RunFolder | None, graph: UnrolledGraph, session: Any
    ) -> tuple[TrainingState, Saver | None]:
        """Sends worker 0's state to the others, in the form of a checkpoint.

        Returns:
            The state, with variables even for a new run, and what saves the run.
        """
        if not self.is_chief:
            content, is_kept = self._ring.broadcast(())
            return read_state(content.tobytes()), AbsentFolder() if is_kept else None
        if not start.variables:
            start = dataclasses.replace(start, variables=read_variables(graph, session))
        file = io.BytesIO()
        write_state(file, start)
        self._ring.broadcast([np.frombuffer(file.getvalue(), np.uint8), np.array(folder is not None)])
        return start, folder

    def loss(self, graph: UnrolledGraph) -> Any:
        """See `Worker.loss`."""
        return self._all_reduce.loss(graph)

    def agree(self, votes: Votes) -> Votes:
        """Returns what the workers had voted for before the last step; votes travel with the gradient.

        Votes given now count after the next step.
        """
        seconds, stop, save = self._all_reduce.sums or (0.0, 0.0, 0.0)
        self._all_reduce.sums = ()  # after the end of an epoch there is no step between two calls
        own = Votes(0.0, votes.stop, save=False)
        if self.is_chief:
            own = votes._replace(save=votes.save and not save)  # what is agreed is done now, not twice
        self._all_reduce.numbers = tuple(map(float, own))
        return Votes(seconds, stop > 0, save > 0)

    def seconds(self, own: float) -> float:
        """Training time of worker 0 before the last step."""
        return self._all_reduce.sums[0]

    def evaluation(self, evaluate: Callable[[], Evaluation]) -> Evaluation:
        """Evaluates in worker 0; the others receive the numbers."""
        if self.is_chief:
            found = evaluate()
            lags, scores = list(found.dependency_scores), list(found.dependency_scores.values())
            numbers = found.loss, found.standard_error, found.tokens
            self._ring.broadcast([np.array(numbers, float), np.array(lags, int), np.array(scores, float)])
            return found
        (loss, error, tokens), lags, scores = (part.tolist() for part in self._ring.broadcast(()))
        return Evaluation(loss, error, int(tokens), dict(zip(lags, scores, strict=True)))

    def own_rows(self, state: Any) -> Any:
        """See `Worker.own_rows`."""
        return own_state(self._ring.task, state)

    def all_rows(self, state: Any) -> Any:
        """See `Worker.all_rows`; all workers must call it at the same point."""
        return gathered_state(self._ring, state)


class AbsentFolder:
    """The folder of a run as seen by the workers that have none: worker 0 saves the run."""

    save_is_due = False

    def save(
        self, state: TrainingState, weights: set[str], curve: list[CurvePoint], *, is_over: bool = False
    ) -> None:
        """Saves nothing.

        Raises:
            DivergedError: As in worker 0.
        """
        require_finite_weights(state, weights)
