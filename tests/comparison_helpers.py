"""Shared by tests of comparisons: options, made-up runs and costs, results on disk."""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison import Comparison, Parcel, Results, RunKey
from tf_rnn.comparison.summary import Summary
from tf_rnn.comparison.worker import EVALUATED_AT, Part, train_part
from tf_rnn.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tf_rnn.tasks import Task

TASK_OPTIONS: dict[str, Any] = {
    "lags": [2, 5],
    "effects": [0.3, -0.15],
    "length": 600,
    "valid_length": 90,
}
NETWORK: dict[str, Any] = {
    "task": "echo",
    "task_options": TASK_OPTIONS,
    "state_size": 3,
    "batch_size": 7,
}
# A module with a task of a user's own.
OWN_TASK = """
from tf_rnn.tasks import Echo

class Louder(Echo):
    name = "louder"

    def __init__(self, **options):
        small = {"lags": (2,), "effects": (0.4,), "length": 600, "valid_length": 90}
        super().__init__(**small | options)
"""
RUNS: dict[str, Any] = {
    "num_steps": (4, 1),
    "state": ("carry", "reset"),
    "seeds": 2,
    "budget": "tokens",
    "amount": 1500,
    "learning_rate": (),
}


def make_comparison(**changes: Any) -> Comparison:
    """A comparison with some options changed, of its setup or its own."""
    runs = {name: changes.pop(name, value) for name, value in RUNS.items()}
    return Comparison(setup=Setup(**(NETWORK | changes)), **runs)


def run_here(comparison: Comparison, key: RunKey, task: Task | None = None) -> dict[str, Any]:
    """The record of a run that is trained in this process."""
    parcel = Parcel.of(comparison.setup, comparison.make_task(task))
    return train_part(parcel, key, {comparison.budget: comparison.amount}).record


def made_up_curve(
    loss: float, pace: float = 0.0, decay: float = 0.5, updates: int = 96, tokens: int = 0
) -> list[dict[str, Any]]:
    """A learning curve that ends with a loss: the last doubling lowered it by the pace.

    Each doubling before lowered it by 1 / decay times as much; the first ones by a little more.
    """
    curve: list[dict[str, Any]] = []
    for fraction in (0.0, *EVALUATED_AT):
        number = round(fraction * updates)
        done = math.log2(fraction) if fraction else -6
        late = min(1.0, 2 - 2 * fraction)  # of the last doubling, what is still to come
        before = sum(decay**-doubling for doubling in range(1, max(0, -1 - round(done)) + 1))
        point = {
            "updates": number,
            "tokens": tokens * number // updates,
            "seconds": 0.375 * fraction,
            "train_loss": None if not number else loss + 0.03125,
            "valid_loss": loss + pace * (late + before) + max(0.0, 0.25 - fraction) / 2,
        }
        if not curve or number > curve[-1]["updates"]:
            curve.append(point)
    return curve


def made_up_run(
    num_steps: int, state: str = "carry", seed: int = 0, learning_rate: float = 0.1, **changes: Any
) -> dict[str, Any]:
    """The record of a finished run, as a worker gives it; its loss falls at first, then is level."""
    run: dict[str, Any] = {
        "num_steps": num_steps,
        "state": state,
        "seed": seed,
        "learning_rate": learning_rate,
        "loss": 0.5 + seed / 64,
        "error": None,
        "standard_error": 0.0078125,
        "train_loss": 0.53125,
        "dependency_scores": {"2": 0.75, "5": 0.25},
        "updates": 1500 // (7 * num_steps),
        "tokens": 1500 // (7 * num_steps) * 7 * num_steps,
        "seconds": 0.375,
    }
    run |= changes
    return {"curve": made_up_curve(run["loss"], updates=run["updates"], tokens=run["tokens"])} | run


def diverged_run(
    num_steps: int, state: str = "carry", seed: int = 0, learning_rate: float = 0.1
) -> dict[str, Any]:
    """The record of a run whose loss was not finite, as a worker gives it."""
    error = "the loss is nan at update 3 (epoch 1); limit the gradient's norm"
    return RunKey(num_steps, state, seed, learning_rate)._asdict() | {"loss": None, "error": error}


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
    folder: Path | None, runs: Iterable[dict[str, Any]], comparison: Comparison | None = None
) -> Results:
    """Results that are not saved yet, with the costs of all widths that runs have."""
    comparison = comparison or make_comparison()
    results = Results(folder, comparison.identity(comparison.make_task()))
    for run in runs:
        results.add_run(run)
    results.add_costs([made_up_cost(width) for width in sorted({key.num_steps for key in results.runs})])
    return results


def die_as_often_as_told(key: RunKey) -> None:
    """Kills this process the first times that a run is begun, as often as DEATHS says; notes each time.

    DEATHS is JSON: a folder for the notes, and a number of deaths by `num_steps-seed`.
    """
    folder, deaths = json.loads(os.environ["DEATHS"])
    begun = Path(folder) / f"{key.num_steps}-{key.seed}"
    with begun.open("a") as file:
        file.write("x")
    if begun.stat().st_size <= deaths.get(begun.name, 0):
        os.kill(os.getpid(), signal.SIGKILL)


def times_begun(folder: Path) -> dict[str, int]:
    """How often each run was begun, as `die_as_often_as_told` has noted."""
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def made_up_or_die(_: Parcel, key: RunKey, *more: Any) -> Part:
    """Replaces `train_part` where only deaths count, not what is learnt."""
    die_as_often_as_told(key)
    return Part(made_up_run(*key), None)


def with_costs(folder: Path, comparison: Comparison) -> Path:
    """A folder that has the costs, so that only runs are missing."""
    results = Results(folder, comparison.identity(comparison.make_task()))
    results.add_costs([made_up_cost(width) for width in comparison.num_steps])
    results.save(verdict=None)
    return folder


def made_up_summary(
    num_steps: int, loss: float | Sequence[float], pace: float = 0.0, decay: float = 0.5, **changes: Any
) -> Summary:
    """Runs that count so many tokens that nothing is noise; their curves are those of `made_up_curve`.

    Args:
        num_steps: The width.
        loss: The loss of each seed; a number for three seeds that agree to the last digit.
        pace: By how much the loss falls with a doubling of the training.
        decay: What is left of the pace after each doubling.
        changes: Values of the summary; with `seconds`, its price.
    """
    seeds = range(changes.get("runs", 3))
    losses = dict.fromkeys(seeds, loss) if isinstance(loss, float | int) else dict(enumerate(loss))
    tokens = 1 << 20
    cost = made_up_cost(num_steps)
    if "seconds" in changes:
        cost["tokens_per_second"] = tokens / changes.pop("seconds")
    values: dict[str, Any] = {
        "num_steps": num_steps,
        "state": "carry",
        "runs": len(losses),
        "diverged": 0,
        "learning_rate": 0.1,
        "losses": losses,
        "loss": statistics.fmean(losses.values()) if losses else math.nan,
        "spread": statistics.stdev(losses.values()) if len(losses) > 1 else math.nan,
        "resolution": 0.0,
        "updates": 96.0,
        "tokens": float(tokens),
        "curves": [made_up_curve(each, pace, decay) for each in losses.values()],
        "dependency_scores": {},
        "reach": {},
        "gap_to_optimum": None,
        "gap_to_floor": None,
        "cost": cost,
    }
    return Summary(**(values | changes))
