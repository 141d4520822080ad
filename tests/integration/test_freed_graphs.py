"""A `tf.Graph` and all that was made with it are freed once nothing of them is held."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from helpers import CASES
from tensorflow.python.framework.ops import gradient_registry

from tf_rnn import Experiment, resume
from tf_rnn._tensorflow import tf
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.analysis.study import study_lags
from tf_rnn.cells import GRUCell, LSTMCell
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.graph.encoding import ONE_HOT_ROWS
from tf_rnn.graph.losses import FEW_CLASSES
from tf_rnn.inference import export, import_keras, load
from tf_rnn.tasks import Echo, Text
from tf_rnn.training import Evaluator, Truncation, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tf_rnn.training import TrainingResult

SIZES: dict[str, Any] = {"num_steps": 3, "batch_size": 3, "input_size": 5, "num_classes": 2}
REAL: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"}
MANY = FEW_CLASSES + 1
# Cells and options that do not depend on each other: what any of them holds would hold the graph. The stack
# has cells of three kinds.
GRAPHS: list[tuple[str, dict[str, Any]]] = [
    ("tanh", {"num_classes": MANY, "recompute": 2}),
    ("stacked", {"input_size": 200, "embedding_size": 3, "loss_steps": "marked", "dropout": 0.5}),
    ("gru_reset_before", {"input_size": ONE_HOT_ROWS + 1, "embedding_size": 3, "reweighted": True}),
    ("relu", REAL | {"loss_steps": "last", "optimizer": None}),
    ("lstm", {"input_kind": "none", "input_size": 0, "num_classes": 4, "readout": "none"}),
    ("gru", {"input_size": MANY, "num_classes": MANY, "embedding_size": 6, "readout": "tied"}),
]
# The train split is long enough for a few blocks of 3 steps and 3 rows.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=30)
STYLES = [
    Truncation(),
    Truncation("sliding", stride=1),
    Truncation("random"),
    Truncation("adaptive"),
    Truncation("full"),
]


def graphs() -> weakref.WeakSet[Any]:
    """All graphs that are alive, those of functions too."""
    gc.collect()
    return weakref.WeakSet(each for each in gc.get_objects() if isinstance(each, tf.Graph))


def assert_frees(*works: Callable[[], object]) -> None:
    """Fails unless all graphs that a function makes are gone after it; what the first call loads may stay."""
    before = graphs()
    for number, work in enumerate(works):
        work()
        left = [graph for graph in graphs() if graph not in before]
        assert not left, f"{len(left)} graphs are still alive after function {number}"


def make_graph(cell: Any = None, **options: Any) -> UnrolledGraph:
    return UnrolledGraph(cell or LSTMCell(4), **(SIZES | options))


def use(graph: UnrolledGraph) -> None:
    """Makes whatever a graph makes at first use, and a gradient of a user's own."""
    with graph.tf_graph.as_default():
        tf.gradients(graph.losses[-1], tf.nest.flatten(graph.states[0]))
    assert len(graph.predictions) == graph.num_steps
    StepGraph.of(graph)
    graph.forward(num_steps=2)
    with graph.session() as session:
        session.run(graph.network.variables)


def test_a_graph_is_freed() -> None:
    """With any option, on any cell."""
    assert {cell for cell, _ in GRAPHS} == {*CASES}
    make = [
        functools.partial(lambda cell, given: use(make_graph(CASES[cell].make(), **given)), *each)
        for each in GRAPHS
    ]
    assert_frees(*make)


def test_a_graph_with_an_open_session_and_a_prepared_run_is_freed() -> None:
    def work() -> None:
        graph = make_graph()
        session = graph.session()
        run = graph.runner(session, graph.total_loss, graph.train_step)
        assert callable(run)

    assert_frees(work)


def test_a_trained_graph_is_freed(tmp_path: Path) -> None:
    """In each style. What training returns may be kept."""
    kept: list[TrainingResult] = []

    def work(truncation: Truncation) -> None:
        graph = make_graph(LSTMCell(2), input_size=2, embedding_size=3)
        out = tmp_path / truncation.style
        kept.append(train(graph, TASK, updates=7, truncation=truncation, out=out, callbacks=()))
        if truncation.style == "block":
            with graph.session() as session:
                Evaluator(graph, TASK)(session)
                measure_lags(graph, session, TASK, 3)

    assert_frees(*[functools.partial(work, truncation) for truncation in STYLES])
    assert [result.updates for result in kept] == [7] * len(STYLES)


def test_a_model_is_freed_however_it_was_trained_loaded_or_exported(tmp_path: Path) -> None:
    """On a text of many classes. An unfinished sample holds its model, and no longer than it lives itself."""
    (tmp_path / "data.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20, encoding="utf-8")
    task, run, exported = Text(tmp_path / "data.txt"), tmp_path / "run", tmp_path / "exported"
    assert task.num_classes > FEW_CLASSES
    experiment = Experiment(task, state_size=3, batch_size=2, embedding_size=3, recompute=2)

    def use_model() -> None:
        model = load(run)
        model.evaluator("valid")
        assert len(list(model.sample("the", 3))) == 6
        assert model.weights
        next(model.sample("the", 100))
        export(model, exported)

    assert_frees(
        lambda: experiment.train(3, updates=2, out=run, callbacks=()),
        lambda: resume(run, updates=4, callbacks=()),
        use_model,
        lambda: load(import_keras(exported, tmp_path / "imported")),
        lambda: study_lags(experiment.setup, task, 3, tokens=40, callbacks=()),
    )


def test_the_registry_of_gradients_does_not_grow() -> None:
    """Once each kind of gradient is registered."""
    options: dict[str, Any] = {"num_classes": MANY, "embedding_size": 3}
    make_graph(**options)
    before = set(gradient_registry.list())
    make_graph(GRUCell(3), **options)
    assert set(gradient_registry.list()) == before


ROUNDS = """
import gc
from pathlib import Path
from tf_rnn.cells import LSTMCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Echo
from tf_rnn.training import train

task = Echo(length=1000, valid_length=500)
sizes = []
for _ in range(20):
    graph = UnrolledGraph(LSTMCell(16), 50, 5, 2, 2, embedding_size=3)
    train(graph, task, updates=3, callbacks=())
    del graph
    gc.collect()
    sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
print(*sizes)
"""


@pytest.mark.slow
def test_20_rounds_of_training_need_no_more_memory_than_the_first_5() -> None:
    """A graph of this width takes 8 MB, so 15 of them would take 120; 10 are left to the allocator."""
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=False, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    sizes = list(map(int, done.stdout.split()))
    assert len(sizes) == 20
    assert max(sizes[5:]) - max(sizes[:5]) < 10e6, sizes
