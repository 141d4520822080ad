"""Trains all tasks of the atlas at all widths, and stores what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.atlas.claims import COLUMNS as CLAIM_COLUMNS
from benchmarks.atlas.claims import train_claims
from benchmarks.atlas.store import (
    COST_COLUMNS,
    FOLDER,
    RUN_COLUMNS,
    TASK_COLUMNS,
    cost_rows,
    run_rows,
    write,
)
from benchmarks.atlas.tasks import LADDER, TASKS
from tf_rnn.analysis.bias import LOST, needed_width
from tf_rnn.analysis.lags import check_lags
from tf_rnn.options import OptionError
from tf_rnn.tasks.constant import constant_loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn import Experiment

# The network whose gradient is measured is trained for this fraction of the tokens.
SHARE = 0.2


def sweep(names: Sequence[str], scratch: Path) -> None:
    """Trains the named tasks; what `scratch` holds already is not repeated."""
    for name in names:
        entry = TASKS[name]
        experiment = entry.experiment(scratch / "texts")
        print(f"{name} ({entry.part})", flush=True)
        found = experiment.compare(
            LADDER, state=("carry",), amount=entry.tokens, out=scratch / name.replace(" ", "-")
        )
        print(found.sentence, flush=True)


def store(scratch: Path, folder: Path = FOLDER) -> None:
    """Writes the tables from finished sweeps, and measures the gradient of each task."""
    runs, costs, known = [], [], []
    for name, entry in TASKS.items():
        experiment = entry.experiment(scratch / "texts")
        found = experiment.compare(
            LADDER, state=("carry",), amount=entry.tokens, out=scratch / name.replace(" ", "-")
        )
        runs += run_rows(name, found.results)
        costs += cost_rows(name, found.results)
        nothing = {"task": name, "knowing_nothing": constant_loss(experiment.task)}
        known.append(nothing | _gradient(experiment, entry.tokens))
        print(name, known[-1], flush=True)
    write("claims.csv", CLAIM_COLUMNS, train_claims(scratch), folder)
    write("runs.csv", RUN_COLUMNS, runs, folder)
    write("costs.csv", COST_COLUMNS, costs, folder)
    write("tasks.csv", TASK_COLUMNS, known, folder)


def _gradient(experiment: Experiment, tokens: int) -> dict[str, Any]:
    """How far back the gradient of a network reaches that was trained for a part of the tokens."""
    width = LADDER[-1]
    while True:
        try:
            check_lags(experiment.setup, experiment.task, width)
            break
        except OptionError:
            width -= 1
    found = experiment.lags(width, tokens=SHARE * tokens, callbacks=())
    assert found.trained is not None
    needs = needed_width(found.trained.block_bias, LOST)
    return {"half_life": found.trained.half_life, "gradient_needs": needs or 0}
