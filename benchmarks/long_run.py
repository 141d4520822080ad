"""`python -m benchmarks.long_run`: checks that a long training run neither slows down nor grows."""

from __future__ import annotations

import argparse
import itertools
import resource
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn import cells, tasks
from tf_rnn.graph import UnrolledGraph
from tf_rnn.training import Callback, train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.training import CurvePoint

PARTS = 10


class Mark(NamedTuple):
    """Resources used by a run up to an evaluation.

    Attributes:
        updates: Training steps so far.
        seconds: Training time, excluding evaluation.
        peak: Peak memory of the process, in KiB.
        operations: Operations in the graph.
    """

    updates: int
    seconds: float
    peak: int
    operations: int


class Marks(Callback):
    """Records a mark at each evaluation."""

    def __init__(self, graph: UnrolledGraph) -> None:
        self._graph = graph
        self.marks: list[Mark] = []

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Records a mark."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        operations = len(self._graph.tf_graph.get_operations())
        self.marks.append(Mark(point.updates, point.seconds, peak, operations))


def long_run(steps: int) -> list[Mark]:
    """Trains a small network on the echo task, with a mark at the start and after each tenth of the steps."""
    task = tasks.Echo(length=1_000_000, valid_length=10_000)
    graph = UnrolledGraph(cells.VanillaCell(16), 5, 20, 2, 2, optimizer="adagrad", seed=0)
    marks = Marks(graph)
    with graph.session(threads=1) as session:
        train(graph, task, updates=steps, evaluations=PARTS, session=session, callbacks=[marks])
    return marks.marks


def table(marks: Sequence[Mark]) -> str:
    """Formats marks as Markdown, with the mean step time since the previous mark."""
    lines = ["| steps | step (ms) | peak memory (MB) | operations |", "|---:|---:|---:|---:|"]
    for before, mark in itertools.pairwise(marks):
        step = 1e3 * (mark.seconds - before.seconds) / (mark.updates - before.updates)
        lines.append(f"| {mark.updates:,} | {step:.4f} | {mark.peak / 1024:.1f} | {mark.operations:,} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_run", description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=200_000, metavar="N", help="training steps, default 200000"
    )
    print(table(long_run(parser.parse_args(words).steps)))


if __name__ == "__main__":
    main()
