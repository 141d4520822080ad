"""Where runs are computed: the registry behind `--scheduler`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tf_rnn.comparison.dask import dask_workers
from tf_rnn.comparison.local import local_workers
from tf_rnn.options import OptionError, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tf_rnn.comparison.executors import Workers
    from tf_rnn.comparison.screen import Screen

LOCAL = "local"
# By the scheduler's name, or by the protocol of its address.
SCHEDULERS: dict[str, Callable[[str, int | None, Screen], AbstractContextManager[Workers]]] = {
    LOCAL: local_workers,
    "tcp": dask_workers,
}


def require_scheduler(name: str) -> str:
    """Returns the name of a scheduler, or raises OptionError unless it is `local` or `tcp://HOST:PORT`."""
    if name == LOCAL:
        return name
    try:
        parts = urlsplit(name)
        is_address = bool(parts.hostname and parts.port) and not (parts.path or parts.query)
    except ValueError:  # the port is no number
        is_address = False
    if not is_address or parts.scheme not in SCHEDULERS:
        raise OptionError(
            "scheduler",
            f"must be {LOCAL} or the address of a Dask scheduler, tcp://HOST:PORT, got {name!r}",
        )
    return name


def open_workers(scheduler: str, count: int | None, screen: Screen) -> AbstractContextManager[Workers]:
    """Opens workers.

    Args:
        scheduler: `local`, or the address of a Dask scheduler, `tcp://HOST:PORT`.
        count: How many, on this machine; None for one per core.
        screen: Where to show progress.

    Raises:
        OptionError: If a value is not allowed; on entry, if there is no such scheduler.
    """
    if count is not None:
        require_whole("workers", count)
    return SCHEDULERS[require_scheduler(scheduler).partition("://")[0]](scheduler, count, screen)
