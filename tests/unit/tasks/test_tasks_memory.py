"""The memory task: its definition, its losses against brute force, and its errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.options import OptionError
from tf_rnn.tasks import Copy, Memory


@given(lag=st.integers(1, 9), num_symbols=st.integers(2, 9), count=st.integers(1, 30))
def test_the_symbol_at_the_start_is_the_target_at_the_end(lag: int, num_symbols: int, count: int) -> None:
    task = Memory(lag, num_symbols, length=count * (lag + 1))
    inputs, targets = (values.reshape(count, lag + 1) for values in task.stream())
    assert inputs.dtype == targets.dtype == np.int32
    np.testing.assert_array_equal(inputs[:, 0], targets[:, -1])
    assert set(inputs[:, 0].tolist()) <= set(range(num_symbols))
    assert set(inputs[:, 1:].ravel().tolist()) <= set(range(num_symbols, 2 * num_symbols))
    assert (targets[:, :-1] == -1).all()


def test_distractors_are_equally_frequent_and_say_nothing_of_the_symbol() -> None:
    inputs, targets = (values.reshape(-1, 3) for values in Memory(2, 3, length=90_000).stream())
    pairs = np.bincount(3 * (inputs[:, 1] - 3) + targets[:, -1], minlength=9) / len(inputs)
    error = math.sqrt(1 / 9 * 8 / 9 / len(inputs))
    assert np.abs(pairs - 1 / 9).max() < 4 * error, pairs


def test_symbols_are_equally_frequent() -> None:
    targets = Memory(lag=1, num_symbols=5, length=100_000).stream().targets
    shares = np.bincount(targets[targets >= 0], minlength=5) / 50_000
    assert np.abs(shares - 0.2).max() < 4 * math.sqrt(0.2 * 0.8 / 50_000), shares


def test_the_baseline_is_the_loss_of_equal_probabilities() -> None:
    for num_symbols in (2, 7):
        assert Memory(num_symbols=num_symbols).baselines() == {"memoryless": math.log(num_symbols)}


@pytest.mark.parametrize("lag", [1, 2, 3, 6])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 5, 7, 12])
def test_floor_counts_the_examples_that_a_border_cuts(lag: int, num_steps: int) -> None:
    task = Memory(lag, 3, length=(lag + 1) * num_steps * 4)
    inputs, targets = task.stream()
    last_symbol, losses = None, []
    for t, (symbol, target) in enumerate(zip(inputs.tolist(), targets.tolist(), strict=True)):
        if t % num_steps == 0:
            last_symbol = None
        if symbol < 3:
            last_symbol = symbol
        if target >= 0:
            losses.append(0.0 if last_symbol == target else math.log(3))
    # Who has seen another symbol than the target's does not exist: it would have to come between.
    assert task.floor(num_steps) == pytest.approx(np.mean(losses), abs=1e-12)


def test_floor_of_whole_examples_is_the_optimum_and_of_narrow_blocks_the_baseline() -> None:
    task = Memory(lag=6)
    assert task.floor(7) == task.floor(14) == task.optimum() == 0
    assert task.floor(1) == task.floor(6) == task.baselines()["memoryless"] == math.log(8)


def test_dependency_score_is_the_share_that_is_remembered() -> None:
    task = Memory(lag=4, num_symbols=3, length=2 * 100)
    inputs, targets = task.rows(2)
    remembered = (targets == 1).astype(np.float32)
    noise = np.random.default_rng(0).random(inputs.shape)
    for share in (1.0, 0.25, 0.0):
        predictions = np.where(targets >= 0, share * remembered + (1 - share) / 3, noise)
        assert task.dependency_scores(inputs, predictions) == pytest.approx({4: share}, abs=1e-6)
        # A row that ends within an example has no use for its symbol.
        found = task.dependency_scores(inputs[:, :-2], predictions[:, :-2])
        assert found == pytest.approx({4: share}, abs=1e-6)


def test_dependency_score_needs_both_kinds_of_examples() -> None:
    task = Memory(lag=4, num_symbols=3, length=2 * 40)
    inputs = task.rows(2).inputs
    predictions = np.full(inputs.shape, 0.5)
    assert task.dependency_scores(inputs[:, :4], predictions[:, :4]) == {}
    assert task.dependency_scores(np.zeros_like(inputs), predictions) == {}
    assert task.dependency_scores(np.ones_like(inputs), predictions) == {}


@pytest.mark.parametrize("kind", [Memory, Copy])
def test_there_are_no_more_symbols_than_integers_for_them(kind: type[Memory | Copy]) -> None:
    task = kind(num_symbols=2**30 - 1, length=200)
    assert 2**29 < task.stream().inputs.max() < task.input_size < 2**31
    with pytest.raises(OptionError, match=r"^num_symbols must be .* 1073741823, got 1073741824$"):
        kind(num_symbols=2**30)
