"""A task made of a user's own arrays: what it reads, what it infers, and what it refuses."""

from __future__ import annotations

import json
import math
import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tf_rnn
from tf_rnn.cells import VanillaCell
from tf_rnn.options import OptionError
from tf_rnn.tasks import Arrays, Defaults, Stream
from tf_rnn.training import Evaluator

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = np.arange(20) % 3
REALS = np.arange(40.0).reshape(20, 2)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64, bool])
def test_whole_numbers_are_classes(dtype: type) -> None:
    values: Any = (np.arange(20) % 2).astype(dtype)
    task = Arrays(values, values[::-1])
    kind = (task.input_kind, task.loss, task.loss_steps, task.unit)
    assert kind == ("classes", "cross_entropy", "all", "nats")
    assert (task.input_size, task.num_classes, task.period) == (2, 2, 1)
    assert (task.length("train"), task.length("valid")) == (18, 2)
    for split, part in (("train", slice(18)), ("valid", slice(18, None))):
        inputs, targets = task.checked_stream(split, epoch=3)
        np.testing.assert_array_equal(inputs, values[part].astype(np.int32), strict=True)
        np.testing.assert_array_equal(targets, values[::-1][part].astype(np.int32), strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_real_numbers_are_values(dtype: type) -> None:
    task = Arrays(REALS.astype(dtype), REALS[:, 0].astype(dtype), valid_fraction=0.3)
    assert (task.input_kind, task.loss, task.unit) == ("real", "squared_error", "squared error")
    assert (task.input_size, task.num_classes) == (2, 1)
    np.testing.assert_array_equal(task.stream("valid").inputs, REALS[14:].astype(np.float32), strict=True)
    np.testing.assert_array_equal(task.stream().targets, REALS[:14, :1].astype(np.float32), strict=True)


def test_lists_are_converted_and_whole_numbers_may_be_values() -> None:
    task = Arrays([1, 0, 2, 1], [-1, 5, 2, 9], loss="squared_error", valid_fraction=0.25, input_size=7)
    assert (task.loss, task.loss_steps, task.input_size, task.num_classes) == ("squared_error", "all", 7, 1)
    np.testing.assert_array_equal(task.stream().targets, np.array([[-1], [5], [2]], np.float32), strict=True)


@given(rows=st.integers(2, 5), length=st.integers(1, 4), size=st.integers(1, 3), held_out=st.integers(1, 4))
def test_sequences_follow_one_another(rows: int, length: int, size: int, held_out: int) -> None:
    held_out = min(held_out, rows - 1)
    inputs = np.arange(rows * length * size, dtype=np.float32).reshape(rows, length, size)
    classes = np.arange(rows * length).reshape(rows, length)
    task = Arrays(inputs, classes, valid_fraction=held_out / rows)
    assert task.period == (length or 1)
    assert task.length("valid") == held_out * length
    found = task.rows(1).inputs[0]
    np.testing.assert_array_equal(found, inputs[: rows - held_out].reshape(-1, size), strict=True)
    np.testing.assert_array_equal(task.rows(held_out, "valid").targets, classes[rows - held_out :])
    reals = Arrays(classes, classes / 2, valid_fraction=held_out / rows)
    np.testing.assert_array_equal(reals.rows(held_out, "valid").targets[..., 0], classes[-held_out:] / 2)


def test_steps_without_a_target_have_no_loss() -> None:
    """As in training: the loss of a split is the mean over the steps that have a target."""
    targets = np.where(np.arange(20) % 4 == 3, CLASSES, -1)
    task = Arrays(CLASSES, targets, valid_fraction=0.4)
    assert (task.loss_steps, task.num_classes) == ("marked", 3)
    values = np.where(np.arange(20) % 5 == 2, REALS[:, 1], np.nan)
    assert Arrays(REALS, values, valid_fraction=0.2).loss_steps == "marked"
    few = np.where(REALS < 9, REALS, np.nan)
    assert Arrays(REALS, REALS, valid_inputs=REALS, valid_targets=few).loss_steps == "marked"
    graph = tf_rnn.UnrolledGraph(VanillaCell(4), 2, 1, 3, 3, loss_steps="marked", seed=0)
    with graph.session() as session:
        assert Evaluator(graph, task)(session).tokens == 2


def test_other_arrays_may_be_held_out() -> None:
    task = Arrays(CLASSES[:5], CLASSES[:5], valid_inputs=[0, 4], valid_targets=[7, 1])
    assert (task.length(), task.length("valid")) == (5, 2)
    assert (task.input_size, task.num_classes) == (5, 8)
    assert task.stream("valid").targets.tolist() == [7, 1]


def test_baselines_by_hand() -> None:
    task = Arrays(CLASSES[:7], [0, 0, 1, -1, 2, 1, -1], valid_fraction=2 / 7)
    # Training targets, one added to each count: 0 3, 1 2, 2 2 of 7. Held out: 1.
    assert task.baselines() == pytest.approx({"uniform": math.log(3), "frequencies": -math.log(2 / 7)})
    values = [[1.0, 5.0], [3.0, 7.0], [math.nan, 0.0], [4.0, 6.0], [2.0, 4.0]]
    reals = Arrays(REALS[:5], values, valid_fraction=0.4)
    assert reals.baselines() == {"mean": ((4 - 2) ** 2 + 0 + 0 + (4 - 6) ** 2) / 4}


@pytest.mark.parametrize("borders", [[], [2, 4], [1, 4]], ids=["one", "rows", "lists"])
def test_targets_may_have_weights(borders: list[int]) -> None:
    """In the shapes of the targets, and cut like them; baselines are those of repeated tokens."""
    weights, targets = np.array([2, 0, 3, 1, 1, 2], np.float32), np.array([0, 1, 1, 0, 1, 1])
    given, classes, reals = (
        np.split(array, borders) if borders else array for array in (weights, targets, targets / 2)
    )
    held_out = borders[-1] if borders else 4
    splits = slice(held_out), slice(held_out, None)
    repeated = [np.repeat(targets[own], weights[own].astype(int)) for own in splits]
    for wanted, scale in ((classes, 1), (reals, 0.5)):
        task = Arrays(classes, wanted, target_weights=given, valid_fraction=1 / 3)
        assert task.has_target_weights
        for split, own in zip(task.splits, splits, strict=True):
            found: Any = task.checked_stream(split).target_weights
            np.testing.assert_array_equal(found, weights[own], strict=True)
        train, valid = (part if scale == 1 else part * scale for part in repeated)
        again = Arrays(repeated[0], train, valid_inputs=repeated[1], valid_targets=valid)
        assert task.baselines() == pytest.approx(again.baselines(), rel=1e-14)
        plain = Arrays(classes, wanted, valid_fraction=1 / 3)
        assert not plain.has_target_weights
        assert plain.sha256 != task.sha256


def test_weights_of_other_held_out_targets() -> None:
    own: dict[str, Any] = {"valid_inputs": [1, 0], "valid_targets": [1, 0], "valid_target_weights": [0, 0.5]}
    task = Arrays([[1, 1], [0]], [[1, 1], [0]], target_weights=[[1, 2], [3]], **own)
    found: Any = task.checked_stream("valid").target_weights
    assert found.tolist() == [0, 0.5]


def test_data_are_known_by_their_sha256_and_survive_a_change_of_the_array() -> None:
    values = CLASSES.copy()
    task, again = Arrays(values, values), Arrays(CLASSES, CLASSES)
    values[0] = 2
    changed = Arrays(values, CLASSES)
    assert task.stream().inputs[0] == 0
    assert task.sha256 == again.sha256 != changed.sha256
    shaped = [CLASSES[:12].reshape(shape) for shape in [(12,), (3, 4), (6, 2)]]
    assert len({Arrays(array, array, valid_fraction=1 / 3).sha256 for array in shaped}) == 3
    with pytest.raises(ValueError, match="read-only"):
        task.stream().inputs[0] = 1


def test_what_a_worker_or_a_file_gets() -> None:
    task = Arrays(REALS, REALS[:, 0], max_lag=4, name="level")
    again = pickle.loads(pickle.dumps(task))
    for split in task.splits:
        for found, expected in zip(again.stream(split), task.stream(split), strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)
    assert json.loads(json.dumps(task.options())) == task.options() == again.options()
    assert task.options() == {
        "train": {"inputs": [18, 2], "targets": [18, 1]},
        "valid": {"inputs": [2, 2], "targets": [2, 1]},
        "loss": "squared_error",
        "input_size": 2,
        "num_classes": 1,
        "period": 1,
        "max_lag": 4,
        "sha256": task.sha256,
    }
    assert (again.name, again.max_lag, again.defaults) == ("level", 4, task.defaults)


@given(examples=st.integers(2, 300), period=st.integers(1, 60))
def test_defaults_suit_the_size_of_the_data(examples: int, period: int) -> None:
    values = np.zeros((examples, period), int)
    task = Arrays(values, values, valid_fraction=0.5)
    found = task.defaults
    for width in (*found.num_steps, found.longest):
        for split in task.splits:
            task.blocks(found.batch_size, width, split)
    assert found.tokens >= task.length()
    assert found.epochs == 20, "so few tokens leave a network untrained after 10"
    own = Defaults(batch_size=2, optimizer="sgd", learning_rate=1.0, tokens=5)
    assert Arrays(values, values, valid_fraction=0.5, defaults=own).defaults is own


def with_value(array: np.ndarray, value: Any, *at: int) -> np.ndarray:
    changed = array.copy()
    changed[at] = value
    return changed


NAN, INF = math.nan, math.inf
ROWS = np.zeros((4, 5), int)
LAST, NONE = 2**31 - 2, "where there is no target"
# What two arrays are refused for, in the words after the option's name; options by themselves below.
VALUES: list[tuple[Any, Any, str]] = [
    (with_value(REALS, NAN, 13, 1), CLASSES, "inputs must be finite, got nan at step 13, column 1"),
    (with_value(REALS, -INF, 3, 0), CLASSES, "inputs must be finite, got -inf at step 3, column 0"),
    (
        with_value(REALS, 1e39, 3, 0),
        CLASSES,
        "inputs must be finite in float32, got 1e+39 at step 3, column 0",
    ),
    (
        REALS,
        with_value(REALS, INF, 7, 0),
        f"targets must be finite, or nan {NONE}, got inf at step 7, column 0",
    ),
    (
        CLASSES,
        with_value(CLASSES, -2, 4),
        f"targets must be from 0 to {LAST}, or -1 {NONE}, got -2 at step 4",
    ),
    (with_value(ROWS, -1, 2, 3), ROWS, f"inputs must be from 0 to {LAST}, got -1 at step 3 of sequence 2"),
    (CLASSES, CLASSES[1:], "targets must have 20 steps, as inputs, got 19"),
    (ROWS, ROWS[:, 1:], "targets must have 4 sequences of 5 steps, as inputs, got shape [4, 4]"),
    (CLASSES, REALS.astype(int), "targets must have at most 1 axes, got shape [20, 2]"),
    (np.zeros((2, 3, 4, 5)), CLASSES, "inputs must have at most 3 axes, got shape [2, 3, 4, 5]"),
    ([[1, [2]], [3, 4]], CLASSES, "inputs must be an array of numbers, got [[1, [2]], [3, 4]]"),
    (["a", "b"], CLASSES, "inputs must be an array of numbers, got dtype <U1"),
    (CLASSES, None, "targets must be an array of numbers, got dtype object"),
    ([], [], "inputs must have at least one step, got shape [0]"),
    (3, CLASSES, "inputs must have at least one step, got shape []"),
    ([0, 1, 0], [0, 1, 0], "valid_fraction must leave at least one step for each split, got 0.1 of 3 steps"),
    (
        CLASSES,
        np.r_[CLASSES[:18], -1, -1],
        "targets must have at least one target in split 'valid', got none",
    ),
]
OF_REALS = "loss must be squared_error for targets of dtype float64, got 'cross_entropy'"
MOST_OF_IT = "valid_fraction must leave at least one sequence for each split, got 0.9 of 4 sequences"
OPTIONS: list[tuple[Any, Any, dict[str, Any], str]] = [
    (CLASSES, CLASSES, {"num_classes": 2}, f"targets must be from 0 to 1, or -1 {NONE}, got 2 at step 2"),
    (CLASSES, CLASSES, {"input_size": 2}, "inputs must be from 0 to 1, got 2 at step 2"),
    (REALS, CLASSES, {"input_size": 3}, "input_size must be 2 or left out for these arrays, got 3"),
    (CLASSES, REALS, {"loss": "cross_entropy"}, OF_REALS),
    (ROWS, ROWS, {"valid_fraction": 0.9}, MOST_OF_IT),
    (CLASSES, CLASSES, {"name": 3}, "name must be a word, got 3"),
]
HELD_OUT: list[tuple[Any, Any, Any, Any, str]] = [
    (CLASSES, CLASSES, [1], None, "valid_targets must be given with valid_inputs, got None"),
    (CLASSES, CLASSES, [1.5], [1], "valid_inputs must be class indices (whole numbers), got dtype float64"),
    (REALS, CLASSES, [[1.5]], [1], "valid_inputs must have 2 values per step, got 1"),
    (ROWS, ROWS, [[1, 2]], [[1, 2]], "valid_inputs must be sequences of 5 steps, as inputs, got 2"),
]
EACH = "target_weights must be a weight for each step of the targets, in arrays of the same shapes"
WITH = "valid_target_weights must be given with target_weights, and only then"
HELD: dict[str, Any] = {"valid_inputs": [1], "valid_targets": [1]}
WEIGHTS: list[tuple[Any, Any, dict[str, Any], str]] = [
    (CLASSES, CLASSES, {"target_weights": np.ones(19)}, EACH),
    (ROWS, ROWS, {"target_weights": np.ones((5, 4))}, EACH),
    ([[1, 2], [3]], [[1, 2], [3]], {"target_weights": [[1], [2, 3]]}, EACH),
    (
        CLASSES,
        CLASSES,
        {"target_weights": -np.ones(20)},
        "target_weights must be finite and at least 0, got -1.0",
    ),
    (
        CLASSES,
        CLASSES,
        {"target_weights": np.r_[np.ones(18), 0, 0]},
        "targets must have at least one target in split 'valid', got none",
    ),
    (CLASSES, CLASSES, {"target_weights": np.ones(20), **HELD}, WITH),
    (CLASSES, CLASSES, {"valid_target_weights": [1], **HELD}, WITH),
    (
        CLASSES,
        CLASSES,
        {"valid_target_weights": [1]},
        "valid_target_weights must be left out where valid_inputs is",
    ),
]
BOTH = "valid_fraction must be left out where valid_inputs is given, got 0.3"
REFUSED = [
    *((inputs, targets, {}, message) for inputs, targets, message in VALUES),
    *OPTIONS,
    *WEIGHTS,
    *((x, y, {"valid_inputs": a, "valid_targets": b}, message) for x, y, a, b, message in HELD_OUT),
    (CLASSES, CLASSES, {"valid_inputs": [1], "valid_targets": [1], "valid_fraction": 0.3}, BOTH),
]


@pytest.mark.parametrize(("inputs", "targets", "options", "message"), REFUSED)
def test_what_is_refused(inputs: Any, targets: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Arrays(inputs, targets, **options)


DTYPES = "int8 uint16 float32 float64 bool object <U1 complex64"
ANY_ARRAY: Any = arrays.arrays(
    st.sampled_from([np.dtype(name) for name in DTYPES.split()]),
    arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@given(inputs=ANY_ARRAY, targets=ANY_ARRAY)
def test_any_arrays_are_read_as_they_are_or_refused(inputs: np.ndarray, targets: np.ndarray) -> None:
    try:
        task = Arrays(inputs, targets, valid_fraction=0.5)
    except OptionError:
        return
    for split in task.splits:
        assert len(task.checked_stream(split).targets) == task.length(split) > 0
    assert all(math.isfinite(loss) for loss in task.baselines().values())
    json.dumps(task.options(), allow_nan=False)


class OwnHeldOut(Arrays):
    """A subclass that returns a plain tuple for the split "valid"."""

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        stream = super().stream(split, epoch)
        return stream if split == "train" else tuple(stream)  # type: ignore[return-value]


def test_a_wrong_stream_is_refused_before_a_run_begins(tmp_path: Path) -> None:
    task = OwnHeldOut(CLASSES, CLASSES)
    graph = tf_rnn.UnrolledGraph(VanillaCell(4), 2, 1, 3, 3)
    message = "stream must return a Stream of two NumPy arrays, got tuple of ndarray, ndarray (split 'valid')"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        tf_rnn.train(graph, task, epochs=1, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
