"""Dropout between the layers, never from one time step to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import join_rows, split_rows
from tf_rnn.cells.initial import named_seed

if TYPE_CHECKING:
    from tf_rnn.graph.chunks import Chunks
    from tf_rnn.graph.network import Network
    from tf_rnn.options import GraphOptions


class Dropout:
    """Drops a share p of what layers pass upwards, independently at every step.

        D(x)_i = 0 with probability p, else x_i / (1 - p)

    so that D(x) is x on average, and no correction is needed where nothing is dropped. The state that
    a layer carries from step to step is never dropped.

    It acts at places numbered from the inputs upwards: 0 is what the lowest layer reads, where that is
    learnt (an embedding); l the outputs of layer l, counted from 1, that the next layer reads, or, of
    the top layer, the readout. A third-party cell counts as one layer.

    Elements are dropped a chunk of steps at a time, with a mask that is a function of `seed`, the place
    and the chunk's number alone:

        u = stateless_uniform(shape, key + (place, chunk)),   key = stateless_uniform((2,), seed)
        elements with u < p are dropped

    The key decorrelates neighbouring seeds.

    Attributes:
        seed: int32 [2], to feed; random at each run if not fed. None where the share is 0.

    Args:
        options: Options of the graph.
        network: The network with the layers.

    Source: Zaremba et al. 2014, section 3.2; Srivastava et al. 2014, section 10 (scaled while
    training).
    """

    def __init__(self, options: GraphOptions, network: Network) -> None:
        self.seed: Any = None
        self._share = options.dropout
        self._places = range(0)
        if not options.dropout:
            return
        top = len(network.cell.layers) if network.is_layered else 1
        lowest, end = int(not network.encoding.is_learnt), top + int(network.head.readout.is_learnt)
        self._places = range(lowest, end)
        self.seed = _seed(named_seed(options.seed, f"{network.seed_name}/dropout"))
        self._key = tf.random.stateless_uniform([2], self.seed, None, None, tf.int32)

    def acts(self, place: int) -> bool:
        """Whether elements are dropped at a place."""
        return place in self._places

    def __call__(self, place: int, chunk: int, vectors: Any) -> Any:
        """Drops elements of a chunk's vectors, [steps * batch_size, size], time first, at a place."""
        if not self.acts(place):
            return vectors
        uniform = tf.random.stateless_uniform(vectors.shape, self._key + tf.constant([place, chunk]))
        return vectors * (tf.cast(uniform >= self._share, vectors.dtype) / (1 - self._share))

    def over_steps(self, place: int, steps: list[Any], chunks: Chunks) -> list[Any]:
        """Drops elements of the vectors of each step, n tensors [batch_size, ...], at a place."""
        if not self.acts(place):
            return steps
        left: list[Any] = []
        for chunk, group in enumerate(chunks.cut(steps)):
            left += split_rows(self(place, chunk, join_rows(group)), len(group))
        return left


def _seed(own_seed: int | None) -> Any:
    limits = {"minval": tf.int32.min, "maxval": tf.int32.max}
    drawn = tf.random.uniform([2], **limits, dtype=tf.int32, seed=own_seed)
    return tf.placeholder_with_default(drawn, [2], name="dropout_seed")
