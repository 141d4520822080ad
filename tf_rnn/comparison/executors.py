"""Handing out work through `concurrent.futures.Executor`, whatever stands behind it."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tf_rnn.comparison.settings import RunKey
    from tf_rnn.comparison.worker import Contact

# After so long it is looked whether there are more workers than before.
LOOK_SECONDS = 1.0


class WorkerDiedError(RuntimeError):
    """A worker process ended in the middle of its work, each time that the work was tried."""


class Workers(NamedTuple):
    """Whoever does the work.

    Attributes:
        executor: Where to submit it.
        contact: What work is given to tell of its progress.
        slots: How many pieces of work are done at a time, now; no more are submitted, so that the
            death of a worker concerns no work but what it did.
        deaths: What a future raises whose worker died each time that the work was tried.
    """

    executor: Executor
    contact: Contact
    slots: Callable[[], int]
    deaths: tuple[type[Exception], ...]


def completed(
    workers: Workers, work: Callable[..., Any], calls: Iterable[tuple[RunKey, tuple[Any, ...]]]
) -> Iterator[tuple[RunKey, Any]]:
    """Does pieces of work and yields what each gave, as they end.

    Args:
        workers: Who does them.
        work: A function that can be pickled by its name.
        calls: A key for each piece, and the arguments of `work`; begun in this order.

    Yields:
        The key and what `work` returned; or a `WorkerDiedError` where it came to nothing.

    Raises:
        Exception: What `work` raises.
    """
    waiting = iter(calls)
    pending: dict[Future[Any], RunKey] = {}
    while True:
        room = max(1, workers.slots()) - len(pending)
        for _, (key, arguments) in zip(range(room), waiting, strict=False):
            pending[workers.executor.submit(work, *arguments)] = key
        if not pending:
            return
        done, _ = wait(pending, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            yield pending.pop(future), _outcome(future, workers.deaths)


def _outcome(future: Future[Any], deaths: tuple[type[Exception], ...]) -> Any:
    try:
        return future.result()
    except deaths:
        return WorkerDiedError("its worker process died each time (killed, or out of memory?)")
