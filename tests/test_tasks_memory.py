"""The memory task: its definition, its losses against simulation and brute force, and its errors."""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.config import OptionError
from tf_rnn.tasks import Memory


@given(lag=st.integers(1, 40), num_symbols=st.integers(2, 9), length=st.integers(1, 60))
def test_targets_are_the_inputs_of_the_lag_before(lag: int, num_symbols: int, length: int) -> None:
    inputs, targets = Memory(lag, num_symbols, length=length).stream()
    assert inputs.shape == targets.shape == (length,)
    assert inputs.dtype == targets.dtype == np.int32
    np.testing.assert_array_equal(targets[lag:], inputs[:-lag])
    assert {*inputs.tolist(), *targets.tolist()} <= set(range(num_symbols))


def test_first_targets_are_symbols_before_the_stream() -> None:
    task = Memory(lag=3, num_symbols=4, length=3)
    drawn = np.stack([task.stream(epoch=epoch).targets for epoch in range(400)])
    shares = np.bincount(drawn.ravel(), minlength=4) / drawn.size
    error = math.sqrt(0.25 * 0.75 / drawn.size)
    assert np.abs(shares - 0.25).max() < 4 * error, shares


def test_symbols_are_equally_frequent_and_independent_of_the_next() -> None:
    inputs = Memory(num_symbols=5, length=100_000).stream().inputs
    pairs = np.bincount(5 * inputs[:-1] + inputs[1:], minlength=25) / (len(inputs) - 1)
    error = math.sqrt(0.04 * 0.96 / len(inputs))
    assert np.abs(pairs - 0.04).max() < 4 * error, pairs


@pytest.mark.parametrize("num_symbols", [2, 7])
def test_memoryless_loss_agrees_with_simulation(num_symbols: int) -> None:
    task = Memory(lag=2, num_symbols=num_symbols, length=50_000)
    inputs, targets = task.stream()
    # The frequency of each target after each input: the best that the present alone can tell.
    counts = np.bincount(num_symbols * inputs + targets, minlength=num_symbols**2)
    table = counts.reshape(num_symbols, num_symbols) / np.bincount(inputs)[:, np.newaxis]
    losses = -np.log(table[inputs, targets])
    error = losses.std() / math.sqrt(losses.size)
    fitted = num_symbols**2 / (2 * losses.size)  # frequencies of the data themselves fit too well
    ((name, expected),) = task.baselines().items()
    assert name == "memoryless"
    assert abs(losses.mean() - expected) < 4 * error + fitted, f"{losses.mean()} +- {error}, not {expected}"


def brute_force_floor(lag: int, num_symbols: int, num_steps: int) -> float:
    """The loss of the best predictor that sees only its block, by going through all sequences."""
    total = 0.0
    for j in range(num_steps):
        by_seen: dict[tuple[int, ...], list[int]] = {}
        for symbols in itertools.product(range(num_symbols), repeat=lag + num_steps):
            by_seen.setdefault(symbols[lag : lag + j + 1], []).append(symbols[j])
        for group in by_seen.values():
            shares = np.bincount(group) / len(group)
            loss = -sum(p * math.log(p) for p in shares if p > 0)
            total += loss * len(group) / num_symbols ** (lag + num_steps)
    return total / num_steps


@pytest.mark.parametrize(("lag", "num_symbols"), [(1, 3), (2, 2), (3, 2)])
@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 5])
def test_floor_agrees_with_brute_force(lag: int, num_symbols: int, num_steps: int) -> None:
    expected = brute_force_floor(lag, num_symbols, num_steps)
    assert Memory(lag, num_symbols).floor(num_steps) == pytest.approx(expected, abs=1e-12)


def test_floor_falls_from_memoryless_to_the_optimum() -> None:
    task = Memory(lag=6)
    floors = [task.floor(n) for n in (1, 6, 7, 12, 50, 10**8)]
    assert floors[0] == floors[1] == task.baselines()["memoryless"] == math.log(8)
    assert floors[3] == pytest.approx(math.log(8) / 2)
    assert all(a >= b for a, b in itertools.pairwise(floors))
    assert floors[-1] == pytest.approx(task.optimum(), abs=1e-6)
    assert task.optimum() == 0


def test_dependency_score_is_the_share_that_is_remembered() -> None:
    task = Memory(lag=4, num_symbols=3, length=2 * 40)
    inputs, targets = task.rows(2)
    remembered = (targets == 1).astype(np.float32)
    memoryless = np.full(inputs.shape, 1 / 3, np.float32)
    for share in (1.0, 0.25, 0.0):
        predictions = share * remembered + (1 - share) * memoryless
        assert task.dependency_scores(inputs, predictions) == pytest.approx({4: share}, abs=1e-6)


def test_dependency_score_needs_symbols_early_enough() -> None:
    task = Memory(lag=4, num_symbols=3, length=2 * 40)
    inputs = task.rows(2).inputs
    predictions = np.full(inputs.shape, 0.5)
    assert task.dependency_scores(inputs[:, :4], predictions[:, :4]) == {}
    assert task.dependency_scores(np.zeros_like(inputs), predictions) == {}
    assert task.dependency_scores(np.ones_like(inputs), predictions) == {}


@given(st.integers(1, 10**6), st.integers(2, 50), st.integers(0, 2**70))
def test_options_make_an_equal_task(lag: int, num_symbols: int, seed: int) -> None:
    task = Memory(lag, num_symbols, seed, length=11, valid_length=5)
    options = json.loads(json.dumps(task.options()))
    assert options == {
        "lag": lag,
        "num_symbols": num_symbols,
        "seed": seed,
        "length": 11,
        "valid_length": 5,
    }
    assert Memory(**options).options() == options
    assert (task.lags, task.distance, task.period) == ((lag,), lag, 1)
    assert (task.input_size, task.num_classes) == (num_symbols, num_symbols)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lag": 0}, "lag must be a whole number of at least 1, got 0"),
        ({"lag": 2.5}, "lag must be a whole number of at least 1, got 2.5"),
        ({"num_symbols": 1}, "num_symbols must be a whole number of at least 2, got 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"length": 0}, "length must be a whole number of at least 1, got 0"),
        ({"valid_length": 0}, "valid_length must be a whole number of at least 1, got 0"),
    ],
)
def test_what_the_constructor_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Memory(**options)


def test_what_the_methods_refuse() -> None:
    task = Memory(length=20)
    with pytest.raises(OptionError, match=r"^split must be one of train, valid; got 'test'$"):
        task.stream("test")
    with pytest.raises(OptionError, match=r"^epoch must be a whole number of at least 0, got -1$"):
        task.stream(epoch=-1)
    with pytest.raises(OptionError, match=r"^num_steps must be a whole number of at least 1, got 0$"):
        task.floor(0)
    with pytest.raises(OptionError, match=r"^inputs must be \[batch_size, length\], got shape \(20,\)$"):
        task.dependency_scores(task.stream().inputs, np.zeros(20))
    message = r"^predictions must be P\(Y = 1\) in the shape of inputs, \(2, 10\), got \(2, 10, 8\)$"
    with pytest.raises(OptionError, match=message):
        task.dependency_scores(task.rows(2).inputs, np.zeros((2, 10, 8)))
