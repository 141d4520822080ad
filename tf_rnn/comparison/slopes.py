"""The cost of one more step of width: lines fitted to the costs of several widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOPED = ("step_milliseconds", "build_seconds", "first_run_seconds", "graph_bytes", "operations")


def cost_slopes(costs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Fits cost = a + b * num_steps by least squares.

    Args:
        costs: A record for each width, as in `tf_rnn.analysis.Cost`.

    Returns:
        The slope b, per step of width, of each cost in SLOPED; empty for fewer than two widths.
    """
    widths = [cost["num_steps"] for cost in costs]
    if len(set(widths)) < 2:
        return {}
    return {name: float(np.polyfit(widths, [cost[name] for cost in costs], 1)[0]) for name in SLOPED}


def slope_sentence(slopes: dict[str, float]) -> str:
    """The slopes in words; empty without slopes."""
    if not slopes:
        return ""
    step, memory = slopes["step_milliseconds"], slopes["graph_bytes"] / 1e6
    build, first = 1000 * slopes["build_seconds"], 1000 * slopes["first_run_seconds"]
    return (
        f"Each additional step of width adds {step:.3g} ms and {memory:.3g} MB to a training step, "
        f"{build:.3g} ms to building the graph and {first:.3g} ms to its first run."
    )
