"""Training in stages equals training at once, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tf_rnn
from tf_rnn.training import Budget, Schedule, Truncation, train
from tf_rnn.training.plan import Plan
from tf_rnn.training.stage import Stage, train_stage

BUDGETS = {"tokens": 3000.0, "updates": 90.0, "epochs": 2.5}


def graph_and_task() -> tuple[tf_rnn.UnrolledGraph, tf_rnn.tasks.Task]:
    task = tf_rnn.tasks.Echo(length=1500, valid_length=300)
    cell = tf_rnn.cells.LSTMCell(3)
    graph = tf_rnn.UnrolledGraph(
        cell, num_steps=4, batch_size=5, input_size=2, num_classes=2, optimizer="adam", dropout=0.1, seed=7
    )
    return graph, task


def in_stages(kind: str, fractions: tuple[float, ...], style: str) -> Stage:
    state = stage = None
    for until in fractions:
        graph, task = graph_and_task()  # a new one for each stage, as in another process
        plan = Plan(Budget(kind, BUDGETS[kind]), "carry", 8, Truncation(style, seed=3), Schedule(), None, 3)
        with graph.session(threads=1) as session:
            stage = train_stage(graph, task, plan, session, until=until, state=state)
        state = stage.state
    assert stage is not None
    return stage


@pytest.mark.parametrize(
    ("kind", "style"), [("tokens", "block"), ("updates", "random"), ("epochs", "sliding")]
)
def test_stages_equal_one_run(kind: str, style: str) -> None:
    graph, task = graph_and_task()
    amount: dict[str, Any] = {kind: BUDGETS[kind]}
    with graph.session(threads=1) as session:
        whole = train(
            graph,
            task,
            **amount,
            evaluations=8,
            truncation=Truncation(style, seed=3),
            seed=3,
            session=session,
            callbacks=(),
        )
    staged = in_stages(kind, (0.125, 0.25, 0.5, 1.0), style).result
    timeless = [point._replace(seconds=0.0) for point in whole.curve]
    found = [point._replace(seconds=0.0) for point in staged.curve]
    np.testing.assert_equal([tuple(point) for point in found], [tuple(point) for point in timeless])
    for name, weight in whole.weights.items():
        np.testing.assert_array_equal(staged.weights[name], weight, err_msg=name)


def test_a_stage_ends_where_it_is_asked_to() -> None:
    stage = in_stages("updates", (0.25,), "block")
    assert (stage.result.updates, len(stage.result.curve)) == (23, 3)  # 22.5 of 90 updates, rounded up
