"""The learning curve of a run, and the losses to compare it with."""

from __future__ import annotations

import itertools

import numpy as np

from tf_rnn.tasks import Echo
from tf_rnn.training import CurvePoint, TrainingResult
from tf_rnn.training.evaluation import Evaluation
from tf_rnn.training_run import Run

CURVE = [
    CurvePoint(0, 0, 0.0, np.nan, 0.875, 0),
    CurvePoint(4, 2_000, 0.5, 0.75, 0.625, 1),
    CurvePoint(8, 4_000, 1.0, 0.5, 0.5, 2),
]
RESULT = TrainingResult(CURVE, Evaluation(0.5, 0.0, 9, {}), 8, 4_000, 1.0, None, {})


def drawn(figure: object) -> tuple[list[float], list[str]]:
    """The heights of horizontal lines and the texts beside them."""
    axes = figure.axes[0]  # type: ignore[attr-defined]
    lines = [line.get_ydata() for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    return [float(heights[0]) for heights in lines], [text.get_text() for text in axes.texts]


def test_baselines_are_lines_and_those_far_above_are_named() -> None:
    """The losses' range is 0.375, and three times that above the highest is 2."""
    heights, texts = drawn(RESULT.figure({"near": 1.9375, "far": 2.0625}))
    assert (heights, texts) == ([1.9375], ["near, 1.9375", "above:\nfar, 2.0625"])
    assert drawn(RESULT.figure()) == ([], [])


def test_a_run_is_compared_with_the_baselines_of_its_task() -> None:
    run, baselines = Run(Echo(), None, RESULT, 8), Echo().baselines()
    assert drawn(run.figure())[0] == list(baselines.values())


def test_the_report_of_many_evaluations_has_some_of_them_and_the_best() -> None:
    losses = [0.5 + abs(number - 38) / 100 for number in range(101)]
    curve = [CurvePoint(2 * number, number, 0.0, 0.5, loss, number) for number, loss in enumerate(losses)]
    result = TrainingResult(curve, Evaluation(losses[-1], 0.0, 9, {}), 200, 100, 1.0, None, {})
    epochs = [int(row[0]) for row in result.table(30).rows]
    assert (len(epochs), epochs[0], epochs[-1]) == (30, 1, 100)
    assert 38 in epochs
    assert {after - before for before, after in itertools.pairwise(epochs)} <= {1, 2, 3, 4}
    assert [int(row[0]) for row in result.table().rows] == [*range(1, 101)]
    assert "| 38 | 76 |" in (page := result.page().markdown())
    assert page.endswith("\n\nOf 100 evaluations; all are in curve.csv.\n"), page[-200:]
    assert "Of " not in RESULT.page().markdown()


def test_the_report_has_the_baselines() -> None:
    page = RESULT.page(baselines={"nothing learnt": 0.75}).markdown()
    assert "Losses to compare with:\n\n- nothing learnt: 0.7500 nats\n" in page, page
    assert "compare" not in RESULT.page().markdown()
