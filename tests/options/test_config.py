"""Numbers become plain Python, graph options suit each other, setups are completed by their task."""

from __future__ import annotations

import dataclasses
import fractions
import json
import math
import re
from typing import Any

import numpy as np
import pytest

from tf_rnn.options import GraphOptions, OptionError, shown
from tf_rnn.options.declared import CELL_OPTIONS
from tf_rnn.setup import GENERAL, Setup, check_setup, setup_identity, setup_line
from tf_rnn.tasks import TASKS, Stream, Task
from tf_rnn.training import Budget, Schedule

BLOCK: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        (np.eye(2), "array([[1., 0.],        [0., 1.]])"),
        (10**300, f"1{99 * '0'} ... {20 * '0'}"),
        (10**5000, "int that cannot be shown"),
        (Nameless(), "Nameless that cannot be shown"),
    ],
    ids=["line", "array", "long", "too long", "nameless"],
)
def test_a_value_is_shown_on_one_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("option", ["learning_rate", "clip_norm", "init_scale"])
def test_numbers_are_those_of_the_dtype(option: str) -> None:
    """A larger one would be inf: a gradient that is clipped to it is nan."""
    small: dict[str, Any] = {option: 3e38}
    large: dict[str, Any] = {option: 1e308}
    GraphOptions(**BLOCK, **small)
    GraphOptions(**BLOCK, **large, dtype="float64")
    with pytest.raises(OptionError, match=f"^{option} must be a number that float32 has, got 1e\\+308$"):
        GraphOptions(**BLOCK, **large)


@pytest.mark.parametrize(
    "options", [{"learning_rate": fractions.Fraction(1, 10)}, {"clip_norm": np.float32(2)}]
)
def test_what_is_accepted_can_be_written(options: dict[str, Any]) -> None:
    """A fraction was taken once, and training died when it wrote its configuration."""
    seed: dict[str, Any] = {"seed": np.int64(3), "recompute": np.int64(2), "loss_steps": np.int64(2)}
    found = dataclasses.asdict(GraphOptions(**BLOCK, **options, **seed))
    assert json.loads(json.dumps(found)) == found
    sizes: dict[str, Any] = {"batch_size": np.int64(3), "cell_options": {"recurrent_gain": 2}}
    setup = vars(Setup(task="echo", **sizes, **options))
    assert json.loads(json.dumps(setup)) == setup
    assert type(setup["cell_options"]["recurrent_gain"]) is float
    third: Any = fractions.Fraction(1, 3)
    plain = [Budget("epochs", third).amount, Schedule("step", third).decay]
    assert json.loads(json.dumps(plain)) == [1 / 3] * 2


class Tides(Task):
    """A task that says nothing of what suits it."""

    name = "tides"
    input_size = num_classes = 3

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        classes = np.arange(60, dtype=np.int32) % 3
        return Stream(classes, np.roll(classes, -1))

    def options(self) -> dict[str, Any]:
        return {}


def test_a_setup_is_completed_by_what_suits_its_task() -> None:
    copy, words = Setup(task="copy"), Setup(task="words", state_size=7)
    assert (copy.cell, copy.state_size, copy.batch_size, copy.clip_norm) == ("lstm", 64, 20, 1.0)
    assert (copy.cell_options, copy.embedding_size) == ({"forget_bias": 4.0}, None)
    assert words.embedding_size == 7
    assert Setup(task="words", embedding_size=None).embedding_size is None
    assert Setup(task="words", clip_norm=None).clip_norm is None
    assert Setup(task="copy", cell="gru").cell_options == {}
    assert Setup(task="text", tied=True).embedding_size == 64
    assert Setup(task="copy", cell_options={"forget_bias": 1}).cell_options == {"forget_bias": 1.0}


def test_a_task_of_one_s_own_is_as_good_as_ours() -> None:
    task = Tides()
    setup = Setup(task=task, batch_size=4)
    assert (setup.make_task(), setup.task_name, setup.cell) == (task, "tides", GENERAL.cell)
    check_setup(setup, task, [15])
    with pytest.raises(OptionError, match=r"^num_steps must be at most 15 "):
        check_setup(setup, task, [16])
    assert setup_identity(setup, task)["task"] == "tides"
    with pytest.raises(OptionError, match=r"^task_options must be left out where task is a Task, got "):
        Setup(task=task, task_options={"lag": 3})


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("task_options", [3], "must be a dictionary of options, got [3]"),
        ("task_options", {"a": 3}, "must be options of echo, got 'a'"),
        ("cell_options", math.nan, "must be a dictionary of options, got nan"),
        ("cell_options", {"a": 3}, f"must be of {', '.join(CELL_OPTIONS)}, got 'a'"),
        ("task", "delay", f"must be one of {', '.join(TASKS)}; got 'delay'"),
    ],
)
def test_what_a_setup_is_made_of(option: str, value: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(f'{option} {message}')}$"):
        Setup(**({"task": "echo"} | {option: value}))


def test_a_line_names_every_option_that_differs_from_what_suits_the_task() -> None:
    usual = setup_line(Setup(task="words"), "7 tokens")
    assert usual == "Task words, cell lstm 200, batch 20, adam 0.002, gradient norm at most 5, 7 tokens"
    setup = Setup.of(
        task="words", data="a.txt", num_layers=2, forget_bias=2.0, tied=True, dropout=0.5, init_scale=0.1,
        reduction="sum", recompute="sqrt", clip_norm=None, style="adaptive", tolerance=0.2, stride=3,
    )  # fmt: skip
    assert setup_line(setup, "7 tokens") == (
        "Task words (data a.txt), cell lstm 2 x 200, forget bias 2.0, batch 20, adam 0.002, clip norm off, "
        "reduction sum, tied, dropout 0.5, init scale 0.1, recompute sqrt, style adaptive, tolerance 0.2, "
        "7 tokens"
    )
    assert "embedding size 9" in setup_line(Setup(task="text", embedding_size=9), "7 tokens")
