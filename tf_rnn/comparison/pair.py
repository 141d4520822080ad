"""Two finished comparisons beside each other: the same task, learnt with other options."""

from __future__ import annotations

import dataclasses
import statistics
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.comparison.ranking import mean_difference
from tf_rnn.comparison.results import FILE, Results
from tf_rnn.comparison.sentences import duration, signed_loss
from tf_rnn.comparison.summary import Summary, summarise
from tf_rnn.files import PLACES, as_path, is_there, plain, read_json
from tf_rnn.options import OptionError
from tf_rnn.reporting import Table
from tf_rnn.reporting.table import MISSING
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    import os
    from pathlib import Path

WANTED = "must be two folders of finished comparisons"
# Where data lie, and how many are drawn to train on, does not change what is held out.
NOT_HELD_OUT = (*PLACES, "length")
OF_TASK = ("task", "data_sha256", "data_lengths")


class Finished(NamedTuple):
    """A finished comparison, as its folder keeps it.

    Attributes:
        name: The folder.
        task: What is learnt, and from which data.
        options: Everything else that all of its runs share.
        unit: The unit of its losses.
        summaries: Of each width and state.
        answer: The summary of its answer; without one, that with the lowest loss.
        is_answered: Whether it has an answer.
        margin: Largest difference of losses that counts as equal.
    """

    name: str
    task: dict[str, Any]
    options: dict[str, Any]
    unit: str
    summaries: dict[tuple[int, str], Summary]
    answer: Summary
    is_answered: bool
    margin: float


@dataclasses.dataclass(frozen=True)
class SweepPair:
    """Two finished comparisons of the same task."""

    a: Finished
    b: Finished

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each width and state: losses, their difference by pairs of seeds, and prices."""
        found = []
        for width, state in sorted({*self.a.summaries, *self.b.summaries}):
            one, other = (side.summaries.get((width, state)) for side in (self.a, self.b))
            record: dict[str, Any] = {"num_steps": width, "state": state}
            losses = paired_losses(one, other) if one and other else (one and one.loss, other and other.loss)
            record |= {"loss_a": losses[0], "loss_b": losses[1], "difference": None}
            if one and other:
                record["difference"] = mean_difference(other, one)
            record["pairs"] = len({*one.losses} & {*other.losses}) if one and other else 0
            record |= {"seconds_a": one and one.seconds, "seconds_b": other and other.seconds}
            found.append(plain(record))
        return found

    def table(self) -> Table:
        """Both losses and prices of each width."""
        rows, unit = self.records, self.a.unit
        named = {"width": "num_steps", "state": "state", "seeds\npaired": "pairs"}
        columns = {name: [str(row[key]) for row in rows] for name, key in named.items()}
        for name, key, show in (
            ("loss\nin A", "loss_a", lambda loss: loss_text(loss, unit)),
            ("loss\nin B", "loss_b", lambda loss: loss_text(loss, unit)),
            ("B - A", "difference", lambda loss: signed_loss(loss, unit)),
            ("time\nin A", "seconds_a", duration),
            ("time\nin B", "seconds_b", duration),
        ):
            columns[name] = [MISSING if row[key] is None else show(row[key]) for row in rows]
        return Table.of_columns(f"A is {self.a.name}, B is {self.b.name}", columns)

    @property
    def difference(self) -> float:
        """The loss of B's answer above that of A's, by pairs of runs with the same seed."""
        return mean_difference(self.b.answer, self.a.answer)

    @property
    def sentence(self) -> str:
        """Which of the two is better at its own best width, and in what they differ."""
        unit, margin = self.a.unit, max(self.a.margin, self.b.margin)
        found = "A and B are equally good"
        if abs(self.difference) > margin:
            better = "B" if self.difference < 0 else "A"
            found = f"{better} is better by {loss_text(abs(self.difference), unit)} {unit}"
        sides = (("A", self.a), ("B", self.b))
        losses = paired_losses(self.a.answer, self.b.answer)
        at = ", ".join(
            f"{_at(side, loss)} in {name}" for (name, side), loss in zip(sides, losses, strict=True)
        )
        counts = f"differences up to {loss_text(margin, unit)} count as equal"
        times = ", ".join(f"{duration(side.answer.seconds)} in {name}" for name, side in sides)
        unsure = " and ".join(name for name, side in sides if not side.is_answered)
        remark = f" {unsure} named no width; the one with the lowest loss is taken." if unsure else ""
        return f"{found}: {at}; {counts}. The training steps take {times}.{remark} {self._differences}"

    @property
    def _differences(self) -> str:
        names = sorted({*self.a.options, *self.b.options})
        pairs = [(name, self.a.options.get(name), self.b.options.get(name)) for name in names]
        parts = [f"{name} ({_words(one)}, {_words(other)})" for name, one, other in pairs if one != other]
        return f"Their options differ in {', '.join(parts)}." if parts else "Their options are the same."


def paired_losses(one: Summary, other: Summary) -> tuple[float, float]:
    """The mean losses of two summaries, over the seeds that both have if there are any."""
    seeds = [seed for seed in one.losses if seed in other.losses]
    if not seeds:
        return one.loss, other.loss
    first, second = (statistics.fmean(each.losses[seed] for seed in seeds) for each in (one, other))
    return first, second


def _at(side: Finished, loss: float) -> str:
    best = side.answer
    return f"{loss_text(loss, side.unit)} {side.unit} at num_steps {best.num_steps} ({best.state})"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {part}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(_words, value))
    return f"{value:,.10g}" if isinstance(value, float) else str(value)


def pair_sweeps(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> SweepPair:
    """Reads two finished comparisons of the same task, to compare them with each other.

    Args:
        a: The folder of one, written by `compare` or `Sweep.write`.
        b: That of the other.

    Raises:
        OptionError: For `folders`, if one holds no finished comparison, or they have different tasks or data.
    """
    one, other = (_read(as_path("folders", folder)) for folder in (a, b))
    for name in ("task", *sorted({*one.task, *other.task})):
        if one.task.get(name) != other.task.get(name):
            raise OptionError(
                "folders",
                f"must be two comparisons of the same task and data; {name} is {one.task.get(name)!r} in "
                f"{one.name!r} and {other.task.get(name)!r} in {other.name!r}",
            )
    return SweepPair(one, other)


def _read(folder: Path) -> Finished:
    path = folder / FILE
    if not is_there(path):
        raise OptionError("folders", f"{WANTED}, {str(folder)!r} has no {FILE}")
    try:
        saved = read_json(path)
        results = Results(folder, saved["config"], claims=False)
        verdict, unit = saved["verdict"], saved.get("unit", "nats")
        found = _finished(folder, results, verdict, unit) if verdict else None
    except (OptionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise OptionError("folders", f"{WANTED}, {str(path)!r} cannot be read") from error
    if found is None:
        raise OptionError(
            "folders",
            f"{WANTED}, {str(folder)!r} has no answer: "
            "it is not finished, is of recommend, or all runs diverged",
        )
    return found


def _finished(folder: Path, results: Results, verdict: dict[str, Any], unit: str) -> Finished:
    # What a summary says about the task's definition is not needed.
    task: Any = SimpleNamespace(
        lags=(), loss_steps="all", unit=unit, floor=lambda _: None, optimum=lambda: None
    )
    summaries = summarise(results, list(results.runs), task)
    named = (verdict["num_steps"], verdict["state"])
    by_key = {(each.num_steps, each.state): each for each in summaries if each.runs}
    options = dict(results.identity)
    of_task: dict[str, Any] = {name: options.pop(name) for name in OF_TASK if name in options}
    of_task |= {name: part for name, part in options.pop("task_options").items() if name not in NOT_HELD_OUT}
    for name in ("num_steps", "state", "seed", "learning_rate"):
        options[name] = sorted({getattr(key, name) for key in results.runs})
    answer = by_key.get(named) or min(by_key.values(), key=lambda each: each.loss)
    of_task["unit"], margin = unit, float(verdict["margin"])
    return Finished(str(folder), of_task, options, unit, by_key, answer, named in by_key, margin)
