"""Training in stages equals training at once, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tf_rnn
from tf_rnn.training import Budget, Schedule, Truncation, train
from tf_rnn.training.plan import Plan
from tf_rnn.training.stage import Stage, train_stage


def graph_and_task(style: str) -> tuple[tf_rnn.UnrolledGraph, tf_rnn.tasks.Task]:
    task = tf_rnn.tasks.Echo(length=120, valid_length=30)
    cell = tf_rnn.cells.LSTMCell(3) if style == "block" else tf_rnn.cells.VanillaCell(3)
    graph = tf_rnn.UnrolledGraph(cell, 3, 5, 2, 2, optimizer="adam", dropout=0.1, seed=7)
    return graph, task


@pytest.mark.parametrize(
    ("style", "budget", "fractions"),
    [
        ("block", ("tokens", 240.0), (0.125, 0.5, 1.0)),
        ("random", ("updates", 15.0), (0.25, 1.0)),
        ("sliding", ("epochs", 2.5), (0.25, 1.0)),
    ],
)
def test_stages_equal_one_run(style: str, budget: tuple[str, float], fractions: tuple[float, ...]) -> None:
    """Each stage has a graph of its own, as in another process."""
    truncation = Truncation(style, seed=3)
    graph, task = graph_and_task(style)
    options: dict[str, Any] = {budget[0]: budget[1], "truncation": truncation, "seed": 3}
    with graph.session(threads=1) as session:
        whole = train(graph, task, **options, evaluations=8, session=session, callbacks=())
    plan = Plan(Budget(*budget), "carry", 8, truncation, Schedule(), None, 3)
    stages: list[Stage] = []
    for until in fractions:
        graph, task = graph_and_task(style)
        state = stages[-1].state if stages else None
        with graph.session(threads=1) as session:
            stages.append(train_stage(graph, task, plan, session, until=until, state=state))
    first, *_, last = (stage.result for stage in stages)
    if style == "random":  # 3.75 of 15, rounded up
        assert (first.updates, len(first.curve)) == (4, 3)
    found, expected = (
        [tuple(point._replace(seconds=0.0)) for point in result.curve] for result in (last, whole)
    )
    np.testing.assert_equal(found, expected)
    for name, weight in whole.weights.items():
        np.testing.assert_array_equal(last.weights[name], weight, err_msg=name)
