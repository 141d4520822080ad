"""Gradients of our own for operations, registered with TensorFlow once in a process.

`tf.custom_gradient` registers a function at each call, and the registry keeps it for ever. The function
holds the tensors that it computes with, and they hold their `tf.Graph`, so that no graph would ever be
freed. Here the registry has one function for each kind of gradient, which computes with the inputs of the
operation alone.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    # (operation, dL/d(output) of each output) -> dL/d(input) of each input, None where there is none.
    OperationGradient = Callable[..., Sequence[Any]]


@contextlib.contextmanager
def own_gradient(operation_type: str, name: str, gradient: OperationGradient) -> Iterator[None]:
    """Gives the operations of a type that are made within the block another gradient.

    Args:
        operation_type: TensorFlow's name: "IdentityN".
        name: A name for the gradient.
        gradient: It is kept for ever and must not hold a tensor: a function of a module, not a closure
            that is made for each graph.
    """
    with tf.get_default_graph().gradient_override_map({operation_type: _registered(name, gradient)}):
        yield


@functools.cache
def _registered(name: str, gradient: OperationGradient) -> str:
    """Registers a gradient at the first call; returns its name in TensorFlow's registry."""
    taken = itertools.count(2)
    unique = f"tf_rnn/{name}"
    while True:
        try:
            tf.RegisterGradient(unique)(gradient)
        except KeyError:  # this package was imported twice
            unique = f"tf_rnn/{name}_{next(taken)}"
        else:
            return unique
