"""Three claims about widths, tried on some of the tasks.

- One step of backpropagation keeps up with wider graphs if the optimizer is RMSprop (arXiv 2603.28750, of
  online adaptation).
- Random truncation, whose gradient is unbiased (Tallec & Ollivier 2017), does not help in practice (Zhang et
  al., Dive into Deep Learning, section 9.7).
- A graph that grows during training, narrow at first, learns as much as a wide one at a lower price.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.atlas.store import read
from benchmarks.atlas.tasks import LADDER, TASKS
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.comparison.settings import RunKey
from tf_rnn.comparison.worker import train_part
from tf_rnn.reporting import Table
from tf_rnn.reporting.table import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.atlas.score import Scored

SEEDS = 2
COLUMNS = ("task", "claim", "num_steps", "learning_rate", "seed", "loss")
GROWING = (5, 20, 50)
TRIED_ON = ("echo 5", "echo 2 9 gru", "memory 3", "adding 10", "code", "german", "hourly", "mackey-glass")


class Claim(NamedTuple):
    """Networks that are trained to see whether a claim holds.

    Attributes:
        options: Options other than those of the task's sweep.
        widths: The widths.
        rates: Learning rates; those of the sweep times these factors, or as they are.
        are_factors: Whether they are factors.
        needs_all_losses: Whether only tasks with a loss at every step can be trained so.
    """

    options: dict[str, Any]
    widths: tuple[int, ...]
    rates: tuple[float, ...]
    are_factors: bool
    needs_all_losses: bool = False


CLAIMS = {
    "rmsprop": Claim({"optimizer": "rmsprop"}, (1, 5, 20), (0.001, 0.003, 0.01), are_factors=False),
    "random": Claim({"style": "random"}, (5, 20), (0.3, 1.0), are_factors=True, needs_all_losses=True),
}


def grown_rows(scratch: Path) -> list[dict[str, Any]]:
    """A row for each run whose graph grows, with the width that it ends with."""
    rows = []
    for task in TRIED_ON:
        entry = TASKS[task]
        experiment = entry.experiment(scratch / "texts")
        parcel = Parcel.of(experiment.setup, experiment.task.lasting(entry.tokens))
        for seed in range(SEEDS):
            state = None
            for part, width in enumerate(GROWING, start=1):
                key = RunKey(width, "carry", seed, experiment.setup.learning_rate)
                amount, until = {"tokens": float(entry.tokens)}, part / len(GROWING)
                record, state = train_part(parcel, key, amount, until=until, state=state)
            named = {"task": task, "claim": "growing"}
            rows.append(named | _columns(record))
    return rows


def train_claims(scratch: Path) -> list[dict[str, Any]]:
    """Trains what the claims need, as far as `scratch` does not hold it; returns a row for each run."""
    rows = []
    for task in TRIED_ON:
        for name, claim in CLAIMS.items():
            entry = TASKS[task]
            entry = dataclasses.replace(entry, options=entry.options | claim.options)
            experiment = entry.experiment(scratch / "texts")
            if claim.needs_all_losses and experiment.task.loss_steps != "all":
                continue
            usual = TASKS[task].experiment(scratch / "texts").setup.learning_rate
            rates = [rate * usual for rate in claim.rates] if claim.are_factors else claim.rates
            found = experiment.compare(
                claim.widths,
                state=("carry",),
                learning_rate=rates,
                seeds=SEEDS,
                amount=entry.tokens,
                out=scratch / f"{name}-{task.replace(' ', '-')}",
            )
            named = {"task": task, "claim": name}
            rows += [named | _columns(run) for run in found.results.records]
    return rows + grown_rows(scratch)


def _columns(run: dict[str, Any]) -> dict[str, Any]:
    """What the table has of a run, with the loss at its end."""
    last = None if run["loss"] is None else run["curve"][-1]["valid_loss"]
    return {name: run[name] for name in COLUMNS[2:]} | {"loss": last}


def losses(folder: Path) -> dict[tuple[str, str], dict[int, float]]:
    """The mean loss of each width at the end, by task and claim, at its best rate; inf if a run diverged."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for task, rows in read("claims.csv", folder).items():
        runs: dict[tuple[str, int, str], list[float]] = {}
        for row in rows:
            key = (row["claim"], int(row["num_steps"]), row["learning_rate"])
            runs.setdefault(key, []).append(float(row["loss"] or "inf"))
        for (claim, width, _), values in runs.items():
            widths = found.setdefault((task, claim), {})
            widths[width] = min(statistics.fmean(values), widths.get(width, float("inf")))
    return found


def growing_table(tasks: Mapping[str, Scored], folder: Path) -> Table:
    """A graph that grows, and graphs of its widths from the start: losses and times."""
    rows = []
    for (task, claim), found in losses(folder).items():
        if claim == "growing":
            fixed = [tasks[task].summary(width) for width in GROWING]
            cells = [f"{each.last_loss:.4f} ({each.seconds:.1f} s)" for each in fixed]
            seconds = statistics.fmean(each.seconds for each in fixed)
            rows.append([task, f"{found[GROWING[-1]]:.4f} ({seconds:.1f} s)", *cells])
    growing = ", then ".join(map(str, GROWING))
    return Table(
        f"A graph of {growing} steps, a third of the training each: held-out loss at the end, time of steps",
        ["task", growing, *map(str, GROWING)],
        rows,
    )


def rmsprop_table(tasks: Mapping[str, Scored], folder: Path) -> Table:
    """Width 1 with RMSprop, wider graphs with RMSprop, and the best width with the task's own optimizer."""
    rows = []
    for (task, claim), found in losses(folder).items():
        if claim == "rmsprop":
            steady = [each for width in LADDER if (each := tasks[task].summary(width)).steady]
            own = min(each.last_loss for each in steady)
            rows.append([task, *(f"{found[width]:.4f}" for width in CLAIMS[claim].widths), f"{own:.4f}"])
    header = [
        "task",
        *(f"width {width}" for width in CLAIMS["rmsprop"].widths),
        "best width, its own optimizer",
    ]
    return Table(
        "RMSprop, each width at the best of three learning rates: held-out loss at the end", header, rows
    )


def random_table(tasks: Mapping[str, Scored], folder: Path) -> Table:
    """Segments of random length, and blocks of the same mean length."""
    rows = []
    for (task, claim), found in losses(folder).items():
        if claim == "random":
            cells = [task]
            for width in CLAIMS[claim].widths:
                block = tasks[task].summary(width).last_loss
                cells += [f"{block:.4f}", f"{found[width]:.4f}" if found[width] < float("inf") else MISSING]
            rows.append(cells)
    header = [
        "task",
        *(f"{kind} {width}" for width in CLAIMS["random"].widths for kind in ("blocks of", "random,")),
    ]
    return Table("Random truncation against blocks: held-out loss at the end", header, rows)
