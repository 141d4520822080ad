"""What a worker process does: one training run, or the measurement of all costs.

TensorFlow is imported inside the functions: the process that hands out the work only names them, and
so starts, answers and draws without it.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from tf_rnn.output import plain

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event

    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.training import CurvePoint, Progress

EVALUATIONS = 5

_channel: dict[str, Any] = {}


class StoppedError(Exception):
    """The comparison was interrupted; the run is given up."""


def connect(messages: Queue[Any], stop: Event) -> None:
    """Readies a worker process: progress goes to `messages`, `stop` ends its runs.

    An interrupt from the keyboard reaches every process; the one that hands out the work answers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _channel.update(messages=messages, stop=stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the one that hands out the work is gone, killed perhaps."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class ChannelListener:
    """Passes a run's progress on to the process that shows it."""

    def __init__(self, key: RunKey) -> None:
        self._key = key

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        """Passes a report on, or gives up the run if the comparison was interrupted."""
        if _channel:
            _give_up_if_stopped()
            _channel["messages"].put((self._key, progress.fraction, progress.line))

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        """A point of the curve is no news here."""

    def __exit__(self, *_: object) -> None:
        pass


def _give_up_if_stopped() -> None:
    if _channel and _channel["stop"].is_set():
        raise StoppedError


def train_run(comparison: Comparison, key: RunKey) -> dict[str, Any]:
    """Trains one graph and returns what it learnt, as plain data ready for JSON.

    A worker uses one thread: the workers share the cores, and results do not depend on how many
    there are.
    """
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.training import DivergedError, Truncation, train  # noqa: PLC0415

    _give_up_if_stopped()
    task = comparison.make_task()
    graph = make_graph(comparison, task, key.num_steps, key.seed)
    truncation = Truncation(comparison.style, comparison.stride, comparison.tolerance, key.seed)
    amount: dict[str, Any] = {comparison.budget: comparison.amount}
    record: dict[str, Any] = key._asdict()
    try:
        with graph.session(threads=1) as session:
            result = train(
                graph,
                task,
                **amount,
                state=key.state,
                evaluations=EVALUATIONS,
                truncation=truncation,
                session=session,
                listener=ChannelListener(key),
            )
    except DivergedError as error:
        return record | {"loss": None, "error": str(error)}
    return record | {
        "loss": result.evaluation.loss,
        "error": None,
        "standard_error": result.evaluation.standard_error,
        "train_loss": result.curve[-1].train_loss,
        "dependency_scores": {str(lag): score for lag, score in result.evaluation.dependency_scores.items()},
        "updates": result.updates,
        "tokens": result.tokens,
        "seconds": result.seconds,
        "curve": [plain(point._asdict()) for point in result.curve],
    }


def cost_runs(comparison: Comparison) -> list[dict[str, Any]]:
    """Measures the costs of all widths of a comparison, as plain data ready for JSON."""
    from tf_rnn.analysis import measure_costs  # noqa: PLC0415
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.graph.styles import steps_per_update  # noqa: PLC0415

    task = comparison.make_task()

    def make(width: int) -> UnrolledGraph:
        _give_up_if_stopped()
        return make_graph(comparison, task, width, seed=0)

    def new_steps(width: int) -> int:
        return steps_per_update(comparison.style, width, comparison.stride, width)

    costs = measure_costs(make, task, sorted(set(comparison.num_steps)), new_steps)
    return [dataclasses.asdict(cost) for cost in costs]
