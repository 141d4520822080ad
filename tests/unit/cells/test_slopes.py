"""What one further step of width costs."""

from __future__ import annotations

from typing import Any

import pytest

from tf_rnn.comparison.slopes import SLOPED, cost_slopes, slope_sentence


def cost(width: int) -> dict[str, Any]:
    return {
        "num_steps": width,
        "step_milliseconds": 0.5 + 0.25 * width,
        "build_seconds": 0.1 + 0.003 * width,
        "first_run_seconds": 0.05,
        "graph_bytes": 1000 + 2_000_000 * width,
        "operations": 7 * width,
    }


def test_slopes_of_exact_lines() -> None:
    found = cost_slopes([cost(width) for width in (1, 4, 9)])
    assert tuple(found) == SLOPED
    assert found == pytest.approx(
        {
            "step_milliseconds": 0.25,
            "build_seconds": 0.003,
            "first_run_seconds": 0.0,
            "graph_bytes": 2e6,
            "operations": 7.0,
        },
        abs=1e-9,
    )
    assert slope_sentence(found).startswith(
        "Each additional step of width adds 0.25 ms and 2 MB to a training step, 3 ms to building the graph "
    )


def test_one_width_has_no_slope() -> None:
    assert cost_slopes([cost(3)]) == {}
    assert not slope_sentence({})
