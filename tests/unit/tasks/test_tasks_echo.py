"""The echo task: its definition against simulation and against brute force, and its errors."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREE: dict[str, Any] = {"lags": (4, 1, 6), "effects": (-0.3, 0.45, -0.1)}


def mean_and_error(values: NDArray[Any]) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / math.sqrt(values.size))


def known_probability(task: Echo, bits: NDArray[Any], known: tuple[int, ...]) -> NDArray[Any]:
    """E[P(Y_t = 1 | X) | bits at the known lags] for t >= max(lags): unknown bits count 1/2."""
    start = max(task.lags)
    probability = np.full(len(bits) - start, 0.5)
    for lag, effect in zip(task.lags, task.effects, strict=True):
        bit = bits[start - lag : len(bits) - lag] if lag in known else np.float64(0.5)
        probability += effect * bit
    return probability


def entropy(q: float) -> float:
    return -sum(p * math.log(p) for p in (q, 1 - q) if p > 0)


@pytest.mark.parametrize("task", [Echo(length=400_000), Echo(**THREE, seed=5, length=400_000)])
def test_expected_entropies_agree_with_simulation(task: Echo) -> None:
    bits, targets = task.stream()
    shown = targets[max(task.lags) :]
    for size in range(len(task.lags) + 1):
        for known in itertools.combinations(task.lags, size):
            q = known_probability(task, bits, known)
            mean, error = mean_and_error(-np.log(np.where(shown == 1, q, 1 - q)))
            expected = task.expected_entropy(known)
            assert abs(mean - expected) < 4 * error, f"{known}: {mean} +- {error}, not {expected}"


@pytest.mark.parametrize("split", ["train", "valid"])
def test_targets_have_the_defined_frequencies(split: str) -> None:
    task = Echo(**THREE, seed=2, length=100_000, valid_length=100_000)
    bits, targets = task.stream(split)
    start = max(task.lags)
    columns = np.stack([bits[start - lag : len(bits) - lag] for lag in task.lags], axis=1)
    for combination in itertools.product((0, 1), repeat=3):
        chosen = targets[start:][(columns == combination).all(axis=1)]
        p = 0.5 + float(np.dot(combination, task.effects))
        error = math.sqrt(p * (1 - p) / len(chosen))
        assert abs(chosen.mean() - p) < 4 * error, f"{combination}: {chosen.mean()}, not {p}"


def test_first_targets_depend_on_bits_before_the_stream() -> None:
    task = Echo(lags=(5,), effects=(0.5,), length=3)
    mean, error = mean_and_error(np.stack([task.stream(epoch=i).targets for i in range(400)]))
    assert abs(mean - 0.75) < 4 * error, f"{mean} +- {error}; with bits of 0 it would be 0.5"


def test_inputs_are_fair_and_independent_of_the_next() -> None:
    bits = Echo(length=100_000).stream().inputs
    for values in (bits, bits[1:] == bits[:-1]):
        mean, error = mean_and_error(values)
        assert abs(mean - 0.5) < 4 * error, f"{mean} +- {error}"


def test_losses_of_the_default_lags() -> None:
    assert list(Echo().baselines()) == ["no dependency", "lag 8 alone", "lag 3 alone", "all lags"]
    expected = [entropy(0.625), (entropy(0.75) + entropy(0.5)) / 2]
    expected += [(entropy(0.375) + entropy(0.875)) / 2]
    expected += [(entropy(0.5) + entropy(0.25) + entropy(1.0) + entropy(0.75)) / 4]
    assert list(Echo().baselines().values()) == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx([0.66156, 0.62774, 0.51917, 0.45445], abs=5e-6)
    assert Echo().optimum() == Echo().baselines()["all lags"]


def test_one_lag_has_no_other_optimum_and_one_without_effect_tells_nothing() -> None:
    task = Echo(lags=(2,), effects=(-0.5,))
    baselines = task.baselines()
    assert list(baselines) == ["no dependency", "lag 2 alone"]
    assert task.optimum() == baselines["lag 2 alone"] == pytest.approx(math.log(2) / 2)
    assert Echo().expected_entropy((1, 3, 9)) == Echo().expected_entropy((3,))


def brute_force_floor(lags: tuple[int, ...], effects: tuple[float, ...], num_steps: int) -> float:
    """The loss of the best predictor that sees only its block, by going through all bit strings."""
    history = max(lags)
    total = 0.0
    for j in range(num_steps):
        by_seen: dict[tuple[int, ...], list[float]] = {}
        for bits in itertools.product((0, 1), repeat=history + num_steps):
            p = 0.5 + sum(e * bits[history + j - k] for k, e in zip(lags, effects, strict=True))
            by_seen.setdefault(bits[history : history + j + 1], []).append(p)
        losses = [entropy(sum(group) / len(group)) for group in by_seen.values()]
        total += sum(losses) / len(losses)
    return total / num_steps


@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 6])
def test_floor_agrees_with_brute_force(num_steps: int) -> None:
    lags, effects = (4, 1, 2), (0.3, -0.35, 0.15)
    expected = brute_force_floor(lags, effects, num_steps)
    assert Echo(lags, effects).floor(num_steps) == pytest.approx(expected, rel=1e-12)


def test_floor_falls_from_no_dependency_to_the_optimum() -> None:
    task = Echo()
    floors = [task.floor(n) for n in (1, 3, 4, 8, 9, 50, 10**7)]
    assert floors[0] == floors[1] == pytest.approx(task.expected_entropy(()))
    assert all(a >= b for a, b in itertools.pairwise(floors))
    assert floors[-1] == pytest.approx(task.optimum(), abs=1e-6)
    assert [task.floor(n) for n in (5, 10, 20)] == pytest.approx([0.6046, 0.5489, 0.5017], abs=5e-5)


def test_dependency_scores_of_predictors_with_known_answers() -> None:
    task = Echo(**THREE, length=3 * 107)
    rows = task.rows(3).inputs
    for known, expected in [((4, 1, 6), (1, 1, 1)), ((1,), (0, 1, 0)), ((), (0, 0, 0))]:
        padded = [np.r_[np.full(6, 0.123), known_probability(task, row, known)] for row in rows]
        scores = task.dependency_scores(rows, np.stack(padded))
        assert list(scores) == [4, 1, 6]
        assert list(scores.values()) == pytest.approx(expected, abs=1e-10), known


def test_dependency_score_is_the_share_of_the_effect() -> None:
    task = Echo(length=2 * 50)
    rows = task.rows(2).inputs
    predictions = np.full(rows.shape, 0.4, np.float32)
    predictions[:, 8:] -= 0.125 * rows[:, :-8]
    assert task.dependency_scores(rows, predictions) == pytest.approx({3: 0, 8: 0.5}, abs=1e-5)


def test_dependency_scores_leave_out_what_the_rows_do_not_hold() -> None:
    task = Echo(length=7 * 8)
    rows = task.rows(7).inputs  # 8 steps a row: a lag of 8 reaches before each of them
    predictions = np.full(rows.shape, 0.375)
    predictions[:, 3:] += 0.5 * rows[:, :-3]
    assert task.dependency_scores(rows, predictions) == pytest.approx({3: 1.0})
    assert task.dependency_scores(rows[:, :3], predictions[:, :3]) == {}
    assert task.dependency_scores(np.zeros((7, 8), np.int32), predictions) == {}


def test_effects_may_miss_the_border_by_rounding() -> None:
    task = Echo(lags=(1, 2, 3), effects=(0.25, 0.25 + 1e-12, -0.5 - 1e-12), length=50)
    probabilities = [0.5, 0.75, 0.75, 1, 0, 0.25, 0.25, 0.5]
    expected = sum(entropy(p) for p in probabilities) / 8
    assert task.optimum() == pytest.approx(expected, abs=1e-9)
    assert set(task.stream().targets.tolist()) == {0, 1}


ANY_SUM = "effects must keep the probability 0.5 + (any sum of them) in [0, 1], got"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": (3, 3)}, "lags must be distinct, got [3, 3]"),
        ({"lags": range(1, 14)}, "lags must be from 1 to 12 numbers, got 13"),
        ({"lags": "38"}, "lags must be a sequence of numbers, got '38'"),
        ({"lags": (3,)}, "effects must be as many as lags, 1, got 2: [0.5, -0.25]"),
        ({"effects": (0.5, math.nan)}, "effects must be numbers other than 0, got nan"),
        ({"effects": (0.5, 0.25)}, f"{ANY_SUM} [0.5, 0.25], which give from 0.5 to 1.25"),
        ({"effects": (-0.4, -0.25)}, f"{ANY_SUM} [-0.4, -0.25], which give from -0.15 to 0.5"),
    ],
)
def test_what_the_constructor_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Echo(**options)
