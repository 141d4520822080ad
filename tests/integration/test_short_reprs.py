"""What a person sees of an object: one short line; and what is said of arguments that are mixed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import workers_here
from keras import layers as keras_layers  # type: ignore[import-untyped]

import tf_rnn
from tf_rnn import UnrolledGraph
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import StepGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from pathlib import Path

SIZES: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 2, "num_classes": 2}
# An LSTM of 3 units on 2 classes: (2 + 3) x 12 weights and 12 biases; 3 x 2 and 2 of the readout.
GRAPH = "num_steps=4, batch_size=3, input_size=2, num_classes=2; 80 parameters)"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (LSTMCell(3), "LSTMCell(state_size=3)"),
        (LSTMCell(3, forget_bias=4.0), "LSTMCell(state_size=3, forget_bias=4.0)"),
        (StackedCell([GRUCell(3)]), "StackedCell([GRUCell(state_size=3)])"),
        (Echo(lags=(2, 5)), "Echo(lags=[2, 5])"),
        (tf_rnn.Setup(task="copy", state_size=5), "Setup(task='copy', cell='lstm', state_size=5)"),
        (
            tf_rnn.Experiment("copy", delay=4, dropout=0.5),
            "Experiment(task='copy', cell='lstm', state_size=64, dropout=0.5, delay=4)",
        ),
    ],
)  # fmt: skip
def test_a_repr_is_short(made: object, expected: str) -> None:
    assert repr(made) == expected


def test_reprs_of_graphs() -> None:
    graph = UnrolledGraph(LSTMCell(3), **SIZES)
    assert repr(graph) == f"UnrolledGraph(LSTMCell(state_size=3), {GRAPH}"
    assert (
        repr(StepGraph.of(graph))
        == "StepGraph(LSTMCell(state_size=3), batch_size=1, input_size=2, num_classes=2)"
    )
    many = UnrolledGraph(
        StackedCell([VanillaCell(3) for _ in range(24)]), **SIZES | {"num_steps": 1}, optimizer=None
    )
    assert len(repr(many)) < 400


def test_reprs_of_results(tmp_path: Path) -> None:
    with workers_here():
        experiment = tf_rnn.Experiment("echo", state_size=3, batch_size=20)
        run = experiment.train(4, updates=5, callbacks=(), out=tmp_path / "run")
        loss = round(run.evaluation.loss, 4)
        assert (
            repr(run)
            == f"Run(task={run.task!r}, folder={str(tmp_path / 'run')!r}, updates=5, valid_loss={loss})"
        )
        assert repr(run.result) == f"TrainingResult(updates=5, tokens=400, valid_loss={loss})"
        assert repr(run.load()) == "Model(task='echo', cell=VanillaCell(state_size=3), checkpoint=2)"
        study = experiment.lags(4, tokens=0)
        found = experiment.recommend([1, 2], seeds=1, amount=100, verify=True)
        plan = experiment.plan("compare", [1], seeds=1, amount=900, state=["carry"])
    sweep = found.sweep
    assert sweep is not None
    assert repr(sweep) == f"Sweep({sweep.line}: {sweep.sentence})"
    assert repr(found) == f"Recommendation({found.line}: {found.reason})"
    assert repr(plan) == f"Plan({plan.sentence})"
    for result in (study, experiment.prepare(4), sweep, found):
        assert len(repr(result)) < 900, repr(result)


CELLS: dict[str, tuple[Any, str]] = {
    "a class": (LSTMCell, "a cell, got the class LSTMCell; make one, such as LSTMCell(64)"),
    "a name": ("lstm", "a cell, such as tf_rnn.cells.LSTMCell(64), got 'lstm'; Experiment takes names"),
    "a list": ([3], "one cell, got [3]; tf_rnn.cells.StackedCell makes one of several"),
    "nothing": (None, "a cell of tf_rnn.cells or another RNN cell of TensorFlow 1, got None"),
    "Keras": (
        keras_layers.LSTMCell(3),
        "a cell for graphs, got LSTMCell of Keras; tf_rnn.cells has its like",
    ),
    "a layer of Keras": (
        keras_layers.GRU(3),
        "a cell for graphs, got GRU of Keras; tf_rnn.cells has its like",
    ),
}


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.parametrize("kind", [UnrolledGraph, StepGraph])
def test_what_is_no_cell(case: str, kind: Any) -> None:
    cell, problem = CELLS[case]
    sizes = SIZES if kind is UnrolledGraph else {"batch_size": 3, "input_size": 2, "num_classes": 2}
    with pytest.raises(OptionError) as caught:
        kind(cell, **sizes)
    assert str(caught.value) == f"cell must be {problem}"


def test_graph_and_task_in_the_wrong_order() -> None:
    task, graph = Echo(length=40, valid_length=9), UnrolledGraph(LSTMCell(3), **SIZES)
    arguments: list[tuple[Any, Any, str]] = [
        (
            task,
            graph,
            f"graph must be a tf_rnn.UnrolledGraph, got {task!r}; the graph comes first, then the task",
        ),
        ("echo", graph, "graph must be a tf_rnn.UnrolledGraph, got 'echo'"),
        (graph, "echo", "task must be a task, got 'echo'; tf_rnn.tasks.make_task makes one of a name"),
        (graph, None, "task must be a task, got None"),
    ]
    for first, second, message in arguments:
        with pytest.raises(OptionError) as caught:
            tf_rnn.train(first, second)
        assert str(caught.value) == message
