"""A graph that grows during training: its windows, by hand; what is refused; and the command."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import assert_refused, files, little_data, succeeds
from helpers import assert_close

import tf_rnn
from tf_rnn.cells import GRUCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import weight_names
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo
from tf_rnn.training import Truncation, train

if TYPE_CHECKING:
    from pathlib import Path

BATCH, ROW = 3, 23
# Of 9 updates three each; the widths do not divide the rows, whose ends begin new ones.
WIDTHS, UPDATES = (2, 3, 5), 9


@functools.cache
def graph() -> UnrolledGraph:
    """For all tests: what is trained is in a session."""
    options: dict[str, Any] = {
        "optimizer": "adam",
        "learning_rate": 0.1,
        "clip_norm": 0.1,
        "dtype": "float64",
    }
    return UnrolledGraph(GRUCell(4), WIDTHS[-1], BATCH, 2, 2, seed=7, **options)


def task() -> Echo:
    return Echo(lags=(1, 3), effects=(0.3, -0.15), length=BATCH * ROW, valid_length=50)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_it_trains_on_the_windows_of_each_width_in_turn(state: str) -> None:
    """Windows that follow one another, by hand; a new epoch where the rest of a row is too short."""
    with graph().session(threads=1) as session:
        found = train(
            graph(),
            task(),
            updates=UPDATES,
            schedule_width=WIDTHS,
            state=state,
            session=session,
            callbacks=(),
        )
    starts = [(2, 0), (2, 2), (2, 4), (3, 6), (3, 9), (3, 12), (5, 15), (5, 0), (5, 5)]
    rows = [task().rows(BATCH, "train", epoch) for epoch in (0, 1)]
    of_width = {width: graph().with_steps(width) for width in WIDTHS}
    with graph().session(threads=1) as session:
        carried = zero = graph().zero_state()
        for number, (width, start) in enumerate(starts):
            of = of_width[width]
            begins = number > 0 and start == 0
            inputs, targets = rows[number > 6].steps(start, start + width)
            before = zero if begins or state == "reset" else carried
            fed = of.feed(inputs, targets, before)
            _, carried = session.run([of.train_step, of.final_state], fed)
        expected = session.run(weight_names(graph()))
    assert found.tokens == BATCH * sum(width for width, _ in starts)
    assert list(found.weights) == list(expected)
    for name, value in expected.items():
        assert_close(found.weights[name], value, 0, name)


def test_the_parts_of_the_training_are_equal_in_tokens_too() -> None:
    """Of 240 tokens in 3 rows, 40 updates of 1 step and 8 of 5."""
    found = train(graph(), task(), tokens=240, schedule_width=(1, 5), callbacks=())
    assert (found.updates, found.tokens) == (48, 240)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"schedule_width": (2, 4)},
            "schedule_width must end with the width of the graph, 5, got 4",
        ),
        (
            {"schedule_width": (2, 5), "truncation": Truncation("sliding")},
            "style must be block where schedule_width is given, got 'sliding'",
        ),
        (
            {"schedule_width": (5, 2)},
            "schedule_width must be increasing widths such as 5:20:50, up to 10000, got (5, 2)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(OptionError) as raised:
        train(graph(), task(), updates=3, **options)
    assert str(raised.value) == problem


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is done may not be lengthened, as the widths depend on the whole."""
    out = tmp_path / "run"
    words = ["train", "--state-size", "3", "--batch-size", "20", "--updates", "9", "--out", str(out)]
    with little_data():
        for more, problem in (
            (["--num-steps", "5"], "--num-steps must be left out beside --schedule-width, got 5"),
            (["--style", "random"], "--style must be block where --schedule-width is given, got 'random'"),
        ):
            assert_refused([*words, "--schedule-width", "2:5", *more], problem, capsys)
        assert files(tmp_path) == {}
        succeeds([*words, "--schedule-width", "2:5"], capsys)
        of_the_width = "as the schedule of the width depends on the budget of 9 updates, got 18"
        for more, problem in (
            (["--num-steps", "4"], "--num-steps must be left out with --resume, as the run has "),
            (["--updates", "18"], f"--updates must be left out with --resume, {of_the_width}"),
        ):
            assert_refused(["train", "--resume", str(out), *more], problem, capsys)
        model = tf_rnn.load(out)
    assert model.config["training"]["schedule_width"] == [2, 5]
    assert model.config["graph"]["num_steps"] == 5
    assert np.isfinite(model.evaluator().loss)
