"""Graphs from a setup."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tf_rnn.cells import describe_cell
from tf_rnn.graph import make_graph
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Adding, Copy, Echo

PLAIN = Setup(task="echo", state_size=6, batch_size=3)


def test_a_plain_setup() -> None:
    task = Echo(length=100)
    options = make_graph(PLAIN, task, 4, seed=7).options
    assert (options.num_steps, options.batch_size, options.seed) == (4, 3, 7)
    assert (options.input_size, options.num_classes, options.loss) == (2, 2, "cross_entropy")
    assert (options.embedding_size, options.readout, options.reduction) == (None, "linear", "mean")
    assert (options.dropout, options.init_scale) == (0, None)


def test_every_option_of_a_setup_arrives() -> None:
    given: dict[str, Any] = {"embedding_size": 6, "dropout": 0.25, "init_scale": 0.5, "reduction": "sum"}
    given |= {"optimizer": "adam", "learning_rate": 0.01, "clip_norm": 2.0, "weight_decay": 0.1}
    given |= {"initial_state": "learnt", "precision": "mixed_bfloat16"}
    setup = dataclasses.replace(
        PLAIN, cell="lstm", num_layers=2, cell_options={"forget_bias": 2.0}, tied=True, **given
    )
    graph = make_graph(setup, Echo(length=100), 4, seed=7)
    assert {name: getattr(graph.options, name) for name in given} == given
    assert graph.options.readout == "tied"
    layers = describe_cell(graph.cell)
    assert [(layer["cell"], layer["state_size"], layer["forget_bias"]) for layer in layers] == [
        ("lstm", 6, 2.0)
    ] * 2


def test_a_setup_that_does_not_suit_the_task() -> None:
    embedded = dataclasses.replace(PLAIN, embedding_size=6)
    with pytest.raises(
        OptionError, match=r"^embedding_size must be None unless input_kind is 'classes', got 6$"
    ):
        make_graph(embedded, Adding(span=7, length=210), 4, seed=7)
    task = Copy(delay=2, num_symbols=3, num_recalled=2, length=60)
    assert make_graph(embedded, task, 4, seed=7).options.loss_steps == task.loss_steps
    tied = dataclasses.replace(embedded, tied=True)
    wanted, given = task.input_size, task.num_classes
    message = rf"^num_classes must be input_size \({wanted}\) where readout is 'tied', got {given}$"
    with pytest.raises(OptionError, match=message):
        make_graph(tied, task, 4, seed=7)
