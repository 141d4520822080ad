"""Which machines a cluster has: TensorFlow's cluster specification, `{"ps": [...], "worker": [...]}`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.checks import OptionError, require_choice, require_whole

if TYPE_CHECKING:
    import os

JOBS = ("ps", "worker")
# In blocks, the place in the stream is a function of how many of them have been read.
STYLE = "block"
EXAMPLE = '{"ps": ["host:port"], "worker": ["host:port", "host:port"]}'
LAST_PORT = 65535


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The addresses of a cluster's processes, each `host:port`.

    Attributes:
        ps: Parameter servers, which hold the variables between them.
        worker: Workers, which compute gradients; the first is the chief, which begins the run, applies
            synchronous updates, evaluates on held-out data and keeps the run in its folder.

    Raises:
        OptionError: For `cluster`, if there is no ps, no worker, or an address is none or stands twice.
    """

    ps: tuple[str, ...]
    worker: tuple[str, ...]

    def __post_init__(self) -> None:
        for job in JOBS:
            if not getattr(self, job):
                raise OptionError("cluster", f"must name at least one {job}, got none")
        addresses = (*self.ps, *self.worker)
        for address in addresses:
            _require_address(address)
            if addresses.count(address) > 1:
                raise OptionError("cluster", f"must name each address once, got {address!r} twice")

    @property
    def num_workers(self) -> int:
        """How many workers there are, the chief among them."""
        return len(self.worker)

    def to_json(self) -> dict[str, list[str]]:
        """As TensorFlow, and a file, want it."""
        return {"ps": list(self.ps), "worker": list(self.worker)}

    def rows_of_each(self, batch_size: int, style: str = STYLE) -> int:
        """How many of the rows that are read side by side each worker has.

        Args:
            batch_size: The rows of all workers together.
            style: How they are read; see `tf_rnn.graph.styles`.

        Raises:
            OptionError: If they cannot be shared out evenly, or are not read in blocks.
        """
        if style != STYLE:
            raise OptionError("style", f"must be {STYLE} with a cluster, got {style!r}")
        if batch_size % self.num_workers:
            raise OptionError(
                "batch_size",
                f"must be a multiple of the number of workers ({self.num_workers}), got {batch_size}",
            )
        return batch_size // self.num_workers


@dataclasses.dataclass(frozen=True)
class Member:
    """One process of a cluster.

    Attributes:
        cluster: Of which.
        job: "ps" or "worker".
        index: Its place among those of its job, from 0.

    Raises:
        OptionError: If there is no such process.
    """

    cluster: Cluster
    job: str
    index: int

    def __post_init__(self) -> None:
        require_choice("job", self.job, JOBS)
        require_whole("index", self.index, at_least=0)
        count = len(getattr(self.cluster, self.job))
        if self.index >= count:
            raise OptionError(
                "index", f"must be from 0 to {count - 1} for the job {self.job}, got {self.index}"
            )

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker that begins the run and keeps it."""
        return (self.job, self.index) == ("worker", 0)


def read_cluster(path: str | os.PathLike[str]) -> Cluster:
    """Reads a cluster specification.

    Args:
        path: A JSON file such as `{"ps": ["a:2222"], "worker": ["b:2222", "c:2222"]}`.

    Raises:
        OptionError: For `cluster`, if it cannot be read or describes no cluster.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(
            "cluster", f"must be a file that can be read, got {str(path)!r} ({error.strerror})"
        ) from error
    except ValueError as error:
        raise OptionError("cluster", f"must be a JSON file like {EXAMPLE}, got {str(path)!r}") from error
    return Cluster(*(tuple(addresses) for addresses in _addresses(value)))


def _addresses(value: Any) -> list[list[Any]]:
    if not isinstance(value, dict) or set(value) != set(JOBS):
        got = f"the keys {sorted(value)}" if isinstance(value, dict) else repr(value)
        raise OptionError("cluster", f"must have the keys ps and worker, like {EXAMPLE}, got {got}")
    for job in JOBS:
        if not isinstance(value[job], list):
            raise OptionError("cluster", f"must have a list of addresses for {job}, got {value[job]!r}")
    return [value[job] for job in JOBS]


def _require_address(address: Any) -> None:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    is_port = port.isascii() and port.isdigit() and 1 <= int(port) <= LAST_PORT
    if not (is_port and host and not any(letter.isspace() or letter == "/" for letter in host)):
        raise OptionError("cluster", f"must have addresses of the form host:port, got {address!r}")
