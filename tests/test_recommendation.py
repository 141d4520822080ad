"""`recommend` on a task that the package does not know."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tf_rnn.analysis import Recommendation, recommend
from tf_rnn.analysis.advice import needed_width, widths_to_price
from tf_rnn.analysis.study import study_lags
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Stream, Task
from tf_rnn.training import Silence

TOLERANCE = 0.2


class Delay(Task):
    """What was read two steps ago is to be told."""

    name = "delay"
    input_kind, input_size = "real", 1
    loss, num_classes = "squared_error", 1

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        random = np.random.default_rng([len(split), epoch])
        values = random.normal(size=(3000, 1)).astype(np.float32)
        return Stream(values, np.roll(values, 2, axis=0))

    def options(self) -> dict[str, Any]:
        return {}


SETUP = Setup(task=Delay(), cell="vanilla", state_size=5, batch_size=7, optimizer="adam", learning_rate=0.01)
OPTIONS: dict[str, Any] = {"tokens": 60_000, "seeds": 2, "tolerance": TOLERANCE}


@pytest.fixture(scope="module")
def found() -> Recommendation:
    return recommend(SETUP, Delay(), 6, **OPTIONS)


def test_the_most_demanding_network_decides(found: Recommendation) -> None:
    analyses = [study.last for study in found.studies]
    needed = [needed_width(analysis.relative_bias, TOLERANCE) for analysis in analyses]
    assert found.advice.needed == needed
    assert found.advice.num_steps == max(needed)
    assert found.advice.tolerance == TOLERANCE
    assert [cost["num_steps"] for cost in found.advice.costs] == widths_to_price(analyses, TOLERANCE)


def test_an_error_must_reach_what_the_target_depends_on(found: Recommendation) -> None:
    losses = [study.evaluation.loss for study in found.studies if study.evaluation]
    assert max(losses) < 0.1, f"nothing learnt to speak of: losses {losses}, 1 is the variance"
    assert found.advice.num_steps == 3, found.advice.reason  # the step itself and two back


def test_each_network_has_a_seed_of_its_own_and_a_listener(found: Recommendation) -> None:
    made = []

    class Listener(Silence):
        def __init__(self) -> None:
            made.append(self)

    again = recommend(SETUP, Delay(), 6, **OPTIONS | {"tokens": 700}, listener=Listener)
    assert len(made) == 2
    alone = study_lags(SETUP, Delay(), 6, tokens=700, seed=1)
    first, second = (dataclasses.asdict(study.last) for study in again.studies)
    assert second == dataclasses.asdict(alone.last)
    assert first != second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds must be a whole number of at least 1, got 0"),
        ({"tolerance": 1.0}, "tolerance must be a number above 0 and below 1, got 1.0"),
    ],
)
def test_option_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        recommend(SETUP, Delay(), 6, **OPTIONS | options)
    assert str(caught.value) == message
