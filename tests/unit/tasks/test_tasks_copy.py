"""The copy task: its layout, its losses against simulation and brute force, and its errors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.tasks import Copy


@given(st.integers(1, 30), st.integers(2, 9), st.integers(1, 12), st.integers(1, 5))
def test_any_layout(delay: int, num_symbols: int, num_recalled: int, examples: int) -> None:
    period = delay + 2 * num_recalled
    task = Copy(delay, num_symbols, num_recalled, length=examples * period)
    assert (task.period, task.max_lag) == (period, delay + num_recalled)
    assert (task.blank, task.delimiter) == (num_symbols, num_symbols + 1)
    inputs, targets = (array.reshape(examples, period) for array in task.stream())
    assert inputs.dtype == targets.dtype == np.int32
    symbols = inputs[:, :num_recalled]
    assert set(symbols.ravel().tolist()) <= set(range(num_symbols))
    for example in range(examples):
        shown = symbols[example].tolist()
        blank, delimiter = [num_symbols], [num_symbols + 1]
        row = shown + (delay - 1) * blank + delimiter + num_recalled * blank
        assert inputs[example].tolist() == row
        assert targets[example].tolist() == (delay + num_recalled) * blank + shown


def test_symbols_are_equally_frequent_and_independent_of_the_next() -> None:
    task = Copy(delay=1, num_symbols=4, num_recalled=2, length=200_000)
    symbols = task.stream().inputs.reshape(-1, 5)[:, :2]
    shares = np.bincount(4 * symbols[:, 0] + symbols[:, 1], minlength=16) / len(symbols)
    error = math.sqrt(1 / 16 * 15 / 16 / len(symbols))
    assert np.abs(shares - 1 / 16).max() < 4 * error, shares


@pytest.mark.parametrize("task", [Copy(), Copy(delay=7, num_symbols=3, num_recalled=4)])
def test_memoryless_loss_agrees_with_simulation(task: Copy) -> None:
    """Its probabilities are the frequencies, at each place of an example, in the other split."""
    counts = np.zeros((task.period, task.num_classes))
    places = np.tile(np.arange(task.period), task.length() // task.period)
    np.add.at(counts, (places, task.stream().targets), 1)
    predicted = counts / counts.sum(axis=1, keepdims=True)
    held_out = task.stream("valid").targets
    losses = -np.log(predicted[places[: len(held_out)], held_out]).reshape(-1, task.period)
    means = losses.mean(axis=1)
    error = means.std() / math.sqrt(means.size)
    ((name, expected),) = task.baselines().items()
    assert name == "memoryless"
    # Estimated frequencies cost about 1 / (2 examples) for each free probability.
    fitted = task.num_recalled / task.period * (task.num_symbols - 1) / (2 * counts[0].sum())
    assert abs(means.mean() - expected) < 4 * error + 2 * fitted, f"{means.mean()}, not {expected}"


def test_memoryless_loss_in_the_words_of_the_source() -> None:
    assert (Copy().period, Copy().max_lag) == (30 + 20, 30 + 10)
    for delay in (1, 30, 500):
        expected = {"memoryless": 10 * math.log(8) / (delay + 20)}
        assert Copy(delay, length=1000, valid_length=1000).baselines() == pytest.approx(expected)
    assert Copy().optimum() == 0


def brute_force_floor(task: Copy, num_steps: int) -> float:
    """The loss of the best predictor that sees only its block, by going through what it may see.

    Blocks of `num_steps` are cut from a row that is long enough for every way to begin, over all
    symbols of the examples that a block can reach.
    """
    size, recalled, period = task.num_symbols, task.num_recalled, task.period
    count = (2 * period - 2 + num_steps) // period
    blocks = math.lcm(num_steps, period) // num_steps
    by_seen: dict[tuple[int, ...], list[int]] = {}
    for symbols in itertools.product(range(size), repeat=count * recalled):
        examples = np.reshape(symbols, (count, recalled))
        inputs = np.full((count, period), size)
        inputs[:, :recalled] = examples
        inputs[:, recalled + task.delay - 1] = size + 1
        targets = np.full((count, period), size)
        targets[:, -recalled:] = examples
        shown, wanted = inputs.ravel().tolist(), targets.ravel().tolist()
        for block in range(blocks):
            start = block * num_steps % period
            for j in range(num_steps):
                seen = tuple(shown[start : start + j + 1])
                by_seen.setdefault(seen, []).append(wanted[start + j])
    total = 0.0
    for group in by_seen.values():
        shares = [group.count(target) / len(group) for target in set(group)]
        total -= len(group) * sum(p * math.log(p) for p in shares)
    return total / sum(len(group) for group in by_seen.values())


@pytest.mark.parametrize(
    ("delay", "num_symbols", "num_recalled"), [(1, 2, 1), (1, 2, 2), (3, 2, 2), (2, 3, 1), (5, 2, 1)]
)
@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 5, 6, 7, 9])
def test_floor_agrees_with_brute_force(
    delay: int, num_symbols: int, num_recalled: int, num_steps: int
) -> None:
    task = Copy(delay, num_symbols, num_recalled)
    expected = brute_force_floor(task, num_steps)
    assert task.floor(num_steps) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_floor_of_some_widths() -> None:
    task = Copy()
    assert task.floor(50) == task.floor(100) == 0  # every block begins with an example
    assert task.floor(25) == pytest.approx(task.baselines()["memoryless"])  # it holds the delimiter
    assert task.floor(1) > task.baselines()["memoryless"]  # it does not know where it is
    assert task.floor(10**4 + 1) < 0.01
    assert Copy(delay=1).floor(1) == pytest.approx(Copy(delay=1).baselines()["memoryless"])
