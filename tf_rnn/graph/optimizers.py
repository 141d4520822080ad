"""TensorFlow's optimizers by name, each shared by all graphs on the same variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The class in `tf.train` and its options but the learning rate.
OPTIMIZERS: dict[str, tuple[str, dict[str, float]]] = {
    "sgd": ("GradientDescentOptimizer", {}),
    "momentum": ("MomentumOptimizer", {"momentum": 0.9}),
    "adagrad": ("AdagradOptimizer", {}),
    "adam": ("AdamOptimizer", {}),
    "rmsprop": ("RMSPropOptimizer", {}),
}

# These leave a row with a zero gradient unchanged, so that its gradient need not be made dense.
SPARSE_EXACT = ("sgd", "adagrad")

_COLLECTION = "tf_rnn/optimizers"


class SharedOptimizer:
    """An optimizer with one set of slots for all graphs on the same variables.

    Each graph has a learning rate of its own.

    Args:
        name: A key of OPTIMIZERS.
    """

    def __init__(self, name: str) -> None:
        self._rate: Any = None
        kind, options = OPTIMIZERS[name]
        self._optimizer = getattr(tf.train, kind)(learning_rate=lambda: self._rate, **options)

    def apply(self, pairs: Iterable[tuple[Any, Any]], learning_rate: Any) -> Any:
        """The operation that makes one step with (gradient, variable) pairs."""
        self._rate = learning_rate
        return self._optimizer.apply_gradients(pairs)

    def memory(self, named: Mapping[str, Any]) -> dict[str, Any]:
        """The variables that the optimizer keeps between steps, by name.

        Args:
            named: The variables being trained, by name. The slots of `layer_0/W` are called
                `layer_0/W/m` and so on; variables kept once for all (powers of Adam's betas)
                `optimizer/...`.
        """
        slots = {
            f"{name}/{slot}": self._optimizer.get_slot(variable, slot)
            for name, variable in named.items()
            for slot in self._optimizer.get_slot_names()
        }
        found = {name: slot for name, slot in slots.items() if slot is not None}
        taken = {slot.op.name for slot in found.values()}
        others = [variable for variable in self._optimizer.variables() if variable.op.name not in taken]
        return found | {f"optimizer/{variable.op.name.rsplit('/', 1)[-1]}": variable for variable in others}


def shared_optimizer(name: str, scope: str) -> SharedOptimizer:
    """The optimizer of the variables in `scope`, made at the first call in a `tf.Graph`.

    Graphs of several widths on the same variables share its slots; other models in the same `tf.Graph`
    have another one, with its own count of steps.
    """
    made: list[dict[tuple[str, str], SharedOptimizer]] = tf.get_collection_ref(_COLLECTION)
    if not made:
        made.append({})
    return made[0].setdefault((name, scope), SharedOptimizer(name))
