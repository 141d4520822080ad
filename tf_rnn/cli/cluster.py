"""How a process of `train` joins those that it trains together with."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, Protocol

from tf_rnn.console import say
from tf_rnn.files import CONFIG, is_there
from tf_rnn.options.declared import CLUSTER_OPTIONS
from tf_rnn.parallel import Ring, cluster_task
from tf_rnn.parallel.launcher import RESTART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.training import Worker
    from tf_rnn.training_run import PreparedRun

# Options whose values may differ between the workers. Data are compared by their content.
OWN = ("out", "resume", "data", "threads", *CLUSTER_OPTIONS)


class Prepare(Protocol):
    """Prepares the run that options describe."""

    def __call__(self, given: dict[str, Any], config: dict[str, Any] | None = None) -> PreparedRun:
        """Returns the run.

        Args:
            given: The options, by name.
            config: The configuration of a run that is resumed, if another process has its folder.

        Raises:
            OptionError: If a value is not allowed.
        """


@contextlib.contextmanager
def joined(given: dict[str, Any], prepare: Prepare) -> Iterator[tuple[PreparedRun, Worker | None]]:
    """Prepares the run that options describe, and connects this process with those that train it, too.

    Worker 0 alone has a folder. Options are checked before the process waits for the others.

    Args:
        given: The options, by name.
        prepare: Prepares a run.

    Yields:
        The run, and the worker; None for training by this process.

    Raises:
        OptionError: If an option is not allowed, or differs from that of another worker.
        LostWorkerError: If another worker has ended.
    """
    place = cluster_task(given.get("cluster"), given.get("task_type"), given.get("task_index"))
    if place is None:
        yield prepare(given), None
        return
    prepared = None
    if place.is_chief:
        prepared = prepare(restarted(given))
    elif "resume" not in given:
        prepared = prepare(given | {"out": None})
    if prepared is not None:
        place.check(prepared.batch_size, prepared.style)
    with Ring(place, agreement(given, prepared), say) as ring:
        from tf_rnn.parallel.worker import RingWorker  # noqa: PLC0415 (it takes longer than a refusal may)

        config = ring.broadcast_json(prepared and prepared.config)
        with RingWorker(ring) as worker:
            yield prepared or prepare(given, config), worker


def restarted(given: dict[str, Any]) -> dict[str, Any]:
    """The options with which a new run is resumed, if a launcher has started its workers again."""
    count = os.environ.get(RESTART, "")
    return continued(given) if count.isdecimal() and int(count) else given


def continued(given: dict[str, Any]) -> dict[str, Any]:
    """The options with which the run in the folder `out` is resumed, if there is one."""
    out, of_new = given.get("out"), ("out", "start_from")
    if out is None or not is_there(out, CONFIG):
        return given
    return {name: value for name, value in given.items() if name not in of_new} | {"resume": out}


def agreement(given: dict[str, Any], prepared: PreparedRun | None) -> str:
    """What must be the same for all workers: versions, options and, of a new run, the data."""
    from tf_rnn.comparison.dask import fingerprint  # noqa: PLC0415

    options = {name: given[name] for name in sorted(given) if name not in OWN}
    data = None if prepared is None or "resume" in given else getattr(prepared.task, "sha256", None)
    return json.dumps([fingerprint(), "resume" in given, options, data], default=str)


def resuming(worker: Worker | None) -> str:
    """The words of a command that resumes a run, but for the folder."""
    if worker is None or RESTART not in os.environ:
        return "train --resume"
    return f"launch --workers {worker.num_workers} -- train --resume"
