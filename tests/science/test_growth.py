"""Long runs: neither the graph nor memory grows."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from model_helpers import write_splits

from benchmarks import long_run
from tf_rnn import cells
from tf_rnn.graph import UnrolledGraph
from tf_rnn.inference import load
from tf_rnn.tasks import Echo, Text
from tf_rnn.training import Callback, Evaluator, Schedule, Truncation, train

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.training import CurvePoint, Progress

# 5 blocks of 4 rows and 3 steps per epoch.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=7)


def make_graph(**options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"seed": 7, "optimizer": "adam", "dropout": 0.3}
    return UnrolledGraph(cells.VanillaCell(5), 3, 4, 2, 2, **(given | options))


def operations(graph: UnrolledGraph) -> int:
    return len(graph.tf_graph.get_operations())


class Counting(Callback):
    """Counts the operations of a graph at each report and evaluation."""

    report_seconds = 0.0

    def __init__(self, graph: UnrolledGraph) -> None:
        self._graph, self.counts = graph, list[int]()

    def on_progress(self, progress: Progress) -> None:
        self.counts.append(operations(self._graph))

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        self.counts.append(operations(self._graph))


STYLES = {
    "block": Truncation(),
    "sliding": Truncation("sliding", stride=1),
    "random": Truncation("random"),
    "adaptive": Truncation("adaptive"),
    "full": Truncation("full"),
}


@pytest.mark.parametrize("style", STYLES)
def test_a_graph_does_not_grow(style: str, tmp_path: Path) -> None:
    """Neither while it is trained nor from one training to the next.

    Except for one graph per width that the styles "random" and "adaptive" encounter; and the first window
    of "sliding" counts all its losses, later ones only the newest.
    """
    graph = make_graph()
    counting = Counting(graph)
    options: dict[str, Any] = {"truncation": STYLES[style], "schedule": Schedule("plateau")}
    train(graph, TASK, epochs=12, callbacks=[counting], out=tmp_path / "first", **options)
    last = counting.counts[-1]
    steady = 2 if style in {"block", "sliding", "full"} else len(counting.counts) // 2
    assert len(counting.counts) >= 24
    assert set(counting.counts[steady:]) == {last}, f"{counting.counts}: new operations until the end"
    options |= {"callbacks": ()}
    train(graph, TASK, epochs=2, out=tmp_path / "second", **options)
    train(graph, TASK, epochs=3, resume=tmp_path / "second", **options)
    train(graph, TASK, epochs=2, **options)
    with graph.session() as session:
        for _ in range(2):
            Evaluator(graph, TASK)(session)
    assert operations(graph) == last, "a new run, a resumed one, one without a folder, or an evaluation"


def test_a_model_does_not_grow_from_one_evaluation_to_the_next(tmp_path: Path) -> None:
    task = Text(write_splits(tmp_path / "texts"))
    graph = UnrolledGraph(cells.VanillaCell(3), 4, 3, task.input_size, task.num_classes)
    train(graph, task, updates=1, out=tmp_path / "run", callbacks=())
    model = load(tmp_path / "run")
    counts = []
    for _ in range(3):
        model.evaluator("valid")
        list(model.sample(length=3, seed=1))
        counts.append(operations(model.graph))
    assert counts[0] == counts[1] == counts[2], counts


# --- memory ----------------------------------------------------------------------------------------

# The echo task in a minimal graph, in which a step takes about 0.1 ms.
LONG = """
import resource, sys
from tf_rnn import cells
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Echo
from tf_rnn.training import Callback, train

steps = int(sys.argv[1])
task = Echo(length=60_001, valid_length=600)
graph = UnrolledGraph(cells.VanillaCell(4), num_steps=2, batch_size=3, input_size=2, num_classes=2, seed=1)
peaks = {}

class Peaks(Callback):
    report_seconds = 0.0

    def on_progress(self, progress):
        peaks[progress.updates] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

train(graph, task, updates=steps, evaluations=20, callbacks=[Peaks()])
first = next(peak for update, peak in peaks.items() if update >= 1000)
print(first, peaks[steps])
"""


@pytest.mark.slow
def test_40_000_steps_need_no_more_memory_than_the_first_1_000() -> None:
    """Peak memory, within 1 %."""
    done = subprocess.run(
        [sys.executable, "-c", LONG, "40000"], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    first, last = map(int, done.stdout.split())
    assert last < 1.01 * first, f"{last} KB after 40,000 steps, {first} after 1,000"


def test_the_long_run_benchmark_reports_step_memory_and_operations() -> None:
    marks = long_run.long_run(30)
    assert [mark.updates for mark in marks] == [3 * part for part in range(11)]
    assert len({mark.operations for mark in marks}) == 1
    made = [long_run.Mark(0, 0.5, 1024, 7), long_run.Mark(2000, 1.5, 3072, 9)]
    assert long_run.table(made).splitlines()[2:] == ["| 2,000 | 0.5000 | 3.0 | 9 |"]
