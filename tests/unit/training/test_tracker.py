"""What a tracker of experiments is sent."""

from __future__ import annotations

import math
from typing import Any

import tf_rnn
from tf_rnn.tasks import Echo
from tf_rnn.training import CurvePoint, Progress, Tracker


class Kept:
    """A run that keeps what it is sent."""

    def __init__(self) -> None:
        self.lines: list[tuple[int | None, dict[str, Any]]] = []

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        self.lines.append((step, data))


def test_a_run_sends_its_curve_in_the_order_of_updates() -> None:
    kept = Kept()
    experiment = tf_rnn.Experiment(Echo(length=90, valid_length=20), state_size=3, batch_size=7)
    result = experiment.train(num_steps=2, updates=8, evaluations=4, callbacks=[Tracker(kept)])
    steps = [step for step, _ in kept.lines]
    assert steps == sorted(steps, key=lambda step: step or 0), steps
    sent = [(step, data["loss/valid"]) for step, data in kept.lines if "loss/valid" in data]
    assert sent == [(point.updates, point.valid_loss) for point in result.curve]
    assert len(sent) == 5, sent
    reports = [data for _, data in kept.lines if "loss/train" in data]
    expected = {"loss/train", "gradient_norm", "learning_rate", "tokens_per_second"}
    assert reports, kept.lines
    assert all(set(data) == expected for data in reports), reports


def test_what_is_not_finite_is_left_out() -> None:
    kept = Kept()
    tracker = Tracker(kept)
    progress = Progress(1, None, 2, None, 2, 0.5, math.nan, "nats", math.inf, 0.5, math.nan, 8.0, 1.0)
    tracker.on_progress(progress)
    tracker.on_evaluation(CurvePoint(2, 6, 0.1, 0.7, math.nan, 1), None)
    assert kept.lines == [(2, {"learning_rate": 0.5, "tokens_per_second": 8.0})]
