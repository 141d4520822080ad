"""What a worker process does: one training run, one study of gradients, or the measurement of all costs.

TensorFlow is imported inside the functions: the process that hands out the work only names them, and
so starts, answers and draws without it.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from typing import TYPE_CHECKING, Any, Protocol, Self

from tf_rnn.files import plain
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.analysis.study import LagStudy
    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task
    from tf_rnn.training import CurvePoint, Progress

EVALUATIONS = 5
# A worker uses one thread: the workers share the cores, and results do not depend on how many there are.
THREADS = 1


class StoppedError(Exception):
    """Whoever wanted the run wants it no longer; it is given up."""


class Contact(Protocol):
    """How a run tells of its progress, and learns that it is not wanted any more.

    Attributes:
        seconds: How often to tell of progress.
    """

    seconds: float

    def tell(self, key: RunKey, fraction: float, line: str) -> None:
        """Passes a run's progress on to the process that shows it."""

    def is_stopped(self) -> bool:
        """Whether the run is to be given up."""


class Alone:
    """Nobody listens, and nobody interrupts."""

    seconds = float("inf")

    def tell(self, key: RunKey, fraction: float, line: str) -> None:
        """Tells nobody."""

    def is_stopped(self) -> bool:
        """Never."""
        return False


ALONE = Alone()


class ContactListener:
    """Listens to a training run, for a contact."""

    def __init__(self, key: RunKey, contact: Contact) -> None:
        self._key, self._contact = key, contact
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __call__(self, progress: Progress) -> None:
        """Passes a report on now and then, or gives up the run where it is not wanted any more."""
        _give_up_if_stopped(self._contact)
        if time.monotonic() >= self._next:
            self._contact.tell(self._key, progress.fraction, progress.line)
            self._next = time.monotonic() + self._contact.seconds

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        """A point of the curve is no news here."""

    def __exit__(self, *_: object) -> None:
        pass


def _give_up_if_stopped(contact: Contact) -> None:
    if contact.is_stopped():
        raise StoppedError


def same_task(make: Callable[[], Task], data_sha256: str | None) -> Task:
    """Makes the task of a run that another process has made before, perhaps on another machine.

    Args:
        make: What makes it.
        data_sha256: Of the text that it had there; None where there is none, or any will do.

    Raises:
        OptionError: For `data`, if there is no such text here.
    """
    here = f"must be the same wherever runs are done, but on {platform.node()}"
    try:
        task = make()
    except OptionError as error:
        raise OptionError("data", f"{here} it {error.problem}") from error
    if data_sha256 and getattr(task, "sha256", None) != data_sha256:
        raise OptionError("data", f"{here} it is another text")
    return task


def train_run(
    comparison: Comparison, key: RunKey, data_sha256: str | None = None, contact: Contact = ALONE
) -> dict[str, Any]:
    """Trains one graph and returns what it learnt, as plain data ready for JSON.

    Args:
        comparison: What is compared.
        key: Which run.
        data_sha256: Of the text that all runs are to learn from; None where there is none, or any will do.
        contact: Whom to tell.

    Raises:
        OptionError: If the worker does not have that text.
        StoppedError: If the run is not wanted any more.
    """
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.training import DivergedError, Truncation, train  # noqa: PLC0415

    _give_up_if_stopped(contact)
    task = same_task(comparison.make_task, data_sha256)
    graph = make_graph(comparison, task, key.num_steps, key.seed)
    truncation = Truncation(comparison.style, comparison.stride, comparison.tolerance, key.seed)
    amount: dict[str, Any] = {comparison.budget: comparison.amount}
    record: dict[str, Any] = key._asdict()
    try:
        with graph.session(threads=THREADS) as session:
            result = train(
                graph,
                task,
                **amount,
                state=key.state,
                evaluations=EVALUATIONS,
                truncation=truncation,
                session=session,
                listener=ContactListener(key, contact),
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


def study_run(
    setup: Setup,
    key: RunKey,
    tokens: float,
    data_sha256: str | None = None,
    contact: Contact = ALONE,
) -> LagStudy:
    """Trains one network for what its gradient says, and returns the gradient by lag.

    Args:
        setup: The network and its training.
        key: The width to train at and look back over, the state, the seed.
        tokens: How long to train, in examples times steps.
        data_sha256: See `train_run`.
        contact: See `train_run`.

    Raises:
        OptionError: If the worker does not have that text.
        DivergedError: If the loss is not finite.
        StoppedError: If the run is not wanted any more.
    """
    from tf_rnn.analysis.study import study_lags  # noqa: PLC0415

    _give_up_if_stopped(contact)
    return study_lags(
        setup,
        same_task(setup.make_task, data_sha256),
        key.num_steps,
        tokens=tokens,
        state=key.state,
        seed=key.seed,
        listener=ContactListener(key, contact),
        threads=THREADS,
    )


def cost_runs(comparison: Comparison, contact: Contact = ALONE) -> list[dict[str, Any]]:
    """Measures the costs of all widths of a comparison, as plain data ready for JSON.

    To be called in a process that has not run TensorFlow before: the first session decides for all
    later ones how many threads there are.
    """
    from tf_rnn.analysis import measure_costs  # noqa: PLC0415
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.graph.styles import steps_per_update  # noqa: PLC0415

    task = comparison.make_task()

    def make(width: int) -> UnrolledGraph:
        _give_up_if_stopped(contact)
        return make_graph(comparison, task, width, seed=0)

    def new_steps(width: int) -> int:
        return steps_per_update(comparison.style, width, comparison.stride, width)

    costs = measure_costs(make, task, sorted(set(comparison.num_steps)), new_steps)
    return [dataclasses.asdict(cost) for cost in costs]
