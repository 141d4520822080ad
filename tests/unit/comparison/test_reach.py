"""Which share of the errors flows back how far."""

from __future__ import annotations

from typing import Any

import pytest

from tf_rnn.comparison.reach import share_of_errors
from tf_rnn.tasks import Adding, Echo, Influence, Memory

ECHO = Echo(length=50, valid_length=50)  # lags 3 and 8


@pytest.mark.parametrize(
    ("identity", "width", "shares"),
    [
        ({}, 3, {3: 0.0, 8: 0.0}),
        ({"style": "block", "stride": 1}, 4, {3: 1 / 4, 8: 0.0}),
        ({"style": "block", "stride": 1}, 10, {3: 7 / 10, 8: 2 / 10}),
        # Of 10 steps the newest 1, 4 and 10: at 9, from 6 on, and all.
        ({"style": "sliding", "stride": 1}, 10, {3: 1.0, 8: 1.0}),
        ({"style": "sliding", "stride": 4}, 10, {3: 1.0, 8: 2 / 4}),
        ({"style": "sliding", "stride": 10}, 10, {3: 7 / 10, 8: 2 / 10}),
        ({"style": "random", "stride": 1}, 10, {3: None, 8: None}),
        ({"style": "adaptive", "stride": 1}, 10, {3: None, 8: None}),
        ({"style": "full", "stride": 1}, 10, {3: None, 8: None}),
    ],
)
def test_share_of_errors(identity: dict[str, Any], width: int, shares: dict[int, float | None]) -> None:
    assert share_of_errors(ECHO, identity, width) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("width", "share"),
    [
        (5, 1.0),  # an example a block: its end is 4 steps behind the start
        (10, 1.0),  # two: at 4 and at 9
        (4, 0.0),
        # Ends at 4, 9, 14, 19, 24, 29 of blocks of 6: at 4, 3, 2, 1, 0, 5.
        (6, 2 / 6),
    ],
)
def test_where_only_the_ends_of_examples_count(width: int, share: float) -> None:
    task = Memory(lag=4, length=5, valid_length=5 * 60)
    assert share_of_errors(task, {}, width) == pytest.approx({4: share})


def test_tasks_without_known_lags_have_none() -> None:
    assert share_of_errors(Adding(3, length=3, valid_length=3), {}, 5) == {}
    assert share_of_errors(Influence(), {}, 5) == {}
