"""Where runs are computed: the registry behind `--scheduler`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.comparison.dask import dask_workers
from tf_rnn.comparison.local import local_workers
from tf_rnn.options.declared import WORKER_OPTIONS

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


def open_workers(scheduler: str, count: int | None, screen: Screen) -> AbstractContextManager[Workers]:
    """Opens workers.

    Args:
        scheduler: `local`, or the address of a Dask scheduler, `tcp://HOST:PORT`.
        count: How many, on this machine; None for one per core.
        screen: Where to show progress.

    Raises:
        OptionError: If a value is not allowed; on entry, if there is no such scheduler.
    """
    name, count = WORKER_OPTIONS["scheduler"].check(scheduler), WORKER_OPTIONS["workers"].check(count)
    return SCHEDULERS[name.partition("://")[0]](name, count, screen)
