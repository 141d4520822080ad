"""The addresses of the workers and which of them this process is, in the terms of TensorFlow's TF_CONFIG."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.options import OptionError, require_choice, require_whole, shown
from tf_rnn.options.words import TASK_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

# The truncation styles in which all workers run the same graphs in the same order, whatever their data.
STYLES = ("block",)
VARIABLE = "TF_CONFIG"
EXAMPLE = '{"worker": ["host:port", "host:port"]}'
LAST_PORT = 65535


@dataclasses.dataclass(frozen=True)
class ClusterTask:
    """One process of a cluster.

    Attributes:
        worker: The address of each worker, `host:port`. Worker 0 is the chief: it evaluates, reports and
            saves the run.
        index: Which of them this process is, from 0.
        task_type: "worker", the only type.

    Raises:
        OptionError: For `cluster`, if there is no worker, an address is malformed or occurs twice; for
            `task_type` and `task_index`, if there is no such worker.
    """

    worker: tuple[str, ...]
    index: int = 0
    task_type: str = "worker"

    def __post_init__(self) -> None:
        require_choice("task_type", self.task_type, TASK_TYPES)
        if not self.worker:
            raise OptionError("cluster", "must name at least one worker, got none")
        for address in self.worker:
            split_address(address)
            if self.worker.count(address) > 1:
                raise OptionError("cluster", f"must name each address once, got {address!r} twice")
        require_whole("task_index", self.index, at_least=0)
        if self.index >= self.num_workers:
            raise OptionError(
                "task_index", f"must be from 0 to {self.num_workers - 1} in this cluster, got {self.index}"
            )

    @property
    def num_workers(self) -> int:
        """Number of workers."""
        return len(self.worker)

    @property
    def is_chief(self) -> bool:
        """Whether this is worker 0."""
        return self.index == 0

    def check(self, batch_size: int, style: str) -> None:
        """Raises OptionError unless the workers can train together.

        Args:
            batch_size: The rows of a batch, of all workers.
            style: The truncation style.
        """
        self.rows(batch_size)
        if style not in STYLES and self.num_workers > 1:
            allowed = " or ".join(STYLES)
            raise OptionError("style", f"must be {allowed} with several workers, got {style!r}")

    def rows(self, batch_size: int) -> slice:
        """The rows of a batch that this worker reads, of the rows that all workers read together.

        Raises:
            OptionError: For `batch_size`, if the rows cannot be divided evenly.
        """
        if batch_size % self.num_workers:
            raise OptionError(
                "batch_size",
                f"must be a multiple of the number of workers ({self.num_workers}), got {batch_size}",
            )
        share = batch_size // self.num_workers
        return slice(self.index * share, (self.index + 1) * share)


def cluster_task(
    cluster: str | None = None,
    task_type: str | None = None,
    task_index: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> ClusterTask | None:
    """Returns the cluster and which of its workers this process is; None without a cluster.

    Options given take precedence over the environment variable TF_CONFIG, which has the form

        {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}

    Args:
        cluster: `{"worker": ["host:port", ...]}`, or the path of a JSON file that contains it.
        task_type: "worker"; None for "worker".
        task_index: Index of this process in the list of workers.
        environment: Where TF_CONFIG is looked up.

    Raises:
        OptionError: If the description is incomplete or malformed.
    """
    if cluster is None:
        for option, value in (("task_type", task_type), ("task_index", task_index)):
            if value is not None:
                raise OptionError(option, f"must be left out without cluster, got {value!r}")
        return _from_environment(environment.get(VARIABLE, ""))
    if task_index is None:
        raise OptionError("task_index", "must be given with cluster")
    return ClusterTask(_workers(_described(cluster)), task_index, task_type or TASK_TYPES[0])


def split_address(address: Any) -> tuple[str, int]:
    """Returns host and port of `host:port`; an IPv6 host is in brackets, which are removed.

    Raises:
        OptionError: For `cluster`, if it is no address.
    """
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    is_port = port.isascii() and port.isdigit() and 1 <= int(port) <= LAST_PORT
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not is_port or not host or any(letter.isspace() or letter in "/[]" for letter in host):
        raise OptionError("cluster", f"must have addresses of the form host:port, got {shown(address)}")
    return host, int(port)


def _from_environment(text: str) -> ClusterTask | None:
    if not text.strip():
        return None
    try:
        value = json.loads(text)
        cluster, task = value.get("cluster"), value.get("task", {})
        task_type, index = task.get("type"), task.get("index")
    except (ValueError, AttributeError) as error:
        raise OptionError(
            "cluster", f"must be described by valid JSON in {VARIABLE}, got {shown(text)}"
        ) from error
    if not cluster:
        return None
    return ClusterTask(_workers(cluster), index, task_type)


def _described(cluster: str) -> Any:
    """The JSON value of an option: the text itself, or what is in the file that it names."""
    text = cluster
    if not cluster.lstrip().startswith(("{", "[")):
        try:
            text = Path(cluster).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not a text file"
            problem = f"must be JSON or a file that can be read, got {shown(cluster)} ({why})"
            raise OptionError("cluster", problem) from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise OptionError("cluster", f"must be JSON like {EXAMPLE}, got {shown(cluster)}") from error


def _workers(value: Any) -> tuple[str, ...]:
    if not isinstance(value, dict) or set(value) != {"worker"}:
        got = f"the keys {sorted(value)}" if isinstance(value, dict) else shown(value)
        raise OptionError("cluster", f"must have the single key worker, like {EXAMPLE}; got {got}")
    if not isinstance(value["worker"], list):
        raise OptionError(
            "cluster", f"must have a list of addresses for worker, got {shown(value['worker'])}"
        )
    return tuple(value["worker"])
