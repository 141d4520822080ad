"""A `tf.Graph` and all that was made with it are freed once nothing of them is held."""

from __future__ import annotations

import functools
import gc
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import CASES
from tensorflow.python.framework.ops import gradient_registry

from tf_rnn import Experiment, resume
from tf_rnn._tensorflow import tf
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.analysis.study import study_lags
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell
from tf_rnn.files import read_config
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.graph.describe import described_graph
from tf_rnn.graph.encoding import ONE_HOT_ROWS
from tf_rnn.graph.losses import FEW_CLASSES
from tf_rnn.inference import export, import_keras, load
from tf_rnn.tasks import Echo, Text
from tf_rnn.training import Evaluator, Truncation, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.training import TrainingResult

SIZES: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}
REAL: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"}
MANY = FEW_CLASSES + 1
# Cells and options that do not depend on each other: what any of them holds would hold the graph.
GRAPHS: list[tuple[str, dict[str, Any]]] = [
    ("tanh", {"num_classes": MANY, "recompute": 2}),
    ("gru", {"input_size": ONE_HOT_ROWS + 1, "embedding_size": 3, "loss_steps": "marked", "dropout": 0.5}),
    ("stacked", {"input_size": 200, "embedding_size": 3, "num_classes": MANY, "reweighted": True}),
    ("relu", REAL | {"loss_steps": "last"}),
    ("lstm", {"input_kind": "none", "input_size": 0, "num_classes": 4, "readout": "none"}),
    ("lstm", {"input_size": MANY, "num_classes": MANY, "embedding_size": 4, "readout": "tied"}),
    ("gru_reset_before", {"num_classes": MANY, "optimizer": None}),
]
# The train split is long enough for a few blocks of 4 steps and 3 rows.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=30)
STYLES = {
    "block": Truncation(),
    "sliding": Truncation("sliding", stride=1),
    "random": Truncation("random"),
    "adaptive": Truncation("adaptive"),
    "full": Truncation("full"),
}


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


@pytest.mark.parametrize("style", STYLES)
def test_a_trained_graph_is_freed(style: str, tmp_path: Path) -> None:
    """What training returns may be kept."""
    kept: list[TrainingResult] = []

    def work() -> None:
        graph = make_graph(input_size=2, num_classes=2, embedding_size=3)
        result = train(graph, TASK, updates=7, truncation=STYLES[style], out=tmp_path, callbacks=())
        kept.append(result)
        with graph.session() as session:
            Evaluator(graph, TASK)(session)
            measure_lags(graph, session, TASK, 3)

    assert_frees(work)
    assert kept[0].updates == 7


def test_a_trained_graph_of_many_classes_is_freed(text: Text) -> None:
    def work() -> None:
        graph = make_graph(GRUCell(3), input_size=text.input_size, num_classes=text.num_classes, recompute=2)
        train(graph, text, updates=3, callbacks=())

    assert text.num_classes > FEW_CLASSES
    assert_frees(work)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    folder = tmp_path_factory.mktemp("text")
    (folder / "data.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20, encoding="utf-8")
    return Text(folder / "data.txt")


@pytest.fixture(scope="module")
def run(text: Text, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on text."""
    folder = tmp_path_factory.mktemp("run") / "run"
    sizes = {"input_size": text.input_size, "num_classes": text.num_classes, "embedding_size": 3}
    graph = make_graph(StackedCell([GRUCell(3), LSTMCell(2)]), **sizes)
    train(graph, text, updates=2, out=folder, callbacks=())
    return folder


def test_a_loaded_model_is_freed(run: Path) -> None:
    def work() -> None:
        model = load(run)
        model.evaluator("valid")
        assert len(list(model.sample("the", 3))) == 6
        assert model.weights

    assert_frees(work)


def test_a_loaded_model_is_freed_while_its_text_is_unfinished(run: Path) -> None:
    """An iterator holds its model, and no longer than it lives itself."""

    def work() -> None:
        next(load(run).sample("the", 100))

    assert_frees(work)


def test_a_resumed_run_is_freed(run: Path, text: Text, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "copy"))

    def work() -> None:
        train(described_graph(read_config(folder)), text, updates=4, resume=folder, callbacks=())

    assert_frees(work)


def test_an_exported_and_an_imported_model_are_freed(run: Path, tmp_path: Path) -> None:
    def work() -> None:
        export(load(run), tmp_path / "exported")
        load(import_keras(tmp_path / "exported", tmp_path / "imported"))

    assert_frees(work)


def test_the_verbs_free_their_graphs(tmp_path: Path) -> None:
    experiment = Experiment(TASK, state_size=3, batch_size=2)
    assert_frees(
        lambda: experiment.train(4, updates=2, out=tmp_path / "run", callbacks=()),
        lambda: resume(tmp_path / "run", updates=4, callbacks=()),
        lambda: study_lags(experiment.setup, TASK, 4, tokens=40, callbacks=()),
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
