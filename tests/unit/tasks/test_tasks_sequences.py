"""Sequences of several lengths end to end: packed by hand, and as a user's own lists."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assign, random_values
from hypothesis import given
from hypothesis import strategies as st

import tf_rnn
from tf_rnn.cells import GRUCell
from tf_rnn.graph import StepGraph
from tf_rnn.inference import Stepper
from tf_rnn.options import OptionError
from tf_rnn.tasks import Arrays, Stream, pack
from tf_rnn.training import Evaluator, evaluation

LENGTHS = st.lists(st.integers(1, 7), min_size=2, max_size=9)


def numbered(lengths: list[int]) -> list[np.ndarray]:
    """Sequence i counts up from 10 i."""
    return [10 * number + np.arange(length) for number, length in enumerate(lengths)]


def test_the_example_of_the_docstring() -> None:
    parts = [np.full(length, letter) for length, letter in ((3, 0), (1, 1), (2, 2))]
    stream = pack([(part, part + 5) for part in parts])
    assert stream.inputs.tolist() == [0, 0, 0, 1, 2, 2]
    assert stream.targets.tolist() == [5, 5, 5, 6, 7, 7]
    assert stream.starts is not None
    assert stream.starts.tolist() == [True, False, False, True, True, False]
    again = pack([stream.map(lambda part: part[:3]), Stream(stream.inputs[3:], stream.targets[3:])])
    assert again.starts is not None
    assert again.starts.tolist() == [True, False, False, True, False, False]


def test_streams_keep_their_own_starts_and_weights() -> None:
    inputs = np.arange(3)
    weights = np.array([0.5, 2, 0], np.float32)
    stream = pack([(inputs, inputs), Stream(inputs, inputs, np.array([False, False, True]), weights)])
    assert stream.starts is not None
    assert stream.target_weights is not None
    assert stream.starts.tolist() == [True, False, False, True, False, True]
    assert stream.target_weights.tolist() == [1, 1, 1, 0.5, 2, 0]
    assert pack([(inputs, inputs)]).target_weights is None


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([], "be at least one, got none"),
        ([(np.zeros(2), np.zeros(3))], "be inputs and targets of as many steps, got [2, 3] in sequence 0"),
        (
            [(np.zeros(2),) * 2, (np.zeros(0),) * 2],
            "be inputs and targets of as many steps, got [0, 0] in sequence 1",
        ),
        (
            [(np.zeros(2), np.zeros((2, 3))), (np.zeros(1), np.zeros((1, 4)))],
            "all have steps of shape [3], got [4] in sequence 1",
        ),
    ],
)
def test_what_cannot_be_packed(pairs: Any, problem: str) -> None:
    with pytest.raises(OptionError, match=f"^sequences must {re.escape(problem)}$"):
        pack(pairs)


@given(lengths=LENGTHS, held_out=st.integers(1, 8), real=st.booleans())
def test_lists_of_several_lengths_are_whole_sequences_in_both_splits(
    lengths: list[int], held_out: int, real: bool
) -> None:
    held_out = min(held_out, len(lengths) - 1)
    parts = numbered(lengths)
    inputs = [np.stack([part, part / 2], axis=1) for part in parts] if real else parts
    task = Arrays(inputs, [part.tolist() for part in parts], valid_fraction=held_out / len(lengths))
    if len(set(lengths)) == 1:
        assert not task.has_starts, "examples of one length are not sequences"
        return
    assert (task.has_starts, task.period) == (True, 1)
    for split, own in (("train", slice(-held_out)), ("valid", slice(-held_out, None))):
        stream = task.checked_stream(split)
        assert stream.starts is not None
        assert stream.targets.tolist() == np.concatenate(parts[own]).tolist()
        borders = np.flatnonzero(stream.starts)[1:]
        pieces = [piece.tolist() for piece in np.split(stream.inputs, borders)]
        assert pieces == [part.tolist() for part in inputs[own]], split
    json.dumps(task.options(), allow_nan=False)


def test_what_is_held_out_may_be_a_list_rows_of_one_length_or_one_sequence() -> None:
    train = [[[0.0, 1.0]], [[2.0, 3.0], [4.0, 5.0]]]
    targets: Any = [[0], [1, 2]]
    for valid, expected in (
        ([[[1, 2]] * 3, [[1, 2]]], [0, 3]),
        (np.ones((2, 2, 2)), [0, 2]),
        (np.ones((4, 2)), [0]),
    ):
        shapes = [np.zeros(len(part), int) for part in valid] if np.ndim(valid[0]) == 2 else np.zeros(4, int)
        task = Arrays(train, targets, valid_inputs=valid, valid_targets=shapes)
        starts = task.checked_stream("valid").starts
        assert starts is not None
        assert np.flatnonzero(starts).tolist() == expected, valid
        assert task.options()["valid"]["sequences"] == len(expected)


def test_other_borders_are_other_data() -> None:
    tasks = [
        Arrays(parts, parts, valid_inputs=[1], valid_targets=[1])
        for parts in ([[1, 2], [3]], [[1], [2, 3]], [[1, 2], [3]])
    ]
    assert tasks[0].sha256 == tasks[2].sha256 != tasks[1].sha256


LISTS: Any = [[1, 2], [3]]
REFUSED: list[tuple[Any, Any, str]] = [
    (LISTS, np.arange(3), "targets must be a list of sequences, got array([0, 1, 2])"),
    (LISTS, [[1, 2]], "targets must have 2 sequences, as inputs, got 1"),
    (LISTS, [[1, 2], [3, 4]], "targets must have 1 steps in sequence 1, as inputs, got 2"),
    (LISTS, [[1, 2], []], "targets must have at least one step, got shape [0] in sequence 1"),
    ([[1, 2], [-1]], LISTS, f"inputs must be from 0 to {2**31 - 2}, got -1 at step 0 of sequence 1"),
    (
        [[[0.5, 1], [0, math.inf]], [[1, 1]]],
        LISTS,
        "inputs must be finite, got inf at step 1 of sequence 0, column 1",
    ),
    (
        [[[1.5, 2], [3, 4]], [[5]]],
        LISTS,
        "inputs must have steps of one shape, got [2] and [1] in sequence 1",
    ),
    ([[1, 2], ["a"]], LISTS, "inputs must be an array of numbers, got dtype <U1 in sequence 1"),
    (
        [np.zeros((2, 3), int), np.zeros((1, 3), int)],
        LISTS,
        "inputs must have at most 1 axes, got shape [3, 3]",
    ),
    (LISTS, LISTS, "valid_fraction must leave at least one sequence for each split, got 0.1 of 2 sequences"),
]


@pytest.mark.parametrize(("inputs", "targets", "message"), REFUSED)
def test_lists_that_are_refused(inputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Arrays(inputs, targets)


def test_a_network_learns_from_and_is_judged_on_every_sequence_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Evaluated in several rows: each held-out step once, from a state of zero at each sequence's start."""
    monkeypatch.setattr(evaluation, "MINIMUM_ROW_LENGTH", 7)
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 6, size=40).tolist()
    inputs = [rng.integers(5, size=length) for length in lengths]
    targets = [np.cumsum(each) % 3 for each in inputs]
    task = Arrays(inputs, targets, valid_fraction=0.25, input_size=5)
    experiment = tf_rnn.Experiment(task, cell="gru", state_size=6, batch_size=2)
    result = experiment.train(num_steps=4, epochs=1, callbacks=())
    assert result.evaluation.tokens == sum(lengths[30:])
    graph = tf_rnn.UnrolledGraph(GRUCell(6), 4, 2, 5, 3, starts=True, dtype="float64")
    evaluator = Evaluator(graph, task)
    with graph.session() as session:
        assign(session, graph.variables, random_values(rng, graph.variables))
        found, step, losses = evaluator(session), Stepper(StepGraph.of(graph), session), []
        for xs, ys in zip(inputs[30:], targets[30:], strict=True):
            step.reset()
            losses += [-math.log(step.step([x])[0][y]) for x, y in zip(xs, ys, strict=True)]
    assert (found.tokens, len(evaluator._blocks[0].inputs)) == (len(losses), len(losses) // 7)
    assert_close(found.loss, np.mean(losses), 1e-12, "loss")
