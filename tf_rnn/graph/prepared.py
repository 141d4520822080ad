"""Many runs of the same fetches, without what `Session.run` looks up anew at each."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import CallableOptions, tf
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Fed(NamedTuple):
    """What a value has to be to be fed.

    Attributes:
        name: For a message.
        dtype: Of the array; others are converted.
        shape: Of the array, None for an axis of any length.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    @classmethod
    def to(cls, tensor: Any) -> Fed:
        """What may be fed to a tensor."""
        name = tensor.op.name.rsplit("/", 1)[-1]
        return cls(name, np.dtype(tensor.dtype.as_numpy_dtype), tuple(tensor.shape.as_list()))

    def array(self, value: Any) -> np.ndarray:
        """The value as an array, or OptionError if its shape is another one."""
        array = np.asarray(value, self.dtype)
        if array.shape != self.shape and not self._allows(array.shape):
            raise OptionError(self.name, f"must have shape {list(self.shape)}, got {list(array.shape)}")
        return array

    def _allows(self, shape: tuple[int, ...]) -> bool:
        sizes = zip(self.shape, shape, strict=False)
        return len(self.shape) == len(shape) and all(own in (None, other) for own, other in sizes)


def prepared_run(session: Any, fetches: Sequence[Any], feeds: Sequence[Any]) -> Callable[..., list[Any]]:
    """Returns a function (value, value, ...) -> what `session.run(fetches, {feed: value, ...})` gives.

    TensorFlow's `Session.make_callable` hands on to `run` where something is fed, and that takes a quarter
    of a millisecond to find out what it was asked for, as long as a small graph's step. The runtime has
    prepared runs with feeds, too; in Python they have no public name.

    Args:
        session: An open session.
        fetches: Tensors, variables, operations, or structures of them. An operation's value is None.
        feeds: The tensors to be fed, in the order of the values. None of them may be fetched.

    Raises:
        OptionError: When called: if there are more or fewer values, or the shape of one is another one.
    """
    flat = [session.graph.as_graph_element(fetch) for fetch in tf.nest.flatten(fetches)]
    tensors = list(dict.fromkeys(each.name for each in flat if isinstance(each, tf.Tensor)))
    operations = list(dict.fromkeys(each.name for each in flat if isinstance(each, tf.Operation)))
    options = CallableOptions(feed=[feed.name for feed in feeds], fetch=tensors, target=operations)
    run = session._make_callable_from_options(options)  # noqa: SLF001 (see above)
    allowed = [Fed.to(feed) for feed in feeds]
    takers = [_taker(fetch, session.graph, tensors) for fetch in fetches]

    def run_prepared(*values: Any) -> list[Any]:
        if len(values) != len(allowed):
            names = ", ".join(one.name for one in allowed)
            raise OptionError("values", f"must be {len(allowed)} ({names}), got {len(values)}")
        found = run(*[one.array(value) for one, value in zip(allowed, values, strict=True)])
        return [take(found) for take in takers]

    return run_prepared


def _taker(fetch: Any, graph: Any, tensors: list[str]) -> Callable[[list[Any]], Any]:
    """Takes a fetch from the values of all tensors."""
    if tf.nest.is_nested(fetch):
        takers = [_taker(part, graph, tensors) for part in tf.nest.flatten(fetch)]
        return lambda found: tf.nest.pack_sequence_as(fetch, [take(found) for take in takers])
    name = graph.as_graph_element(fetch).name
    return operator.itemgetter(tensors.index(name)) if name in tensors else lambda _: None
