"""TensorFlow's version 1 API: `dynamic_rnn`, and `tf_rnn.UnrolledGraph` on the same cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.audit.snippets import WIDTH, Snippet, at_loss, blocks
from tf_rnn import UnrolledGraph
from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from tf_rnn.audit import Probe


class LinearCell:
    """S_t = w S_{t-1} + X_t with w = 1; the output is S_t."""

    state_size = output_size = 1

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        """A state of zero."""
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """A step."""
        w = tf.get_variable("w", [], state.dtype, tf.ones_initializer(), use_resource=True)
        state = w * state + inputs
        return state, state


def dynamic(probe: Probe, *, fed: bool, detached: bool = False) -> tuple[Any, Any]:
    """A session loop over blocks."""
    gradient, outputs = 0.0, []
    with tf.Graph().as_default(), tf.Session() as session:
        inputs, weights = (tf.placeholder(tf.float32, [1, WIDTH, 1]) for _ in range(2))
        start = tf.placeholder_with_default(tf.zeros([1, 1]), [1, 1])
        cell = Detached() if detached else LinearCell()
        output, end = tf.nn.dynamic_rnn(cell, inputs, initial_state=start)
        slope = tf.gradients(tf.reduce_sum(weights * output), tf.trainable_variables())
        session.run(tf.global_variables_initializer())
        state = [[0.0]]
        for x, w in blocks(probe):
            feed = {inputs: x, weights: w} | ({start: state} if fed else {})
            shown, state, (found,) = session.run([output, end, slope], feed)
            gradient += found
            outputs.append(shown)
    return gradient, at_loss(probe, outputs)


class Detached(LinearCell):
    """A cell that stops the gradient of its own state."""

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """A step."""
        return super().__call__(inputs, tf.stop_gradient(state))


def final_state_fed(probe: Probe) -> tuple[Any, Any]:
    """The final state of a run is fed to the next."""
    return dynamic(probe, fed=True)


def final_state_forgotten(probe: Probe) -> tuple[Any, Any]:
    """The initial state is not fed, so that it is zero."""
    return dynamic(probe, fed=False)


def stopped_in_the_cell(probe: Probe) -> tuple[Any, Any]:
    """`stop_gradient` in the cell instead of between blocks."""
    return dynamic(probe, fed=True, detached=True)


def unrolled_graph(probe: Probe) -> tuple[Any, Any]:
    """`tf_rnn.UnrolledGraph`; the squared error of `probe.targets` is a mean over the block."""
    graph = UnrolledGraph(
        LinearCell(), WIDTH, 1, 1, 1, input_kind="real", loss="squared_error", readout="none", optimizer="sgd"
    )
    gradient, outputs, state = 0.0, [], graph.zero_state()
    with graph.session() as session:
        for start in range(0, probe.num_steps, WIDTH):
            steps = slice(start, start + WIDTH)
            feed = graph.feed(probe.inputs[None, steps, None], probe.targets[None, steps, None], state)
            fetches = [graph.gradients[0][0], graph.final_state, graph.predictions]
            found, state, shown = session.run(fetches, feed)
            gradient += found
            outputs += shown
    return gradient, at_loss(probe, outputs)


SNIPPETS = [
    Snippet("dynamic_rnn, the final state fed", final_state_fed, is_right=True),
    Snippet("dynamic_rnn, the final state not fed", final_state_forgotten),
    Snippet("dynamic_rnn, stop_gradient in the cell", stopped_in_the_cell),
    Snippet("UnrolledGraph", unrolled_graph, is_right=True, loss_scale=1 / WIDTH),
]
