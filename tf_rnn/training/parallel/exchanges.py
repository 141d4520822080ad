"""How the gradients of several workers come together: one function each, in EXCHANGES.

    sync     each worker hands in the gradient of its rows; the chief takes the mean over all workers,
             clips it, applies it once, and lets all go on. The weights are those of one process that
             reads all rows. All wait for the slowest, and for one that is missing.
    async    each worker applies the gradient of its rows to the weights as they are by then. Nobody waits.

TensorFlow's own SyncReplicasOptimizer works, but is not used: gradients are to be clipped before it takes
their mean, which is not the clipped mean; of gradients of embeddings it divides each row by how many
workers have looked it up, not by how many there are; a gradient handed in a second time, by a worker
that was started again, counts for another worker's; and its session takes two minutes to close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.graph.gradients import GradientAndVariable, true_gradients
from tf_rnn.graph.optimizers import shared_optimizer
from tf_rnn.training.parallel.shared import HOME, SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.training.parallel.replica import Replica
    from tf_rnn.training.parallel.shared import News


class Step(NamedTuple):
    """What a worker runs for an update; see `Outcome` for the first two.

    Attributes:
        loss: Scalar.
        gradient_norm: Scalar.
        train: The operation that makes the update, or takes part in it.
        news: Tensors, so after the update.
        wait: The same, but after waiting to be let go on; None where nobody waits.
        slots: For the chief: what the other workers hand in, by worker.
    """

    loss: Any
    gradient_norm: Any
    train: Any
    news: News
    wait: News | None
    slots: dict[int, Slots]


def asynchronous(replica: Replica) -> Step:
    """Applies a worker's gradient at once, clipped by its own norm."""
    graph, shared = replica.graph, replica.shared
    with tf.control_dependencies([graph.train_step]):
        told = [
            tf.scatter_add(shared.positions, replica.index, tf.constant(1, tf.int64)).op,
            shared.updates.assign_add(1, read_value=False),
            *shared.keep_state(replica.index, graph.final_state),
        ]
        if replica.index == 0:
            told.append(shared.rate.assign(graph.learning_rate, read_value=False))
    with tf.control_dependencies(told):
        news = shared.news()
    return Step(graph.total_loss, graph.gradient_norm, tf.group(*told), news, wait=None, slots={})


def synchronous(replica: Replica) -> Step:
    """Hands in a worker's gradient; the chief, whose own stays where it is, applies the mean of all."""
    return _apply_mean(replica) if replica.index == 0 else _hand_in(replica)


class Taken(NamedTuple):
    """What a worker has handed in: its loss, the parts of its state, its gradients."""

    loss: Any
    state: list[Any]
    gradients: list[Any]


class Slots:
    """Where a worker hands in what the chief takes, beside the variables on the parameter servers.

    Each worker has slots of its own. A gradient that is handed in twice, by a worker that was started
    again in between, is the same both times, and their mean is taken; one that comes too late, for an
    update that has been made or from before the run was taken back to a checkpoint, is dropped, as its
    tick is lower than the slot's.

    Args:
        replica: A worker's graph.
        worker: Whose slots.
    """

    def __init__(self, replica: Replica, worker: int) -> None:
        graph = replica.graph
        state = tf.nest.flatten(graph.final_state)
        with tf.device(HOME):
            self.go_on = tf.FIFOQueue(-1, tf.int64, shapes=[()], shared_name=f"{SCOPE}/go_on_{worker}")
            self.let_go_on = self.go_on.enqueue(replica.tick)
            self._loss = _slot(graph.total_loss, f"loss_{worker}")
            self._state = [_slot(part, f"state_{worker}_{number}") for number, part in enumerate(state)]
        self._gradients = []
        for number, (gradient, variable) in enumerate(graph.gradients):
            with tf.device(variable.device):
                self._gradients.append(_slot(gradient, f"gradient_{worker}_{number}"))

        self._all = [self._loss, *self._state, *self._gradients]

    def hand_in(self, replica: Replica) -> list[Any]:
        """The operations that hand in what the worker has computed."""
        graph = replica.graph
        values = [
            graph.total_loss,
            *tf.nest.flatten(graph.final_state),
            *(pair[0] for pair in graph.gradients),
        ]
        return [_put(slot, value, replica.tick) for slot, value in zip(self._all, values, strict=True)]

    def take(self) -> Taken:
        """What was handed in, once it is there."""
        return Taken(_take(self._loss), list(map(_take, self._state)), list(map(_take, self._gradients)))

    def place_clearing(self, tick: Any) -> None:
        """Makes the operations that `is_empty` and `clear` run."""
        self._tick = tick
        self._counts, self._takes, self._set_ticks = [], [], []
        for slot in self._all:
            with _beside(slot):
                self._counts.append(slot.num_accumulated())
                self._takes.append(_take(slot))
                self._set_ticks.append(slot.set_global_step(tick))

    def is_empty(self, session: Any) -> bool:
        """Whether nothing was handed in since the last take."""
        return not all(session.run(self._counts))

    def clear(self, session: Any, tick: int) -> None:
        """Forgets what was handed in, and lets in what has this tick from now on."""
        session.run(self._set_ticks, {self._tick: tick})
        counts = session.run(self._counts)
        session.run([take for take, count in zip(self._takes, counts, strict=True) if count])
        session.run(self._set_ticks, {self._tick: tick})  # each take has raised it by one


def _slot(value: Any, name: str) -> Any:
    """An accumulator for values such as this one."""
    name = f"{SCOPE}/{name}"
    if isinstance(value, tf.IndexedSlices):
        return tf.SparseConditionalAccumulator(value.dtype, shape=(), shared_name=name)
    return tf.ConditionalAccumulator(value.dtype, shape=value.shape, shared_name=name)


def _put(slot: Any, value: Any, tick: Any) -> Any:
    if not isinstance(value, tf.IndexedSlices):
        with _beside(slot):
            return slot.apply_grad(value, local_step=tick)
    value = tf.IndexedSlices(value.values, tf.cast(value.indices, tf.int64), value.dense_shape)
    with _beside(slot):
        return slot.apply_indexed_slices_grad(value, local_step=tick)


def _take(slot: Any) -> Any:
    with _beside(slot):
        if isinstance(slot, tf.SparseConditionalAccumulator):
            return slot.take_indexed_slices_grad(1)
        return slot.take_grad(1)


def _beside(slot: Any) -> Any:
    """Places operations where a slot is."""
    return tf.device(slot.accumulator_ref.device)


def _hand_in(replica: Replica) -> Step:
    slots = Slots(replica, replica.index)
    with tf.control_dependencies(slots.hand_in(replica)):
        told = slots.go_on.dequeue()
    with tf.control_dependencies([told]):
        news = replica.shared.news()
    told_later = slots.go_on.dequeue()
    with tf.control_dependencies([told_later]):
        later = replica.shared.news()
    graph = replica.graph
    return Step(graph.total_loss, graph.gradient_norm, told.op, news, wait=later, slots={})


def _apply_mean(replica: Replica) -> Step:
    graph, shared = replica.graph, replica.shared
    slots = {worker: Slots(replica, worker) for worker in range(1, replica.num_workers)}
    taken = {worker: of_worker.take() for worker, of_worker in slots.items()}
    with tf.device(HOME):
        loss = _mean([graph.total_loss, *(one.loss for one in taken.values())])
    pairs = _mean_gradients(graph, [one.gradients for one in taken.values()])
    gradients, variables = zip(*pairs, strict=True)
    norm = tf.global_norm(gradients)
    if graph.options.clip_norm is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, graph.options.clip_norm, use_norm=norm)
    optimizer = shared_optimizer(_optimizer(graph), graph.network.scope)
    with tf.name_scope(f"{graph.network.scope}/"):
        applied = optimizer.apply(list(zip(gradients, variables, strict=True)), graph.learning_rate)
    # In this order, so that who joins can tell whether what it reads belongs together: `Replica.join`.
    with tf.control_dependencies([applied]):
        placed = shared.positions.assign_add([1] * replica.num_workers, read_value=False)
    with tf.control_dependencies([placed]):
        kept = [op for worker, one in taken.items() for op in shared.keep_state(worker, one.state)]
        kept += shared.keep_state(0, graph.final_state)
    with tf.control_dependencies(kept):
        counted = shared.updates.assign_add(1, read_value=False)
    with tf.control_dependencies([counted]):
        go_on = [of_worker.go_on.enqueue(replica.tick) for of_worker in slots.values()]
        news = shared.news()
    for of_worker in slots.values():
        of_worker.place_clearing(replica.tick)
    return Step(loss, norm, tf.group(counted, *go_on), news, wait=None, slots=slots)


def _mean_gradients(graph: UnrolledGraph, others: list[list[Any]]) -> list[GradientAndVariable]:
    """The mean over the workers, computed where each variable stands."""
    pairs: list[GradientAndVariable] = []
    for (gradient, variable), *rest in zip(graph.gradients, *others, strict=True):
        with tf.device(variable.device):
            pair = GradientAndVariable(_mean([gradient, *rest]), variable)
            pairs += true_gradients([pair], _optimizer(graph))
    return pairs


def _optimizer(graph: UnrolledGraph) -> str:
    return str(graph.options.optimizer)  # a graph that is trained has one


def _mean(values: list[Any]) -> Any:
    """The mean of tensors, or of gradients of an embedding, in which a row may then stand several times."""
    if not isinstance(values[0], tf.IndexedSlices):
        return tf.add_n(values) / len(values)
    rows = tf.concat([value.values for value in values], axis=0) / len(values)
    indices = tf.concat([tf.cast(value.indices, tf.int64) for value in values], axis=0)
    return tf.IndexedSlices(rows, indices, values[0].dense_shape)


EXCHANGES: dict[str, Callable[[Replica], Step]] = {"sync": synchronous, "async": asynchronous}
