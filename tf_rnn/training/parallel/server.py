"""This process as a member of a cluster: its server, and sessions of graphs on several machines."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Never

from tf_rnn._tensorflow import tf
from tf_rnn.checks import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.cluster import Cluster, Member

# What a run of a graph ends with when a process that it needs is gone, or has been started anew and
# knows nothing of what was there before.
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.UnavailableError,
)
# Before what is gone is looked for again.
PAUSE_SECONDS = 1.0


class LostError(RuntimeError):
    """A process that a run of a graph needs is gone, or has forgotten what it was told."""


def start_server(member: Member, threads: int | None) -> Any:
    """Starts the server of this process; it cannot be closed and ends with the process.

    Args:
        member: Which this process is.
        threads: Upper limit on the threads used; None for one a core.

    Raises:
        OptionError: For `cluster`, if the address is not this machine's, or taken.
    """
    address = getattr(member.cluster, member.job)[member.index]
    try:
        return tf.distribute.Server(
            member.cluster.to_json(), member.job, member.index, config=session_config(member, threads)
        )
    except tf.errors.OpError as error:
        raise OptionError(
            "cluster",
            f"must give {member.job} {member.index} a free address of this machine, got {address!r}",
        ) from error


def session_config(member: Member, threads: int | None) -> Any:
    """Returns a `ConfigProto` for sessions of one worker and the parameter servers.

    The workers do not see one another: a session waits for all whom it sees, so that one that is
    missing would keep the others from beginning. As in `tf_rnn.graph.session`, operations have one
    thread each and Grappler is off; the executor is TensorFlow's own even for tiny steps, as only that
    can wait for other machines.
    """
    config = tf.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=threads or 0,
        device_filters=["/job:ps", f"/job:{member.job}/task:{member.index}"],
    )
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def place_variables(cluster: Cluster, index: int) -> Callable[[Any], str]:
    """The device function of a worker: variables stand on the parameter servers, all else on the worker.

    Every worker must place the variables alike, and does, as all build the same graph.
    """
    setter: Callable[[Any], str] = tf.train.replica_device_setter(
        cluster=cluster.to_json(), worker_device=f"/job:worker/task:{index}", ps_strategy=LeastLoaded(cluster)
    )
    return setter


class LeastLoaded:
    """Places each variable on the parameter server that holds the fewest bytes so far.

    Taking them in turn, as TensorFlow does when left alone, would put all matrices on one of two
    servers and all biases on the other.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._bytes = [0] * len(cluster.ps)

    def __call__(self, op: Any) -> int:
        """The number of the server for an operation that makes a variable."""
        server = self._bytes.index(min(self._bytes))
        shape, dtype = tf.TensorShape(op.get_attr("shape")), tf.as_dtype(op.get_attr("dtype"))
        self._bytes[server] += (shape.num_elements() or 0) * dtype.size
        return server


def serve(member: Member, threads: int | None, tell: Callable[[str], None]) -> Never:
    """Is a parameter server until the process is ended; it never ends by itself.

    Raises:
        OptionError: See `start_server`.
        KeyboardInterrupt: On an interrupt.
    """
    start_server(member, threads)
    tell(f"parameter server {member.index} at {member.cluster.ps[member.index]}, until it is stopped")
    while True:
        signal.pause()
