"""The audit of the loops of this package: every truncation style reaches as far as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assign

from tf_rnn._tensorflow import tf
from tf_rnn.audit import Probe, measure_reach
from tf_rnn.cells import VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.parallel import ClusterTask
from tf_rnn.tasks import Arrays
from tf_rnn.training import session_loop
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = 13
NETWORK: dict[str, Any] = {
    "input_kind": "real",
    "loss": "squared_error",
    "readout": "none",
    "dtype": "float64",
}


class LinearCell:
    """S_t = w S_{t-1} + X_t with w = 1; the output is S_t."""

    state_size = output_size = 1

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        w = tf.get_variable("w", [], state.dtype, tf.ones_initializer(), use_resource=True)
        state = w * state + inputs
        return state, state


def linear_graph(num_steps: int, **options: Any) -> UnrolledGraph:
    """One row; its training step changes nothing."""
    with tf.Graph().as_default():
        return UnrolledGraph(
            LinearCell(), num_steps, 1, 1, 1, optimizer="sgd", learning_rate=1e-30, **(NETWORK | options)
        )


def session_loop_on(
    graph: UnrolledGraph, session: Any, state: str, truncation: Truncation
) -> Callable[[Probe], tuple[float, float]]:
    """The session loop of the package for one epoch.

    The only weight is w, so that dL/dw is the norm of the gradient. The output of a step is the state that is
    carried on from its window, less or more the inputs between them.
    """
    overlap = graph.num_steps - truncation.stride if truncation.style == "sliding" else 0

    def run(probe: Probe) -> tuple[float, float]:
        targets = probe.targets if state == "carry" else np.where(probe.weights, probe.targets, np.nan)
        task = Arrays(probe.inputs, targets, valid_inputs=probe.inputs, valid_targets=probe.targets)
        gradient, output, end = 0.0, np.nan, 0
        for update in session_loop(graph, task, session, state, truncation):
            if update.epoch > 1:
                break
            end += update.tokens
            scale = 1 if graph.options.loss_steps == "marked" else 1 / update.tokens
            if end - update.tokens < probe.step <= end:
                at, inputs = end - overlap, probe.inputs
                between = inputs[at : probe.step].sum() - inputs[probe.step : at].sum()
                output = float(update.final_state[0, 0] + between)
                # of the squared error, whose residual is 1/2 only if the state is carried
                scale *= abs(2 * (output - probe.targets[probe.step - 1]))
            gradient += update.gradient_norm / scale
        return gradient, output

    return run


# Width, style, state, options of the graph, and what is read.
CASES: dict[str, tuple[int, Truncation, str, dict[str, Any], str]] = {
    "block": (4, Truncation(), "carry", {}, "blocks of 4, state carried; the loss of the last step does not"),
    "width 1": (1, Truncation(), "carry", {}, "nothing flows back: detached at every step, state carried"),
    "full": (5, Truncation("full"), "carry", {}, "not truncated within 13 steps, state carried"),
    "sliding": (5, Truncation("sliding"), "carry", {}, "sliding windows of 5, state carried"),
    "stride": (5, Truncation("sliding", stride=2), "carry", {}, "windows of 5 that move by 2, state carried"),
    "reset": (
        4,
        Truncation(),
        "reset",
        {"loss_steps": "marked"},
        "blocks of 4, state reset at the start of each; the loss of the last step does not",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_style_is_what_the_audit_reads(case: str) -> None:
    num_steps, truncation, state, options, sentence = CASES[case]
    graph = linear_graph(num_steps, **options)
    with graph.session(threads=1) as session:
        found = measure_reach(session_loop_on(graph, session, state, truncation), LENGTH, "float64")
    assert found.sentence.startswith(sentence), f"{found.sentence!r}, not {sentence!r}"


def test_adaptive_windows_are_those_that_the_gradient_asks_for() -> None:
    """With w = 1 it does not decay, so that all of the width is needed: windows of 6 move by half of that.

    How far to go back is measured on the losses, so that all of them need a gradient, 1 here, and the probe's
    is what the gradient grows by if one of them has 2.
    """
    width, truncation = 6, Truncation("adaptive")
    graph = linear_graph(width)
    with graph.session(threads=1) as session:

        def run(probe: Probe) -> tuple[float, float]:
            totals, output = [], np.nan
            for weights in (np.zeros(LENGTH), probe.weights):
                targets = probe.states[1:] - (1 + weights) / 2
                task = Arrays(probe.inputs, targets, valid_inputs=probe.inputs, valid_targets=targets)
                total, end = 0.0, 0
                for update in session_loop(graph, task, session, "carry", truncation):
                    if update.epoch > 1:
                        break
                    total, end = total + update.gradient_norm * update.tokens, end + update.tokens
                    if end - update.tokens < probe.step <= end:
                        output = update.final_state[0, 0] + probe.inputs[end - width // 2 : probe.step].sum()
                        output -= probe.inputs[probe.step : end - width // 2].sum()
                totals.append(total)
            return totals[1] - totals[0], float(output)

        found = measure_reach(run, LENGTH, "float64")
    assert found.sentence.startswith("windows of 6 that move by 3, state carried"), found.sentence


def test_starts_within_a_row_read_like_blocks_that_are_reset() -> None:
    """A graph of 12 steps with a start at every fourth."""
    width, length = 4, 12
    graph = linear_graph(length, starts=True, reduction="sum", loss_steps="marked")
    starts = (np.arange(length) % width == 0)[None]
    with graph.session(threads=1) as session:

        def run(probe: Probe) -> tuple[float, float]:
            output = probe.inputs[(probe.step - 1) // width * width : probe.step].sum()
            targets = np.where(probe.weights, output - 0.5, np.nan)
            feed = graph.feed(probe.inputs[None, :, None], targets[None, :, None], graph.zero_state(), starts)
            gradient, outputs = session.run([graph.gradients[0][0], graph.predictions], feed)
            return float(gradient), float(outputs[probe.step - 1][0, 0])

        found = measure_reach(run, length, "float64")
    assert found.sentence == "blocks of 4, state reset at the start of each"


def test_errors_that_are_enlarged_are_no_reading() -> None:
    """Random truncation multiplies what it lets pass: only errors that pass nothing are sums of digits."""
    graph, truncation = linear_graph(3), Truncation("random", seed=2)
    windows = list(truncation.of(graph, LENGTH).windows(0, lambda _: np.ones(3)))
    first = {window.start + 1 for window in windows}
    assert 1 < len(first) < LENGTH
    with graph.session(threads=1) as session:
        run = session_loop_on(graph, session, "carry", truncation)
        for step in range(2, LENGTH + 1):
            probe = Probe(LENGTH, step, dtype="float64")
            (window,) = (w for w in windows if w.start < step <= w.start + w.new_steps)
            gradient, output = run(probe)
            steps = probe.read(gradient * window.loss_scale, output).steps
            assert (steps == [step]) == (step in first), f"step {step}: {steps}, segments begin at {first}"


@pytest.mark.parametrize("recompute", [None, 3])
def test_half_of_the_rows_reads_what_all_do(recompute: int | None) -> None:
    """A cell of the package; two workers read two rows each of four, and the loss is a mean over all."""
    probe, width = Probe(8, 7), 4
    found = []
    halves = [ClusterTask(("a:1", "b:1"), index).rows(4) for index in (0, 1)]
    for rows in (slice(0, 4), *halves):
        size = rows.stop - rows.start
        graph = UnrolledGraph(
            VanillaCell(1, "relu"), width, size, 1, 1, optimizer="sgd", recompute=recompute, **NETWORK
        )
        with graph.session(threads=1) as session:
            assign(session, graph.variables, [np.ones((2, 1)), np.zeros(1)])
            state, gradient = graph.zero_state(), 0.0
            for start in (0, width):
                block = [
                    np.tile(part[start : start + width, None], (size, 1, 1))
                    for part in (probe.inputs, probe.targets)
                ]
                fetches = [graph.gradients[0][0], graph.final_state, graph.predictions]
                kernel, state, outputs = session.run(fetches, graph.feed(block[0], block[1], state))
                gradient += kernel[1, 0]
        found.append(probe.read(gradient, outputs[2][-1], loss_scale=1 / width).sentence)
    assert found == ["errors reach 3 steps: blocks of 4 or a window of 3, state carried"] * 3
