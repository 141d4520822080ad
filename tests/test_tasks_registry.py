"""The registry of tasks, and what importing it does not need."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tf_rnn.options import INPUT_KINDS, LOSS_STEPS, LOSSES, OptionError
from tf_rnn.setup import Setup, check_setup
from tf_rnn.tasks import (
    TASKS,
    Adding,
    Copy,
    Echo,
    Influence,
    Memory,
    Text,
    Words,
    described_task,
    make_task,
)
from tf_rnn.tasks.generated import Generated


def test_names_are_those_of_the_classes() -> None:
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}
    for task in (Adding, Copy, Echo, Influence, Memory, Text, Words):
        assert TASKS[task.name] is task


@pytest.mark.parametrize("name", list(TASKS))
def test_options_make_the_task_again(name: str) -> None:
    task = make_task(name)
    again = make_task(task.name, **json.loads(json.dumps(task.options())))
    assert type(again) is TASKS[name]
    assert again.options() == task.options()
    assert again.baselines() == task.baselines()


def test_options_reach_the_constructor() -> None:
    task = make_task("echo", lags=[2], effects=[0.25], length=9)
    assert task.lags == (2,)
    assert len(task.stream().inputs) == 9


def test_what_is_refused() -> None:
    message = f"task must be one of {', '.join(TASKS)}; got 'Echo'"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make_task("Echo")
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        make_task("echo", width=3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("echo", (200, "adagrad", 0.1, 5_000_000)),
        ("memory", (50, "adam", 0.005, 5_000_000)),
        ("copy", (20, "adam", 0.005, 8_000_000)),
        ("adding", (50, "adam", 0.005, 5_000_000)),
        ("influence", (1, "sgd", 0.001, 100_000)),
        ("text", (50, "adam", 0.002, 1_000_000)),
        ("words", (20, "adam", 0.002, 1_000_000)),
    ],
)
def test_defaults(name: str, expected: tuple[int, str, float, int]) -> None:
    found = TASKS[name].defaults
    assert (found.batch_size, found.optimizer, found.learning_rate, found.tokens) == expected


@pytest.mark.parametrize("name", list(TASKS))
def test_streams_are_what_the_attributes_say(name: str) -> None:
    task = make_task(name)
    inputs, targets = task.stream("valid")
    assert task.loss in LOSSES
    assert task.input_kind in INPUT_KINDS
    assert task.loss_steps in LOSS_STEPS
    assert task.unit == {"cross_entropy": "nats", "squared_error": "squared error"}[task.loss]
    assert len(inputs) == len(targets)
    assert len(targets) % task.period == 0
    if task.input_kind == "classes":
        assert (inputs.ndim, inputs.dtype) == (1, np.dtype(np.int32))
        assert 0 <= inputs.min() <= inputs.max() < task.input_size
    else:
        assert (inputs.shape[1:], inputs.dtype) == ((task.input_size,), np.dtype(np.float32))
        assert np.isfinite(inputs).all()
    if task.loss == "cross_entropy":
        assert (targets.ndim, targets.dtype) == (1, np.dtype(np.int32))
        assert targets.max() < task.num_classes
        assert targets.min() == {"all": 0, "marked": -1}[task.loss_steps]
    else:
        assert (targets.shape[1:], targets.dtype) == ((task.num_classes,), np.dtype(np.float32))
        assert np.isnan(targets).any() == (task.loss_steps == "marked")


@pytest.mark.parametrize("name", list(TASKS))
def test_splits_are_those_that_the_task_names(name: str) -> None:
    task = make_task(name)
    assert task.splits == (("train", "valid", "test") if name in {"text", "words"} else ("train", "valid"))
    for split in task.splits:
        assert len(task.stream(split).targets) > 0
    readable = (*task.splits, "all") if name in {"text", "words"} else task.splits
    message = f"split must be one of {', '.join(readable)}; got 'dev'"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        task.stream("dev")


def test_words_alone_become_learnt_vectors_unless_said() -> None:
    assert [name for name, task in TASKS.items() if task.defaults.embeds] == ["words"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adding", {}, "embedding_size must be left out for the task adding, whose inputs are real numbers"),
        (
            "influence",
            {"cell": "influence"},
            "embedding_size must be left out for the task influence, whose inputs are none",
        ),
        (
            "memory",
            {"tied": True},
            "tied must be left out for the task memory, which has 16 classes of inputs and 8 of targets",
        ),
        ("memory", {}, None),
        ("words", {"tied": True}, None),
    ],
)
def test_embeddings_suit_the_task(name: str, options: dict[str, Any], message: str | None) -> None:
    setup = Setup(task=name, state_size=6, embedding_size=6, batch_size=1, **options)
    task = make_task(name)
    if message is None:
        check_setup(setup, task, num_steps=[3])
        return
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        check_setup(setup, task, num_steps=[3])


@pytest.mark.parametrize("name", [name for name in TASKS if issubclass(TASKS[name], Generated)])
def test_drawn_data_are_fixed_by_seed_split_and_epoch(name: str) -> None:
    sizes = {"length": 1000, "valid_length": 1000}
    task = make_task(name, seed=3, **sizes)
    again = make_task(name, **task.options())
    other = make_task(name, seed=4, **sizes)
    for found, expected in zip(again.stream("valid", 2), task.stream("valid", 2), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)
    streams = [task.stream(), task.stream("valid"), task.stream(epoch=1), other.stream()]
    for a, b in itertools.combinations(streams, 2):
        assert not np.array_equal(a.inputs, b.inputs)
        assert not np.array_equal(a.targets, b.targets, equal_nan=True)


@pytest.mark.parametrize("name", list(TASKS))
def test_reset_states_do_no_better_than_the_optimum(name: str) -> None:
    task = make_task(name)
    for num_steps in (1, 7, 50, 100):
        floor, optimum = task.floor(num_steps), task.optimum()
        assert floor is None or (optimum is not None and floor >= optimum), (floor, optimum)


def test_tasks_need_no_tensorflow() -> None:
    code = (
        "import sys; from tf_rnn.tasks import TASKS; [task().baselines() for task in TASKS.values()]; "
        "print([name for name in ('tensorflow', 'keras', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("name", list(TASKS))
def test_made_data_can_last(name: str) -> None:
    task = make_task(name)
    longer = task.lasting(1_234_567)
    assert type(longer) is type(task)
    if issubclass(TASKS[name], Generated):
        assert longer.options() | {"length": None} == task.options() | {"length": None}
        length = len(longer.stream().targets)
        assert 1_234_567 - task.period < length <= 1_234_567, length
        assert task.lasting(1000) is task
    else:
        assert longer is task


def test_a_described_task_is_the_task() -> None:
    task = make_task("memory", lag=7, length=800)
    again = described_task({"name": "memory", "options": task.options(), "sha256": None})
    assert (type(again), again.options()) == (type(task), task.options())
    assert described_task({"name": "memory", "options": {}}, lag=5).options()["lag"] == 5


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, "task must be described by its name and options, got None"),
        ({"name": "echo"}, "task must be described by its name and options, got {'name': 'echo'}"),
        ({"options": {}}, "task must be one of echo, memory, copy, adding, influence, text, words; got None"),
        (
            {"name": "echo", "options": {"delay": 3}},
            "task must be described by options that echo has, got 'delay'",
        ),
        (
            {"name": "copy", "options": {"delay": "3"}},
            "delay must be a whole number of at least 1, got '3'",
        ),
    ],
)
def test_what_is_no_description_of_a_task(description: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        described_task(description)


@pytest.mark.parametrize(
    ("name", "option", "more"), [("memory", "lag", 1), ("copy", "delay", 20), ("adding", "span", 0)]
)
def test_an_example_longer_than_the_data_is_told_of_the_option_that_makes_it_so(
    name: str, option: str, more: int
) -> None:
    message = (
        f"{option} must make examples of at most 200000 steps, as many as valid_length has; they would have "
    )
    with pytest.raises(OptionError, match=f"^{message}{200_001 + more}$"):
        make_task(name, **{option: 200_001})
    with pytest.raises(OptionError, match=r"^length must be at least \d+, the length of one example, got 9$"):
        make_task(name, length=9)
