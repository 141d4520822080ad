"""Training in stages equals training at once, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tf_rnn
from tf_rnn.training import Budget, Schedule, Truncation, train
from tf_rnn.training.plan import Plan
from tf_rnn.training.stage import Stage, train_stage

BUDGETS = {"tokens": 720.0, "updates": 45.0, "epochs": 2.5}


def graph_and_task(style: str) -> tuple[tf_rnn.UnrolledGraph, tf_rnn.tasks.Task]:
    task = tf_rnn.tasks.Echo(length=360, valid_length=60)
    cell = tf_rnn.cells.LSTMCell(3) if style == "block" else tf_rnn.cells.VanillaCell(3)
    graph = tf_rnn.UnrolledGraph(cell, 4, 5, 2, 2, optimizer="adam", dropout=0.1, seed=7)
    return graph, task


def in_stages(kind: str, fractions: tuple[float, ...], style: str) -> list[Stage]:
    stages: list[Stage] = []
    for until in fractions:
        graph, task = graph_and_task(style)  # a new one for each stage, as in another process
        plan = Plan(Budget(kind, BUDGETS[kind]), "carry", 8, Truncation(style, seed=3), Schedule(), None, 3)
        state = stages[-1].state if stages else None
        with graph.session(threads=1) as session:
            stages.append(train_stage(graph, task, plan, session, until=until, state=state))
    return stages


@pytest.mark.parametrize(
    ("kind", "style", "fractions"),
    [
        ("tokens", "block", (0.125, 0.5, 1.0)),
        ("updates", "random", (0.25, 1.0)),
        ("epochs", "sliding", (0.25, 1.0)),
    ],
)
def test_stages_equal_one_run(kind: str, style: str, fractions: tuple[float, ...]) -> None:
    graph, task = graph_and_task(style)
    options: dict[str, Any] = {kind: BUDGETS[kind], "truncation": Truncation(style, seed=3), "seed": 3}
    with graph.session(threads=1) as session:
        whole = train(graph, task, **options, evaluations=8, session=session, callbacks=())
    first, *_, last = in_stages(kind, fractions, style)
    if kind == "updates":  # 11.25 of 45, rounded up
        assert (first.result.updates, len(first.result.curve)) == (12, 3)
    timeless = [tuple(point._replace(seconds=0.0)) for point in whole.curve]
    found = [tuple(point._replace(seconds=0.0)) for point in last.result.curve]
    np.testing.assert_equal(found, timeless)
    for name, weight in whole.weights.items():
        np.testing.assert_array_equal(last.result.weights[name], weight, err_msg=name)
