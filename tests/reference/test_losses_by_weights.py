"""Steps whose losses do not count are neither read out nor looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import ancestors, assert_close, gradients_of

from tf_rnn._tensorflow import tf
from tf_rnn.cells import VanillaCell
from tf_rnn.graph import UnrolledGraph

BATCH, STEPS, CLASSES = 3, 7, 4


def make_graph(loss: str, **options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"dtype": "float64", "seed": 3}
    return UnrolledGraph(VanillaCell(5), STEPS, BATCH, 2, CLASSES, loss=loss, **(given | options))


@pytest.mark.parametrize(
    ("loss", "absent", "recompute", "loss_steps"),
    [("cross_entropy", -1, None, 3), ("cross_entropy", -1, 2, "last"), ("squared_error", np.nan, 2, 3)],
)
@pytest.mark.usefixtures("chunks_of_two")
def test_targets_that_do_not_count_are_not_looked_at(
    loss: str, absent: float, recompute: int | None, loss_steps: Any
) -> None:
    graph = make_graph(loss, loss_steps=loss_steps, recompute=recompute)
    generator = np.random.default_rng(3)
    inputs = generator.integers(2, size=(BATCH, STEPS))
    targets: Any = generator.integers(CLASSES, size=(BATCH, STEPS))
    targets = targets if loss == "cross_entropy" else np.eye(CLASSES)[targets]
    missing = targets.copy()
    missing[:, : STEPS - graph.options.num_loss_steps] = absent
    with graph.session() as session:
        found, expected = (
            session.run([graph.total_loss, gradients_of(graph)], graph.feed(inputs, each, graph.zero_state()))
            for each in (missing, targets)
        )
    assert np.isfinite(found[0])
    assert_close(found, expected, 0)


@pytest.mark.parametrize("loss_steps", ["last", 3])
def test_steps_that_do_not_count_are_not_read_out(loss_steps: Any) -> None:
    graph = make_graph("cross_entropy", loss_steps=loss_steps)
    rows = BATCH * graph.options.num_loss_steps
    needed = ancestors([graph.total_loss])
    wide = [op for op in needed if op.outputs and op.outputs[0].shape.as_list()[1:] == [CLASSES]]
    assert {op.outputs[0].shape[0] for op in wide if op.type == "MatMul"} == {rows}
    assert [loss.shape.as_list() for loss in graph.losses] == [[BATCH]] * STEPS
    assert not needed & {graph.losses[0].op}


@pytest.mark.parametrize(("own", "wider", "narrower"), [(3, 3, 2), ("last", "last", "last"), ("all",) * 3])
def test_graphs_of_other_widths_count_the_same_losses(own: Any, wider: Any, narrower: Any) -> None:
    graph = make_graph("cross_entropy", loss_steps=own, optimizer=None)
    for make in (graph.with_steps, graph.forward):
        assert make(STEPS + 2).options.loss_steps == wider
        assert make(2).options.loss_steps == narrower
    assert graph.with_steps(STEPS) is graph
    assert graph.with_steps(9).with_steps(STEPS) is graph


def test_recomputing_marked_losses_counts_targets_once() -> None:
    """The operations that marks add grow with the number of chunks, not of chunks times steps."""

    def operations(num_steps: int, loss_steps: str) -> int:
        with tf.Graph().as_default() as made:
            UnrolledGraph(VanillaCell(2), num_steps, 3, 2, 2, loss_steps=loss_steps, recompute="sqrt")
            return len(made.get_operations())

    more = {n: operations(n, "marked") - operations(n, "all") for n in (4, 16)}
    assert more[16] <= 2 * more[4], more


def test_gradients_are_reduced_before_norm_and_clipping() -> None:
    seen = []

    def halve(gradients: list[Any], graph: UnrolledGraph) -> list[Any]:
        seen.append([isinstance(gradient, tf.IndexedSlices) for gradient in gradients])
        return [0.5 * tf.convert_to_tensor(gradient) for gradient in gradients]

    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1.0, "embedding_size": 600}
    plain = make_graph("cross_entropy", **options)
    limit = {"clip_norm": 1e-3}
    graph = make_graph("cross_entropy", **options, **limit, reduce_gradients=halve)
    wider = graph.with_steps(STEPS + 1)
    assert [len(each) for each in seen] == [len(graph.variables)] * 2
    assert graph.forward().train_step is None
    assert len(seen) == 2
    assert wider.gradients
    inputs, targets = np.ones((2, BATCH, STEPS), int)
    with plain.session() as session:
        fed = plain.feed(inputs, targets, plain.zero_state())
        norm, gradients = session.run([plain.gradient_norm, gradients_of(plain)], fed)
    with graph.session() as session:
        before = session.run(list(graph.variables))
        fed = graph.feed(inputs, targets, graph.zero_state())
        half, halves, _ = session.run([graph.gradient_norm, gradients_of(graph), graph.train_step], fed)
        after = session.run(list(graph.variables))
    assert_close(half, norm / 2, 1e-15, "norm")
    assert_close(halves, [gradient / 2 for gradient in gradients], 1e-15, "gradients")
    moved = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True)))
    assert_close(moved, 1e-3, 1e-12, "the clipped step")
