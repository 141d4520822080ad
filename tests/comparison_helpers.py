"""What the tests of comparisons share: options, made-up runs and costs, results on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.comparison import Comparison, Results
from tf_rnn.comparison.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OPTIONS: dict[str, Any] = {
    "task": "echo",
    "task_options": {"lags": [2, 5], "effects": [0.3, -0.15], "length": 600, "valid_length": 90},
    "num_steps": (4, 1),
    "state": ("carry", "reset"),
    "seeds": 2,
    "cell": "vanilla",
    "state_size": 3,
    "num_layers": 1,
    "batch_size": 7,
    "optimizer": "adagrad",
    "learning_rate": 0.1,
    "clip_norm": None,
    "budget": "tokens",
    "amount": 1500,
}


def make_comparison(**changes: Any) -> Comparison:
    return Comparison(**(OPTIONS | changes))


def made_up_run(num_steps: int, state: str = "carry", seed: int = 0, **changes: Any) -> dict[str, Any]:
    """The record of a finished run, as a worker gives it."""
    run: dict[str, Any] = {
        "num_steps": num_steps,
        "state": state,
        "seed": seed,
        "loss": 0.5 + seed / 64,
        "error": None,
        "standard_error": 0.0078125,
        "train_loss": 0.53125,
        "dependency_scores": {"2": 0.75, "5": 0.25},
        "updates": 1500 // (7 * num_steps),
        "tokens": 1500 // (7 * num_steps) * 7 * num_steps,
        "seconds": 0.375,
        "curve": [
            {"updates": 0, "tokens": 0, "seconds": 0.0, "train_loss": None, "valid_loss": 0.75},
        ],
    }
    return run | changes


def diverged_run(num_steps: int, state: str = "carry", seed: int = 0) -> dict[str, Any]:
    """The record of a run whose loss was not finite, as a worker gives it."""
    error = "the loss is nan at update 3 (epoch 1); limit the gradient's norm"
    return {"num_steps": num_steps, "state": state, "seed": seed, "loss": None, "error": error}


def made_up_cost(num_steps: int, **changes: Any) -> dict[str, Any]:
    """What a width costs: 0.25 ms and as much again for every 4 steps."""
    step_milliseconds = 0.25 + 0.0625 * num_steps
    cost: dict[str, Any] = {
        "num_steps": num_steps,
        "parameters": 26,
        "operations": 190 + 9 * num_steps,
        "build_seconds": 0.03125,
        "first_run_seconds": 0.0078125,
        "step_milliseconds": step_milliseconds,
        "tokens_per_second": 7 * num_steps / step_milliseconds * 1000,
        "graph_bytes": 500_000 * num_steps,
    }
    return cost | changes


def made_up_results(
    folder: Path, runs: Iterable[dict[str, Any]], comparison: Comparison | None = None
) -> Results:
    """Results in a folder, not saved yet, with the costs of all widths that runs have."""
    comparison = comparison or make_comparison()
    results = Results(folder, comparison.identity(comparison.make_task()))
    for run in runs:
        results.add_run(run)
    results.add_costs([made_up_cost(width) for width in sorted({key.num_steps for key in results.runs})])
    return results


def with_costs(folder: Path, comparison: Comparison) -> Path:
    """A folder in which costs are there already, so that only runs are missing."""
    results = Results(folder, comparison.identity(comparison.make_task()))
    results.add_costs([made_up_cost(width) for width in comparison.num_steps])
    results.save(verdict=None)
    return folder


def made_up_summary(num_steps: int, loss: float, **changes: Any) -> Summary:
    """Three runs that agree to the last digit and count so many tokens that nothing is noise."""
    values: dict[str, Any] = {
        "num_steps": num_steps,
        "state": "carry",
        "runs": 3,
        "diverged": 0,
        "loss": loss,
        "spread": 0.0,
        "resolution": 0.0,
        "updates": 100.0,
        "dependency_scores": {},
        "reach": {},
        "gap_to_optimum": None,
        "gap_to_floor": None,
        "cost": made_up_cost(num_steps),
    }
    return Summary(**(values | changes))
