"""The registry of tasks, and what importing it does not need."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.options import INPUT_KINDS, LOSS_STEPS, LOSSES, OptionError
from tf_rnn.setup import Setup, check_setup
from tf_rnn.tasks import (
    TASKS,
    Adding,
    Autoregression,
    Copy,
    Echo,
    Influence,
    Memory,
    Task,
    described_task,
    make_task,
)
from tf_rnn.tasks.generated import Generated

if TYPE_CHECKING:
    from collections.abc import Callable


# From files: they have a third split, and all of their data in a row.
READ = {"text", "words", "series", "labels"}


def test_names_are_those_of_the_classes() -> None:
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}
    with pytest.raises(OptionError, match=f"^task must be one of {', '.join(TASKS)}; got 'Echo'$"):
        make_task("Echo")
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        make_task("echo", width=3)


@given(data=st.data())
@pytest.mark.parametrize("name", [name for name in TASKS if name not in READ])
def test_options_make_an_equal_task_and_can_be_written(name: str, data: st.DataObject) -> None:
    """Numbers of every kind that is accepted become Python's own, which JSON can hold."""
    numbers = st.builds(
        lambda kind, n: kind(n), st.sampled_from([int, np.int64, np.uint16]), st.integers(2, 9)
    )
    given = {option: data.draw(numbers) for option in inspect.signature(TASKS[name]).parameters}
    lengths: dict[str, Any] = {"length": data.draw(st.integers(300, 400)), "valid_length": np.int32(300)}
    if name in ("echo", "autoregression"):
        of_kind = data.draw(st.sampled_from([float, np.float32, Fraction]))
        given |= {"lags": np.array([given["lags"], 1]), "effects": (of_kind(0.25), of_kind(-0.5))}
    task = make_task(name, **given | lengths)
    options = json.loads(json.dumps(task.options(), allow_nan=False))
    assert list(options) == list(given)
    again = described_task({"name": name, "options": options})
    assert again.options() == task.options() == options
    assert (again.period, again.max_lag, again.lags) == (task.period, task.max_lag, task.lags)
    assert (again.input_size, again.num_classes) == (task.input_size, task.num_classes)
    for found, expected in zip(again.stream("valid", 1), task.stream("valid", 1), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)
    for split, length in (("train", lengths["length"]), ("valid", 300)):
        assert task.length(split) == length // task.period * task.period


@pytest.mark.parametrize("name", ["text", "words"])
def test_fractions_of_a_text_can_be_written(name: str) -> None:
    task = make_task(name, valid_fraction=Fraction(1, 8), test_fraction=np.float32(0.25))
    options = json.loads(json.dumps(task.options()))
    assert (options["valid_fraction"], options["test_fraction"]) == (0.125, 0.25)


@pytest.mark.parametrize(
    ("task", "period", "max_lag", "lags", "sizes"),
    [
        (Adding(span=9), 9, 8, (), (2, 1)),
        (Autoregression(lags=(8, 3)), 1, 7, (), (1, 1)),
        (Copy(delay=4, num_symbols=7, num_recalled=3), 10, 7, (), (9, 8)),
        (Echo(lags=(8, 3)), 1, 8, (8, 3), (2, 2)),
        (Influence(), 1, None, (), (0, 1)),
        (Memory(lag=6, num_symbols=5), 7, 6, (6,), (10, 5)),
    ],
)
def test_attributes(
    task: Task, period: int, max_lag: int | None, lags: tuple[int, ...], sizes: tuple[int, int]
) -> None:
    assert (task.period, task.max_lag, task.lags) == (period, max_lag, lags)
    assert (task.input_size, task.num_classes) == sizes
    if not lags:
        assert task.dependency_scores(np.zeros((1, 3), np.int32), np.zeros((1, 3))) == {}


@pytest.mark.parametrize("name", ["echo", "memory"])
def test_scores_are_of_rows_and_of_one_probability_for_each_step(name: str) -> None:
    task = make_task(name)
    with pytest.raises(OptionError, match=r"^inputs must be \[batch_size, length\], got shape \(20,\)$"):
        task.dependency_scores(np.zeros(20, np.int32), np.zeros(20))
    message = r"^predictions must be P\(Y = 1\) in the shape of inputs, \(2, 10\), got \(2, 10, 8\)$"
    with pytest.raises(OptionError, match=message):
        task.dependency_scores(np.zeros((2, 10), np.int32), np.zeros((2, 10, 8)))


@pytest.mark.parametrize("name", list(TASKS))
def test_streams_are_what_the_attributes_say(name: str) -> None:
    task = make_task(name)
    inputs, targets = task.stream("valid")
    assert task.loss in LOSSES
    assert task.input_kind in INPUT_KINDS
    assert task.loss_steps in LOSS_STEPS
    assert task.unit.endswith({"cross_entropy": "nats", "squared_error": "squared error"}[task.loss])
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
def test_splits_and_epochs_are_checked_by_all_that_read(name: str) -> None:
    task, is_read = make_task(name), name in READ
    assert task.splits == (("train", "valid", "test") if is_read else ("train", "valid"))
    readers: list[Callable[..., object]] = [
        task.stream,
        lambda *where: task.rows(1, *where),
        lambda *where: task.blocks(1, 1, *where),
    ]
    readable = ", ".join((*task.splits, "all") if is_read else task.splits)
    for read in (*readers, task.length, lambda split: task.row_length(1, split)):
        for split in ("dev", None):
            with pytest.raises(OptionError, match=f"^split must be one of {readable}; got "):
                read(split)
    for read in readers:
        with pytest.raises(OptionError, match=r"^epoch must be a whole number of at least 0, got -1$"):
            read("valid", -1)


WHERE = "must be left out for the task"
SIZES = "which has 16 classes of inputs and 8 of targets"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adding", {}, f"embedding_size {WHERE} adding, whose inputs are real numbers"),
        ("influence", {"cell": "influence"}, f"embedding_size {WHERE} influence, whose inputs are none"),
        ("memory", {"tied": True}, f"tied {WHERE} memory, {SIZES}"),
        ("memory", {}, None),
        ("words", {"tied": True}, None),
    ],
)
def test_embeddings_suit_the_task(name: str, options: dict[str, Any], message: str | None) -> None:
    setup = Setup(task=name, state_size=6, embedding_size=6, batch_size=1, **options)
    expected = pytest.raises(OptionError, match=f"^{message}$") if message else contextlib.nullcontext()
    with expected:
        check_setup(setup, make_task(name), num_steps=[3])


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
    optimum, floors = task.optimum(), [task.floor(num_steps) for num_steps in (1, 7, 50, 100)]
    assert all(floor is None or (optimum is not None and floor >= optimum) for floor in floors), floors


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


NO_OPTION = "task must be described by options that echo has, got 'delay'"


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, "task must be described by its name and options, got None"),
        ({"name": "echo"}, "task must be described by its name and options, got {'name': 'echo'}"),
        ({"options": {}}, f"task must be one of {', '.join(TASKS)}; got None"),
        ({"name": "echo", "options": {"delay": 3}}, NO_OPTION),
        ({"name": "copy", "options": {"delay": "3"}}, "delay must be a whole number of at least 1, got '3'"),
    ],
)
def test_what_is_no_description_of_a_task(description: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        described_task(description)
    changed = described_task({"name": "memory", "options": {"lag": 7}, "sha256": None}, lag=5)
    assert changed.options()["lag"] == 5, "what is given comes before the description"


@pytest.mark.parametrize(
    ("name", "option", "more"), [("memory", "lag", 1), ("copy", "delay", 20), ("adding", "span", 0)]
)
def test_an_example_longer_than_the_data_names_its_option(name: str, option: str, more: int) -> None:
    limit = "examples of at most 200000 steps \\(valid_length\\)"
    with pytest.raises(OptionError, match=f"^{option} must give {limit}, got {200_001 + more} steps$"):
        make_task(name, **{option: 200_001})
    with pytest.raises(OptionError, match=r"^length must be at least \d+, the length of one example, got 9$"):
        make_task(name, length=9)
