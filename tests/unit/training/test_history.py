"""Counts, sums and curve of a run."""

from __future__ import annotations

import math

from tf_rnn.training import CurvePoint, History


def test_updates_are_counted_and_an_epoch_ends() -> None:
    """A loss that is not finite counts as an update alone; of norms the largest is kept."""
    history = History()
    assert (history.epoch, math.isnan(history.mean_loss)) == (0, True)
    for number, (loss, norm) in enumerate([(1.0, 2.5), (0.5, 0.5)], start=1):
        history.count(loss, norm, tokens=12, seconds=float(number))
    assert (history.updates, history.tokens, history.seconds) == (2, 24, 2.0)
    assert (history.epoch, history.epoch_updates, history.epoch_tokens) == (1, 2, 24)
    assert (history.mean_loss, history.largest_norm) == (0.75, 2.5)
    history.end_epoch()
    assert (history.epoch, history.epochs, history.epoch_updates, history.epoch_tokens) == (1, 1, 0, 0)
    history.count(math.inf, math.nan, tokens=11, seconds=3.0)
    assert (history.epoch, history.epoch_updates, history.tokens) == (2, 1, 35)
    assert (history.mean_loss, history.largest_norm) == (0.75, 2.5)
    history.count(math.inf, math.inf, tokens=11, seconds=3.0)
    assert (history.mean_loss, history.largest_norm) == (0.75, math.inf)


def test_a_point_restarts_the_mean_loss() -> None:
    history = History()
    history.count(1.0, 1.0, 12, 1.0)
    history.add_point(CurvePoint(1, 12, 1.0, history.mean_loss, 0.5, 1))
    assert math.isnan(history.mean_loss)
    history.count(0.25, 1.0, 12, 2.0)
    assert history.mean_loss == 0.25
    assert History().curve == [], "histories do not share their curve"


def test_how_long_ago_the_lowest_loss_was() -> None:
    """The start does not count; the first of equal losses is the lowest."""
    history, found = History(), []
    for loss in (0.1, 0.5, 0.75, 0.25, 0.25, 0.5, 0.125):
        history.add_point(CurvePoint(0, 0, 0.0, math.nan, loss, 0))
        found.append(history.evaluations_since_best)
    assert found == [0, 0, 1, 0, 1, 2, 0]
    assert history.valid_losses == [0.5, 0.75, 0.25, 0.25, 0.5, 0.125]
