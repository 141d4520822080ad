"""Sums and messages among workers that are connected in a ring; no TensorFlow.

Worker w sends to worker w + 1 and receives from worker w - 1.

Why not TensorFlow's collectives: its server listens on all interfaces whatever the cluster says, and runs
every graph that anybody sends to it. A ring listens on one address, and what it receives are numbers. It is
faster, too. Milliseconds for a sum of float32 numbers by two processes over loopback, on a shared machine:

    numbers          10     132,071     2,000,000
    collectives     1.2-1.9  3.0-3.5      28-35
    ring            0.24       0.86         8.6
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tf_rnn.options import OptionError
from tf_rnn.parallel.cluster import split_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.parallel.cluster import ClusterTask

# What a connection begins with in both directions: name and version, sender, number of workers, agreement.
HELLO = struct.Struct("!8sII32s")
MAGIC = b"tf_rnn 1"
# Before each sum or message: which of the two, and its bytes.
HEADER = struct.Struct("!4sQ")
SUM, MESSAGE = b"sum ", b"gave"
HELLO_SECONDS = 10.0
RETRY_SECONDS = 0.1
REPORT_SECONDS = 5.0
# A machine that has vanished without closing its connections is missed after about a minute.
KEEP_ALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4}
MANY_BYTES = 1 << 20


class LostWorkerError(ConnectionError):
    """A worker has ended or cannot be reached."""


class Ring:
    """Connections of this process to the workers before and after it.

    All workers must call the same methods in the same order; each call waits for the others. As soon as
    a worker ends, for whatever reason, the calls of all others raise LostWorkerError.

    Source: the ring all-reduce of Patarasuk & Yuan 2009, "Bandwidth optimal all-reduce algorithms for
    clusters of workstations": of B bytes each of N workers sends and receives 2 B (N - 1) / N.

    Args:
        task: The cluster and the place of this process in it.
        agreement: A text that must be the same for all workers: options, data, versions.
        report: Receives a line for the user if another worker takes long to connect.

    Raises:
        OptionError: For `cluster`, if the address of this worker cannot be listened on, or the others
            were started with another agreement.
    """

    def __init__(
        self, task: ClusterTask, agreement: str = "", report: Callable[[str], None] = lambda _: None
    ) -> None:
        self.task = task
        self._left = self._right = None
        if task.num_workers > 1:
            self._left, self._right = _connect(task, hashlib.sha256(agreement.encode()).digest(), report)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; the calls of other workers then raise LostWorkerError."""
        for connection in (self._left, self._right):
            if connection is not None:
                connection.close()

    def sum_in_place(self, values: np.ndarray) -> None:
        """Replaces an array by the sum of the workers' arrays, which has the same bits for all workers.

        Args:
            values: [size], contiguous, of the same size and dtype for all workers.
        """
        workers, index = self.task.num_workers, self.task.index
        if workers == 1:
            return
        self._begin(SUM, values.nbytes)
        bounds = [values.size * part // workers for part in range(workers + 1)]
        parts = [values[start:stop] for start, stop in itertools.pairwise(bounds)]
        for step in range(workers - 1):  # afterwards part index + 1 is complete here
            part = parts[(index - step - 1) % workers]
            received = np.empty_like(part)
            self._exchange(parts[(index - step) % workers], received)
            part += received
        for step in range(workers - 1):
            self._exchange(parts[(index - step + 1) % workers], parts[(index - step) % workers])

    def gather(self, arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        """Returns the arrays of all workers, in the order of the workers."""
        workers, index = self.task.num_workers, self.task.index
        found: list[bytes] = [b""] * workers
        found[index] = _packed(arrays)
        for step in range(workers - 1):
            found[(index - step - 1) % workers] = self._swap(found[(index - step) % workers])
        return [_unpacked(message) for message in found]

    def broadcast(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns the arrays of worker 0; those of the others are ignored."""
        return self.gather(arrays if self.task.is_chief else ())[0]

    def broadcast_json(self, value: Any) -> Any:
        """Returns the value of worker 0, which can be written as JSON; those of the others are ignored."""
        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        return json.loads(self.broadcast([text])[0].tobytes())

    def _swap(self, message: bytes) -> bytes:
        received = bytearray(self._begin(MESSAGE, len(message)))
        self._exchange(message, received)
        return bytes(received)

    def _begin(self, kind: bytes, size: int) -> int:
        """Announces a sum or a message to the next worker, and returns the bytes that will come."""
        received = bytearray(HEADER.size)
        self._exchange(HEADER.pack(kind, size), received)
        other_kind, other_size = HEADER.unpack(received)
        if other_kind != kind or (kind == SUM and other_size != size):
            raise RuntimeError(
                f"worker {self.task.index} is out of step with the worker before it: "
                f"{kind!r} of {size} bytes, {other_kind!r} of {other_size}"
            )
        return int(other_size)

    def _exchange(self, outgoing: Any, incoming: Any) -> None:
        """Sends to the next worker while receiving from the one before."""
        try:
            _exchange(self._right, _bytes_of(outgoing), self._left, _bytes_of(incoming))
        except OSError as error:
            raise LostWorkerError(f"another worker has ended; so does worker {self.task.index}") from error


def _exchange(right: Any, outgoing: memoryview, left: Any, incoming: memoryview) -> None:
    sent = received = 0
    while sent < len(outgoing) or received < len(incoming):
        waits = select.poll()
        with contextlib.suppress(BlockingIOError):
            sent += right.send(outgoing[sent : sent + MANY_BYTES]) if sent < len(outgoing) else 0
        with contextlib.suppress(BlockingIOError):
            if received < len(incoming):
                count = left.recv_into(incoming[received:])
                if count == 0:
                    raise ConnectionResetError
                received += count
        if received < len(incoming):
            waits.register(left, select.POLLIN)
        if sent < len(outgoing):
            waits.register(right, select.POLLOUT)
        if received < len(incoming) or sent < len(outgoing):
            waits.poll()


def _bytes_of(buffer: Any) -> memoryview:
    view = memoryview(buffer)
    return view.cast("B") if view.nbytes else memoryview(b"")


def _packed(arrays: Sequence[np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, *arrays, allow_pickle=False)
    return file.getvalue()


def _unpacked(message: bytes) -> list[np.ndarray]:
    with np.load(io.BytesIO(message), allow_pickle=False) as arrays:
        return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]


def _connect(
    task: ClusterTask, agreement: bytes, report: Callable[[str], None]
) -> tuple[socket.socket, socket.socket]:
    """Returns the connections from the worker before and to the worker after."""
    before, after = (task.index - 1) % task.num_workers, (task.index + 1) % task.num_workers
    hello = HELLO.pack(MAGIC, task.index, task.num_workers, agreement)
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(_listener(task.worker[task.index], task.index))
        waiting = _Waiting(task, report)
        right = _connected(task.worker[after], lambda: waiting(after))
        opened.callback(right.close)
        right.sendall(hello)
        left = _accepted(listener, hello, before, lambda: waiting(before))
        opened.callback(left.close)
        _check_hello(_answer(right, after, waiting), hello, after)
        for connection in (left, right):
            _prepare(connection)
        opened.pop_all()
    listener.close()
    return left, right


class _Waiting:
    """Reports once for each worker that has not connected after some seconds."""

    def __init__(self, task: ClusterTask, report: Callable[[str], None]) -> None:
        self._task, self._report, self._since = task, report, time.monotonic()
        self._reported: set[int] = set()

    def __call__(self, worker: int) -> None:
        if time.monotonic() - self._since > REPORT_SECONDS and worker not in self._reported:
            self._reported.add(worker)
            self._report(f"waiting for worker {worker} at {self._task.worker[worker]}")


def _listener(address: str, index: int) -> socket.socket:
    """A socket that listens on this address alone."""
    host, port = split_address(address)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        problem = f"must give worker {index} a free address of this machine, got {address!r}"
        raise OptionError("cluster", f"{problem} ({error.strerror})") from error
    listener.settimeout(RETRY_SECONDS)
    return listener


def _connected(address: str, waiting: Callable[[], None]) -> socket.socket:
    """A connection to an address, once somebody listens there."""
    while True:
        with contextlib.suppress(OSError):
            connection = socket.create_connection(split_address(address), timeout=HELLO_SECONDS)
            # Where nobody listens yet, TCP may connect a socket to itself.
            if connection.getsockname() != connection.getpeername():
                return connection
            connection.close()
        waiting()
        time.sleep(RETRY_SECONDS)


def _accepted(
    listener: socket.socket, hello: bytes, before: int, waiting: Callable[[], None]
) -> socket.socket:
    """The connection of the worker before this one; whoever else connects is turned away."""
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            waiting()
            continue
        with contextlib.ExitStack() as opened, contextlib.suppress(OSError):
            opened.callback(connection.close)
            connection.settimeout(HELLO_SECONDS)
            received = _received(connection, HELLO.size)
            if received[: len(MAGIC)] == MAGIC:
                connection.sendall(hello)
                _check_hello(received, hello, before)
                opened.pop_all()
                return connection


def _answer(connection: socket.socket, worker: int, waiting: Callable[[int], None]) -> bytes:
    """What a worker answers to a hello, once all workers before it have been found."""
    try:
        while not select.select([connection], [], [], RETRY_SECONDS)[0]:
            waiting(worker)
        connection.settimeout(HELLO_SECONDS)
        answer = _received(connection, HELLO.size)
    except OSError as error:
        raise LostWorkerError(f"worker {worker} has ended") from error
    if not answer:
        raise LostWorkerError(f"worker {worker} has ended")
    return answer


def _received(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer if the connection ends."""
    found = b""
    while len(found) < size and (more := connection.recv(size - len(found))):
        found += more
    return found


def _check_hello(received: bytes, own: bytes, index: int) -> None:
    """Raises OptionError unless a worker has said what it must."""
    if len(received) < HELLO.size or received[: len(MAGIC)] != MAGIC:
        raise OptionError("cluster", f"must give the address of worker {index}; another program is there")
    _, sender, workers, agreement = HELLO.unpack(received)
    _, _, own_workers, own_agreement = HELLO.unpack(own)
    if (sender, workers) != (index, own_workers):
        raise OptionError(
            "cluster",
            f"must be the same for all workers; worker {index} says that it is {sender} of {workers}",
        )
    if agreement != own_agreement:
        raise OptionError(
            "cluster",
            f"must have workers with the same options, data and version; worker {index} differs",
        )


def _prepare(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    connection.setblocking(False)
