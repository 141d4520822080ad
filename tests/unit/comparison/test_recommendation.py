"""`recommend` as a function: a task of the user's own, in worker processes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tf_rnn.analysis.advice import needed_width, widths_to_price
from tf_rnn.analysis.study import study_lags
from tf_rnn.comparison import Recommendation, Screen, recommend
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Echo, Stream, Task

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 0.2


class Delay(Task):
    """The value of two steps ago is to be predicted."""

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
def found(tmp_path_factory: pytest.TempPathFactory) -> Recommendation:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        return recommend(SETUP, Delay(), 6, **OPTIONS, workers=2, screen=Screen.silent())


def test_the_most_demanding_network_decides(found: Recommendation) -> None:
    analyses = [study.last for study in found.studies]
    needed = [needed_width(analysis.relative_bias, TOLERANCE) for analysis in analyses]
    assert found.advice.needed == needed
    assert found.num_steps == found.advice.num_steps == max(needed)
    assert found.advice.tolerance == TOLERANCE
    assert [cost["num_steps"] for cost in found.advice.costs] == widths_to_price(analyses, TOLERANCE)
    assert found.verification is None


def test_an_error_must_reach_what_the_target_depends_on(found: Recommendation) -> None:
    losses = [study.evaluation.loss for study in found.studies if study.evaluation]
    assert max(losses) < 0.1, f"nothing learnt to speak of: losses {losses}, 1 is the variance"
    assert found.num_steps == 3, found.reason  # the step itself and two back


def test_it_is_a_value(found: Recommendation, tmp_path: Path) -> None:
    assert [record["truncation"] for record in found.records] == [1, 2, 3, 4, 5, 6]
    assert [record["relative_bias_seed_1"] for record in found.records] == found.studies[1].last.relative_bias
    assert [row[0] for row in found.table().rows] == ["1", "3", "6"]
    assert [text.get_text() for text in found.figure().axes[0].get_legend().get_texts()] == [
        "seed 0",
        "seed 1",
    ]
    files = found.write(tmp_path / "out")
    assert {path.name for path in files} | {"config.json"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_each_network_has_a_seed_of_its_own(found: Recommendation) -> None:
    alone = study_lags(SETUP, Delay(), 6, tokens=60_000, seed=1, callbacks=(), threads=1)
    first, second = (dataclasses.asdict(study.last) for study in found.studies)
    assert second == dataclasses.asdict(alone.last)
    assert first != second
    assert found.studies[1].identity == alone.identity


BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no seeds": ({}, {"seeds": 0}, "seeds must be a whole number of at least 1, got 0"),
    "all of it": ({}, {"tolerance": 1.0}, "tolerance must be a number above 0 and below 1, got 1.0"),
    "no training": ({}, {"tokens": 0}, "tokens must be a number above 0, got 0"),
    "no workers": ({}, {"workers": 0}, "workers must be a whole number of at least 1, got 0"),
    "rows too short to verify": (
        {"batch_size": 300},
        {"verify": True},
        (
            "verify must be left out where twice num_steps (12) cannot be trained: num_steps must be at most "
            "10 (the 3000 tokens of split 'train' cut into 300 rows), got 12"
        ),
    ),
    "nothing to verify": (
        {"style": "full"},
        {"verify": True},
        "verify must be left out where style is full, which trains whole rows whatever the width",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_come_before_anything_is_written(case: str, tmp_path: Path) -> None:
    changes, options, message = BAD[case]
    out = tmp_path / "out"
    with pytest.raises(OptionError) as caught:
        recommend(dataclasses.replace(SETUP, **changes), Delay(), 6, **OPTIONS | options, out=out)
    assert str(caught.value) == message
    assert not out.exists()


def test_the_throughput_of_sliding_windows_counts_new_steps_alone() -> None:
    setup = Setup(task="echo", state_size=3, batch_size=20, style="sliding", stride=2)
    made = recommend(
        setup, Echo(length=2000, valid_length=400), 4, tokens=200, seeds=1, workers=1, screen=Screen.silent()
    )
    for cost in made.advice.costs:
        new_tokens = cost["tokens_per_second"] * cost["step_milliseconds"] / 1000
        assert new_tokens == pytest.approx(2 * 20), cost
