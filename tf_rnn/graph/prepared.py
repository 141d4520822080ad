"""Prepared runs: the same fetches many times, without the lookups that `Session.run` repeats each time."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import CallableOptions, tf
from tf_rnn.graph.feeding import converted
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class FeedSpec(NamedTuple):
    """The arrays that can be fed to a tensor.

    Attributes:
        name: For messages.
        dtype: Arrays of other dtypes are converted, and checked.
        shape: None for an axis of any length.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, tensor: Any) -> FeedSpec:
        """The specification of a tensor."""
        name = tensor.op.name.rsplit("/", 1)[-1]
        return cls(name, np.dtype(tensor.dtype.as_numpy_dtype), tuple(tensor.shape.as_list()))

    def array(self, value: Any) -> np.ndarray:
        """The value as an array; OptionError if its shape does not fit, or conversion would change it."""
        if isinstance(value, np.ndarray) and value.dtype == self.dtype:
            array = value
        elif isinstance(value, float | int):  # a learning rate at every step
            array = np.asarray(value, self.dtype)
        else:
            array = converted(self.name, value, self.dtype)
        if array.shape != self.shape and not self._allows(array.shape):
            raise OptionError(self.name, f"must have shape {list(self.shape)}, got {list(array.shape)}")
        return array

    def _allows(self, shape: tuple[int, ...]) -> bool:
        sizes = zip(self.shape, shape, strict=False)
        return len(self.shape) == len(shape) and all(own in (None, other) for own, other in sizes)


def make_callable(session: Any, fetches: Sequence[Any], feeds: Sequence[Any]) -> Callable[..., list[Any]]:
    """Returns a function (value, value, ...) -> `session.run(fetches, {feed: value, ...})`.

    TensorFlow's public `Session.make_callable` calls `run` where something is fed, which takes a quarter
    of a millisecond to look up what is fetched, as long as the step of a small graph. The runtime has
    prepared runs with feeds as well, but they have no public name in Python; where that name is missing,
    the public function is used.

    Args:
        session: An open session.
        fetches: Tensors, variables, operations, or structures of them. The value of an operation is None.
        feeds: The tensors to feed, in the order of the values. None of them may be fetched.

    Raises:
        OptionError: When called: if the number of values is wrong, or the shape of one does not fit.
    """
    elements = [session.graph.as_graph_element(fetch) for fetch in flat(fetches)]
    tensors = list(dict.fromkeys(each.name for each in elements if isinstance(each, tf.Tensor)))
    operations = list(dict.fromkeys(each.name for each in elements if isinstance(each, tf.Operation)))
    prepare = getattr(session, "_make_callable_from_options", None)
    if prepare is None:
        run = session.make_callable([*tensors, *operations], feed_list=list(feeds))
    else:
        run = prepare(CallableOptions(feed=[feed.name for feed in feeds], fetch=tensors, target=operations))
    specs = [FeedSpec.of(feed) for feed in feeds]
    takers = [_taker(fetch, session.graph, tensors) for fetch in fetches]

    def run_prepared(*values: Any) -> list[Any]:
        if len(values) != len(specs):
            names = ", ".join(spec.name for spec in specs)
            raise OptionError("values", f"must be {len(specs)} ({names}), got {len(values)}")
        found = run(*[spec.array(value) for spec, value in zip(specs, values, strict=True)])
        return [take(found) for take in takers]

    return run_prepared


def flat(value: Any) -> list[Any]:
    """The parts of a structure, as `tf.nest.flatten` finds them, but sooner for tuples and lists."""
    if not isinstance(value, tuple | list):
        found: list[Any] = tf.nest.flatten(value)
        return found
    parts: list[Any] = []
    for part in value:
        parts += [part] if isinstance(part, np.ndarray) else flat(part)
    return parts


def _taker(fetch: Any, graph: Any, tensors: list[str]) -> Callable[[list[Any]], Any]:
    """A function that picks the value of a fetch from those of all tensors."""
    if isinstance(fetch, tuple | list):  # sooner than by `tf.nest`, at every step
        takers = [_taker(part, graph, tensors) for part in fetch]
        make = getattr(type(fetch), "_make", type(fetch))  # that of named tuples takes one sequence, too
        return lambda found: make([take(found) for take in takers])
    if tf.nest.is_nested(fetch):
        takers = [_taker(part, graph, tensors) for part in tf.nest.flatten(fetch)]
        return lambda found: tf.nest.pack_sequence_as(fetch, [take(found) for take in takers])
    name = graph.as_graph_element(fetch).name
    return operator.itemgetter(tensors.index(name)) if name in tensors else lambda _: None
