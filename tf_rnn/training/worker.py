"""A worker: this process, as one of those that train a network together.

`train` does all that concerns several processes through the methods of one object. Here there is one
process, and they do nothing; `tf_rnn.parallel.worker.RingWorker` overrides them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.evaluation import Evaluation
    from tf_rnn.training.run_folder import RunFolder, Saver
    from tf_rnn.training.state import TrainingState


class Votes(NamedTuple):
    """What each process sees for itself and all must agree on.

    Attributes:
        seconds: Training time so far; that of worker 0 counts.
        stop: Whether to stop; one worker is enough.
        save: Whether a checkpoint is due; worker 0 decides.
    """

    seconds: float
    stop: bool
    save: bool


class Worker:
    """Base class of workers: the only process that trains.

    Attributes:
        index: Its number, from 0. Worker 0 evaluates, reports and saves the run.
        num_workers: Number of workers. Each reads the same number of rows.
        reduce_gradients: What graphs are made with; see `UnrolledGraph`.
    """

    index: int = 0
    num_workers: int = 1
    reduce_gradients: Callable[..., list[Any]] | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this is worker 0."""
        return self.index == 0

    def share(self, task: Task, style: str) -> Task:
        """The task with this worker's rows alone: `rows(b)` are its b of all rows.

        Args:
            task: The task.
            style: The truncation style.

        Raises:
            OptionError: If several workers cannot train in this style.
        """
        return task

    def begin(
        self, start: TrainingState, folder: RunFolder | None, graph: UnrolledGraph, session: Any
    ) -> tuple[TrainingState, Saver | None]:
        """Returns the state to start from and what saves the run, once all workers are ready.

        Args:
            start: The state, as worker 0 has it.
            folder: The folder, of worker 0; None for no saving.
            graph: The graph being trained.
            session: An open session of it.
        """
        return start, folder

    def loss(self, graph: UnrolledGraph) -> Any:
        """The mean loss over all rows in a training step, a scalar tensor."""
        return graph.total_loss

    def agree(self, votes: Votes) -> Votes:
        """Returns what all workers do before their next step, from what each would do."""
        return votes

    def seconds(self, own: float) -> float:
        """Training time of worker 0 for the history, which is the same for all."""
        return own

    def evaluation(self, evaluate: Callable[[], Evaluation]) -> Evaluation:
        """The evaluation that worker 0 makes."""
        return evaluate()

    def own_rows(self, state: Any) -> Any:
        """This worker's part of the states of all rows, arrays [rows, state_size] in any structure."""
        return state

    def all_rows(self, state: Any) -> Any:
        """The states of all rows from each worker's own."""
        return state
