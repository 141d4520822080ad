"""`recommend` as a function: a race of made-up runs on a task of the user's own."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import Here
from comparison_helpers import made_up_cost, made_up_run

from tf_rnn.comparison import (
    Comparison,
    Recommendation,
    Screen,
    Workers,
    decide,
    recommend,
    recommending,
    worker,
)
from tf_rnn.comparison.race import Round, judge
from tf_rnn.comparison.worker import Part
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Stream, Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tf_rnn.comparison import RunKey, Summary
    from tf_rnn.comparison.ranking import Question


class Delay(Task):
    """The value of two steps ago is to be predicted."""

    name = "delay"
    input_kind, input_size = "real", 1
    loss, num_classes = "squared_error", 1
    max_lag = 2

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        random = np.random.default_rng([len(split), epoch])
        values = random.normal(size=(3000, 1)).astype(np.float32)
        return Stream(values, np.roll(values, 2, axis=0))

    def options(self) -> dict[str, Any]:
        return {}


SETUP = Setup(task=Delay(), cell="vanilla", state_size=5, batch_size=200)  # rows of 15 steps: 24 cannot join
COMPARISON = Comparison(setup=SETUP, num_steps=(1, 6), state=("carry",), seeds=2, amount=9000)
# Of each width after the whole budget; a constant prediction has about 1. All are level from a quarter on.
LOSSES = {1: 0.75, 3: 0.25, 6: 0.25, 12: 0.375}
LOOK: dict[str, Any] = {
    "by_position": {
        "fresh": [0.75, 0.5, 0.25, 0.25],
        "carried": [0.25] * 4,
        "errors": [0.0] * 4,
        "steps": 60,
    },
    "gradient": {
        "relative_bias": [0.9, 0.4, 0.08, 0.0],
        "block_bias": [0.9, 0.5, 0.2, 0.05],
        "half_life": 1.0,
    },
}


class Training:
    """Replaces training: made-up runs, and notes of the parts that were trained.

    Args:
        most: How many parts to train before an interruption.
        losses: Of each width after the whole budget; several for those of each seed.
    """

    def __init__(
        self, most: float = math.inf, losses: Mapping[int, Sequence[float] | float] = LOSSES
    ) -> None:
        self.parts: list[tuple[int, int, float]] = []
        self._most = most
        self._losses = losses

    def train_part(
        self,
        _: Any,
        key: RunKey,
        amount: Any,
        channel: Any = None,
        until: float = 1.0,
        state: bytes | None = None,
    ) -> Part:
        if len(self.parts) == self._most:
            raise KeyboardInterrupt
        self.parts.append((key.num_steps, key.seed, until))
        assert state is None or float(state) < until
        loss = self._losses[key.num_steps]
        loss = loss if isinstance(loss, float) else loss[key.seed]
        run = made_up_run(*key, loss=loss, updates=96, tokens=9000)
        curve = [point for point in run["curve"] if point["updates"] <= 96 * until]
        run |= {
            "curve": curve,
            "loss": curve[-1]["valid_loss"],
            "updates": 96 * until,
            "tokens": 9000 * until,
        }
        return Part(run, str(until).encode())


def race(training: Training, **options: Any) -> Recommendation:
    """A race of made-up runs with prices that are the same on every machine."""
    here = Workers(Here(), None, lambda: 1, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommending, "open_workers", lambda *_: contextlib.nullcontext(here))
        patch.setattr(
            recommending, "measured_costs", lambda _, widths, *__: [made_up_cost(n) for n in widths]
        )
        patch.setattr(worker, "train_part", training.train_part)
        patch.setattr(worker, "look_run", lambda *_: LOOK)
        return recommend(COMPARISON, Delay(), screen=Screen.silent(), **options)


PARTS = [
    *((width, 0, 1 / 8) for width in (1, 3, 6, 12)),
    *((width, seed, fraction) for fraction in (1 / 4, 1 / 2) for width in (3, 6) for seed in (0, 1)),
]


def test_widths_join_and_drop_out_until_nothing_is_left_to_find_out() -> None:
    """Width 3 reaches all that the task depends on, and 12 joins as 6 is among the best."""
    training = Training()
    found = race(training)
    assert training.parts == PARTS
    assert found.comparison.widths == [1, 3, 6, 12]
    stages = [(stage.fraction, stage.kept, stage.is_over) for stage in found.rounds]
    assert stages == [(1 / 8, [3, 6], False), (1 / 4, [3, 6], False), (1 / 2, [3, 6], True)]
    assert found.num_steps == 6, "as good as 3 and cheaper"
    assert "for 9,000 tokens (judged after 50% of them) take 0.134 s" in found.reason
    assert "widest" not in found.reason
    assert (found.files, found.verification) == ((), None)
    price = {width: 1 / made_up_cost(width)["tokens_per_second"] for width in LOSSES}
    spent = (price[1] + price[12]) / 8 + 2 * (price[3] + price[6]) / 2
    assert found.share == pytest.approx(spent / (2 * sum(price.values())), rel=1e-12)


def test_a_single_width_is_compared_with_a_wider_one_though_it_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Learnt at the very end only, width 3 would be the answer without a comparison."""

    def late(summaries: Sequence[Summary], question: Question, *, is_last: bool) -> Round:
        found = judge(summaries, question, is_last=is_last)
        return found if is_last else found._replace(among_best=[], is_over=False)

    monkeypatch.setattr(recommending, "judge", late)
    monkeypatch.setitem(globals(), "COMPARISON", dataclasses.replace(COMPARISON, num_steps=(3,)))
    found = race(training := Training())
    assert found.comparison.widths == [3, 6]
    assert training.parts[-2:] == [(6, 0, 1), (6, 1, 1)]
    assert "No other width was compared" not in found.reason


@pytest.mark.parametrize(("known_from", "rivals"), [(1 / 8, [1, 12]), (1 / 4, [])])
def test_widths_that_were_dropped_late_enough_are_rivals_of_the_answer(
    monkeypatch: pytest.MonkeyPatch, known_from: float, rivals: list[int]
) -> None:
    """Widths 1 and 12 are dropped after an eighth; the curves of both are too short to expect a fall."""
    asked: list[Question] = []

    def noted(summaries: Sequence[Summary], question: Question) -> Any:
        asked.append(question)
        return decide(summaries, question)

    monkeypatch.setattr(recommending, "RIVALS_FROM", known_from)
    monkeypatch.setattr(recommending, "decide", noted)
    found = race(Training())
    assert [each.summary.num_steps for each in asked[-1].rivals] == rivals
    assert [each.later for each in asked[-1].rivals] == [found.standings[width].later for width in rivals]
    assert all(math.isfinite(each.later) for each in asked[-1].rivals)


def test_a_race_is_not_over_early_where_seeds_disagree() -> None:
    """Width 6 is cheaper and, by the seeds of width 3, may be as good; but their losses are 0.03 apart."""
    found = race(Training(losses={1: 0.75, 3: (0.25, 0.35), 6: (0.33, 0.33), 12: 0.5}))
    stages = [(stage.fraction, stage.is_over) for stage in found.rounds]
    assert stages == [(1 / 8, False), (1 / 4, False), (1 / 2, True), (1.0, True)]
    assert found.num_steps is None
    assert "differences up to " in found.reason, found.reason


def test_an_interrupted_race_resumes(tmp_path: Path) -> None:
    first, second = Training(most=6), Training()
    with pytest.raises(KeyboardInterrupt):
        race(first, out=tmp_path / "out")
    found = race(second, out=tmp_path / "out")
    assert first.parts + second.parts == PARTS
    assert found.reason == race(Training()).reason
    assert not (tmp_path / "out" / "unfinished").exists()


def test_the_whole_comparison_verifies_the_answer_and_its_runs_are_used_again(tmp_path: Path) -> None:
    training = Training()
    found = race(training, out=tmp_path / "out", verify=True)
    assert training.parts[len(PARTS) :] == [(key.num_steps, key.seed, 1.0) for key in found.comparison.keys]
    assert found.verification == "Verified: the whole comparison names num_steps 6, too."
    again = race(Training(most=0), out=tmp_path / "out")
    assert (again.num_steps, [stage.kept for stage in again.rounds]) == (6, [[3, 6]] * 3)
    assert again.widths == found.widths


def test_it_is_a_value(tmp_path: Path) -> None:
    found = race(Training())
    files = found.write(tmp_path / "out")
    names = {path.name for path in files}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {"config.json", "results.json"}
    saved = json.loads((tmp_path / "out" / "recommendation.json").read_text(encoding="utf-8"))
    assert (saved["num_steps"], saved["reason"], saved["race"]) == (6, found.reason, found.records)
    assert saved["block_bias"] == LOOK["gradient"]["block_bias"]
    assert found.widths
    assert saved["widths"] == found.widths.records
    with (tmp_path / "out" / "recommendation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["num_steps"], row["trained"], row["seeds"]) for row in rows] == [
        ("1", "0.125", "1"),
        ("3", "0.5", "2"),
        ("6", "0.5", "2"),
        ("12", "0.125", "1"),
    ]
    assert [row[0] for row in found.table().rows] == ["1", "3", "6", "12"]
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    for part in (
        found.reason,
        found.price_sentence,
        found.widths.table().markdown(),
        found.table().markdown(),
    ):
        assert part
        assert part in page


def test_data_that_are_too_short_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    short = dataclasses.replace(COMPARISON, num_steps=(1, 16))
    with pytest.raises(OptionError, match=r"^num_steps must be at most 1\d \("):
        recommend(short, Delay(), out=tmp_path / "out", screen=Screen.silent())
    assert list(tmp_path.iterdir()) == []
