"""Predictors without a network beside the answer, and the width in the words of other libraries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from comparison_helpers import made_up_summary

from tf_rnn.comparison.elsewhere import elsewhere
from tf_rnn.comparison.plots import loss_figure
from tf_rnn.comparison.ranking import Question
from tf_rnn.comparison.verdict import decide
from tf_rnn.tasks import Echo, Series


@pytest.fixture(scope="module")
def task() -> Series:
    """A sine of period 12 with noise: the season before is better than the last value."""
    time = np.arange(600)
    noise = np.random.default_rng(0).normal(0, 0.1, 600)
    return Series(pd.DataFrame({"x": np.sin(2 * np.pi * time / 12) + noise}))


@pytest.mark.parametrize(
    ("contenders", "said"),
    [
        ({}, None),
        ({"last value": 0.5}, None),
        ({"last value": 0.4375, "season": 0.375, "mean": 0.9}, "the season has 0.3750, less than the 0.5000"),
    ],
)
def test_the_answer_names_the_best_predictor_that_beats_every_network(
    contenders: dict[str, float], said: str | None
) -> None:
    question = Question("9 tokens", 1.0, (0.1,), (4, 8), contenders=contenders)
    found = decide([made_up_summary(4, 0.625), made_up_summary(8, 0.5)], question)
    assert found is not None
    assert ("Without a network" in found.sentence) == (said is not None), found.sentence
    assert (said or "") in found.sentence


def test_a_series_contends_with_its_simple_forecasts_and_its_best_linear_predictor(task: Series) -> None:
    losses = {width: task.reference(width) for width in (1, 6, 12)}
    assert losses[1] is not None
    best = min(losses, key=lambda width: losses[width] or 0)
    assert best in (6, 12)
    expected = task.baselines() | {f"linear predictor that reads {best} rows": losses[best]}
    assert task.contenders([12, 1, 6]) == expected
    assert Echo().contenders([1, 6]) == {}


@pytest.mark.parametrize(
    ("losses", "far"), [((0.1, 0.5), []), ((0.1, 0.11), ["last value", "seasonal naive"])]
)
def test_baselines_far_above_all_losses_are_named_not_drawn(
    task: Series, losses: tuple[float, ...], far: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times the range of the losses above the highest one, a line would leave no room for these."""
    monkeypatch.setattr(task, "baselines", lambda: {"last value": 1.5, "seasonal naive": 1.2})
    figure = loss_figure(
        [made_up_summary(width, loss) for width, loss in zip((2, 9), losses, strict=True)], task, ""
    )
    (axes,) = figure.axes
    named = [text.get_text() for text in axes.texts]
    drawn = sorted(line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--")
    if far:
        assert (drawn, named) == ([], ["above:\nlast value, 1.5000\nseasonal naive, 1.2000"])
    else:
        assert drawn == [1.2, 1.5]
    (curve,) = (line for line in axes.lines if line.get_label() == "linear predictor that reads as many rows")
    assert curve.get_xydata().tolist() == [[width, task.reference(width)] for width in (2, 9)]


def test_the_width_has_other_names_elsewhere(task: Series) -> None:
    assert "darts (RNNModel) training_length=72; neuralforecast input_size=72;" in elsewhere(72, task)
    assert elsewhere(35, Echo()).endswith(
        "PyTorch's language model bptt=35; char-rnn seq_length=35; Keras timesteps=35."
    )
