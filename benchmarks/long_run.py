"""A run of many steps in one process: does a step come to take longer, or memory to grow?

python -m benchmarks.long_run
"""

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
    """What a run has needed up to an evaluation.

    Attributes:
        updates: Runs of the training step.
        seconds: Of training, evaluation not counted.
        peak: The most memory that the process has had, KiB.
        operations: In the graph.
    """

    updates: int
    seconds: float
    peak: int
    operations: int


class Marks(Callback):
    """Makes a mark at each evaluation."""

    def __init__(self, graph: UnrolledGraph) -> None:
        self._graph = graph
        self.marks: list[Mark] = []

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Makes a mark."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        operations = len(self._graph.tf_graph.get_operations())
        self.marks.append(Mark(point.updates, point.seconds, peak, operations))


def long_run(steps: int) -> list[Mark]:
    """Trains a small network on the echo task for so many steps; a mark at the start and after each tenth."""
    task = tasks.Echo(length=1_000_000, valid_length=10_000)
    graph = UnrolledGraph(cells.VanillaCell(16), 5, 20, 2, 2, optimizer="adagrad", seed=0)
    marks = Marks(graph)
    with graph.session(threads=1) as session:
        train(graph, task, updates=steps, evaluations=PARTS, session=session, callbacks=[marks])
    return marks.marks


def table(marks: Sequence[Mark]) -> str:
    """The marks as Markdown, each with the mean time of a step since the one before."""
    lines = ["| steps | step (ms) | peak memory (MB) | operations |", "|---:|---:|---:|---:|"]
    for before, mark in itertools.pairwise(marks):
        step = 1e3 * (mark.seconds - before.seconds) / (mark.updates - before.updates)
        lines.append(f"| {mark.updates:,} | {step:.4f} | {mark.peak / 1024:.1f} | {mark.operations:,} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Runs it and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_run", description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000, metavar="N", help="default 200000")
    print(table(long_run(parser.parse_args(words).steps)))


if __name__ == "__main__":
    main()
