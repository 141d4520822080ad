"""Work for a `concurrent.futures.Executor`, wherever it runs."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tf_rnn.comparison.channel import Channel
    from tf_rnn.comparison.settings import RunKey

# How often to check whether there are more workers than before.
CHECK_SECONDS = 1.0


class WorkerDiedError(RuntimeError):
    """A worker process ended in the middle of its work, every time that the work was tried."""


class Workers(NamedTuple):
    """An executor and what belongs to it.

    Attributes:
        executor: Where to submit work.
        channel: For the work to report its progress; None for no reports.
        slots: Returns how many pieces of work can run at a time, at the moment. No more are submitted,
            so that the death of a worker affects only the work that it was doing.
        deaths: What a future raises whose worker died every time that the work was tried.
        cores: How many of them can run at full speed at a time; None for all.
    """

    executor: Executor
    channel: Channel | None
    slots: Callable[[], int]
    deaths: tuple[type[Exception], ...]
    cores: int | None = None


def completed(
    workers: Workers, work: Callable[..., Any], calls: Iterable[tuple[RunKey, tuple[Any, ...]]]
) -> Iterator[tuple[RunKey, Any]]:
    """Runs pieces of work and yields their results as they complete.

    Args:
        workers: Where to run them.
        work: A function that can be pickled by its name.
        calls: A key and the arguments of `work` for each piece, started in this order.

    Yields:
        The key and what `work` returned, or a `WorkerDiedError` if its worker died.

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
        done, _ = wait(pending, timeout=CHECK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            yield pending.pop(future), _outcome(future, workers.deaths)


def _outcome(future: Future[Any], deaths: tuple[type[Exception], ...]) -> Any:
    try:
        return future.result()
    except deaths:
        return WorkerDiedError("its worker process died every time (killed, or out of memory?)")
