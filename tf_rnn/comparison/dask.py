"""Workers of a running Dask cluster; see https://distributed.dask.org."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import importlib.metadata
import logging
import uuid
import warnings
import weakref
from concurrent import futures
from concurrent.futures import CancelledError, Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.executors import WorkerDiedError, Workers
from tf_rnn.comparison.settings import RunKey
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tf_rnn.comparison.channel import Measurement
    from tf_rnn.comparison.screen import Screen

EXTRA = 'pip install "tf-rnn[cluster]"'
CONNECT_SECONDS = 5.0
PACKAGE = Path(__file__).resolve().parent.parent
# Results are the same only if these and the package itself are.
LIBRARIES = ("tensorflow", "numpy")
LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application")


class TopicChannel:
    """Sends reports as events of a topic of the scheduler.

    Args:
        topic: The name of the topic.
    """

    seconds = 1.0  # the scheduler keeps the events of a topic

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def send(self, key: RunKey | Measurement, fraction: float, line: str) -> None:
        """Sends the progress of a run."""
        from distributed import get_worker  # noqa: PLC0415

        get_worker().log_event(self._topic, [*key, fraction, line])

    def is_cancelled(self) -> bool:
        """Whether the scheduler has cancelled the run, since its client did or is gone."""
        from distributed import get_worker  # noqa: PLC0415

        worker = get_worker()
        task = worker.state.tasks.get(worker.get_current_task())
        return task is None or task.state == "cancelled"


@functools.cache
def source() -> dict[str, str]:
    """The version of the package: a digest of its source."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode() + path.read_bytes())
    return {"tf_rnn": digest.hexdigest()[:12]}


@functools.cache
def fingerprint() -> dict[str, str]:
    """Versions of the package and of libraries; with equal ones results are the same."""
    return source() | {name: importlib.metadata.version(name) for name in LIBRARIES}


def checked(here: dict[str, str], work: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function on a worker that has the expected versions.

    Args:
        here: The fingerprint of the process that submits the work.
        work: The function.
        *arguments: Its arguments.

    Raises:
        OptionError: For `scheduler`, if the worker has other versions.
    """
    from distributed import get_worker  # noqa: PLC0415

    _require_same(f"the worker at {get_worker().address}", fingerprint(), here)
    return work(*arguments)


def _require_same(place: str, there: dict[str, str], here: dict[str, str]) -> None:
    for name, version in there.items():
        if here[name] != version:
            raise OptionError(
                "scheduler",
                f"must have the same {name} everywhere; {place} has {version}, here it is {here[name]}",
            )


class DaskExecutor(Executor):
    """Workers of a Dask cluster that have the expected versions.

    Dask's own executor asks a future for its state after receiving its result. If the worker has died
    in between, that state is "lost", and the result becomes a TypeError. Here it stays a result.

    Args:
        client: A connected `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._there: weakref.WeakKeyDictionary[Future[Any], Any] = weakref.WeakKeyDictionary()

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Future[Any]:  # type: ignore[override]
        """Submits work; its name is shown on Dask's dashboard."""
        key = f"{work.__name__}-{uuid.uuid4().hex}"
        there = self._client.submit(checked, fingerprint(), work, *arguments, key=key)
        here = asyncio.run_coroutine_threadsafe(_outcome(there), self._client.loop.asyncio_loop)
        self._there[here] = there
        return here

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancels running work, or waits for it."""
        if cancel_futures:
            self._client.cancel(list(self._there.values()))
        elif wait:
            futures.wait(list(self._there))


async def _outcome(there: Any) -> Any:
    """The result of a Dask future, as a coroutine, which asyncio requires."""
    return await there


@contextlib.contextmanager
def dask_workers(address: str, count: int | None, screen: Screen) -> Iterator[Workers]:
    """Opens the workers of a Dask scheduler.

    Args:
        address: That of the scheduler, `tcp://HOST:PORT`.
        count: None; the cluster decides how many workers there are.
        screen: Where to show progress.

    Yields:
        The workers. They give up their runs soon after an error, and when this process dies.

    Raises:
        OptionError: If Dask is not installed, no scheduler answers, or the workers have other versions.
        WorkerDiedError: If the scheduler goes away.
    """
    if count is not None:
        raise OptionError(
            "workers", f"must be left out, as {address} decides how many there are, got {count}"
        )
    try:
        import distributed  # noqa: PLC0415 (an extra, and only clusters need it)
    except ImportError as error:
        raise OptionError("scheduler", f"must be local unless Dask is installed ({EXTRA})") from error
    with _quiet(), _connected(distributed, address) as client:
        _check_workers(client, address)
        topic = f"tf_rnn-{uuid.uuid4().hex}"
        client.subscribe_topic(topic, lambda event: screen.show_run(RunKey(*event[1][:-2]), *event[1][-2:]))
        executor = DaskExecutor(client)
        try:
            yield Workers(
                executor,
                TopicChannel(topic),
                _Slots(client, address, screen),
                (distributed.scheduler.KilledWorker,),
            )
        except CancelledError as error:
            raise WorkerDiedError(f"the scheduler at {address} is gone") from error
        finally:
            executor.shutdown(cancel_futures=True)


class _Slots:
    """The number of threads of all workers at the moment; prints a line when none is left."""

    def __init__(self, client: Any, address: str, screen: Screen) -> None:
        self._client, self._address, self._screen = client, address, screen
        self._last = 1

    def __call__(self) -> int:
        """Asks the scheduler; raises CancelledError if it is gone."""
        if self._client.status != "running":
            raise CancelledError
        try:
            count: int = sum(self._client.nthreads().values())
        except OSError as error:
            raise CancelledError from error
        if self._last and not count:
            self._screen.say(f"no worker is left at {self._address}; waiting for one")
        self._last = count
        return count


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences Dask's log; what matters to the user is printed as one line."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _connected(distributed: Any, address: str) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():  # versions are compared below
            warnings.simplefilter("ignore")
            client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise OptionError(
            "scheduler",
            f"must be the address of a running Dask scheduler; none answers at {address} "
            f"within {CONNECT_SECONDS:g} s",
        ) from error
    try:
        yield client
    finally:
        client.close()


def _check_workers(client: Any, address: str) -> None:
    """Raises OptionError unless there are workers, and they and the scheduler have the expected versions."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)  # they may just have been started
    except TimeoutError as error:
        raise OptionError(
            "scheduler",
            f"must have workers, {address} has none; start one with `python -m dask worker {address}`",
        ) from error
    try:  # work passes through the scheduler, which must be able to import it
        found = {f"the scheduler at {address}": client.run_on_scheduler(source)}
    except Exception as error:  # of any kind: Dask does not always keep the type
        found = {f"the scheduler at {address}": error}
    workers = client.run(fingerprint, on_error="return")
    found |= {f"the worker at {worker}": there for worker, there in workers.items()}
    for place, there in found.items():
        if isinstance(there, dict):
            _require_same(place, there, fingerprint())
        elif not isinstance(there, OSError):  # a worker that is just ending raises it
            wanted = ", ".join(fingerprint())
            raise OptionError("scheduler", f"must have {wanted} everywhere; {place} says: {there}")
