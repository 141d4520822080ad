"""Comparisons, recommendations and studies of lags as values, with their folders."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tf_rnn.comparison import (
    Comparison,
    Results,
    RunKey,
    Summary,
    Verdict,
    open_workers,
    require_no_failures,
    study_seeds,
    sweep,
)
from tf_rnn.comparison.report import answer, slope_line, write_report
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.tables import as_rich, cost_table, learning_table
from tf_rnn.comparison.verify import verification, widths_to_verify
from tf_rnn.files import CONFIG, claim_folder, is_there
from tf_rnn.lock import made_and_held
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup, setup_identity, setup_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tf_rnn.comparison import Workers
    from tf_rnn.tasks import Task

PLAIN_WIDTH = 120


def comparison(setup: Setup, **options: Any) -> Comparison:
    """Makes a comparison of a setup.

    Args:
        setup: What all runs share.
        **options: The options of `Comparison` beside those of a setup.
    """
    return Comparison(**_fields(setup), **options)


def _fields(setup: Setup) -> dict[str, Any]:
    return {field.name: getattr(setup, field.name) for field in dataclasses.fields(Setup)}


@contextlib.contextmanager
def claimed(out: Path | None, identity: dict[str, Any]) -> Iterator[Path]:
    """Makes, locks and claims a folder for results; a temporary one where there is none.

    A refusal leaves nothing behind.

    Raises:
        OptionError: See `claim_folder`; or if another command is writing to it.
    """
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    with made_and_held("out", out):
        is_new = not is_there(out, CONFIG)
        try:
            claim_folder(out, identity)
            yield out
        except OptionError:
            if is_new:
                (out / CONFIG).unlink(missing_ok=True)
            raise


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a comparison found.

    Attributes:
        summaries: One for each state and length.
        verdict: The answer; None where no run ended with a finite loss.
        results: Every run.
        keys: The runs that were asked for.
        task: What was learnt.
        files: What was written.
    """

    summaries: list[Summary]
    verdict: Verdict | None
    results: Results
    keys: list[RunKey]
    task: Task
    files: list[Path]

    @property
    def answer(self) -> str:
        """The answer in words."""
        return answer(self.summaries, self.verdict)

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each run."""
        return list(self.results.runs.values())

    def show(self) -> None:
        """Prints the tables and the answer."""
        console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        console.print(as_rich(learning_table(self.summaries, self.task)))
        console.print(as_rich(cost_table(self.summaries)))
        for line in (slope_line(self.summaries), self.answer):
            console.print(line, highlight=False, markup=False)

    def require_no_failures(self) -> None:
        """Raises WorkerDiedError if runs failed, naming them."""
        require_no_failures(self.results, self.keys)


def compare(
    comparison: Comparison,
    folder: Callable[[dict[str, Any]], Path | None],
    *,
    workers: int | None,
    scheduler: str,
    command: Sequence[str],
) -> Sweep:
    """Runs a comparison.

    Args:
        comparison: What is compared.
        folder: Says where results go, by the comparison's identity.
        workers: Parallel processes; None for one per CPU core.
        scheduler: "local", or the address of a Dask scheduler.
        command: The command line to show in the report.
    """
    task = comparison.make_task()
    comparison.check_data(task)
    identity = comparison.identity(task)
    screen = Screen(Console(stderr=True))
    with (
        open_workers(scheduler, workers, screen) as opened,
        claimed(folder(identity), identity) as out,
        screen,
    ):
        results = Results(out, identity)
        summaries, verdict = sweep(comparison, results, task, screen, opened)
        files = write_report(comparison, results, summaries, verdict, task, command)
    return Sweep(summaries, verdict, results, comparison.keys, task, files)


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A recommended length, and the measurements behind it.

    Attributes:
        advice: The length, and why.
        studies: The gradient by lag of each network that was trained.
        check: The runs that verified the advice; None without.
        sentence: Whether it held.
        files: What was written.
    """

    advice: Any
    studies: list[Any]
    check: tuple[Results, list[RunKey]] | None
    sentence: str | None
    files: list[Path]

    @property
    def answer(self) -> str:
        """The recommendation in words."""
        return str(self.advice.reason)

    def require_no_failures(self) -> None:
        """Raises WorkerDiedError if runs failed, naming them."""
        if self.check:
            require_no_failures(*self.check)


def recommend(
    setup: Setup,
    task: Task,
    num_steps: int,
    *,
    tokens: float,
    seeds: int,
    tolerance: float,
    verify: bool,
    out: Path | None,
    workers: int | None,
    scheduler: str,
    command: Sequence[str],
) -> Recommendation:
    """Trains networks briefly and recommends a length; see `tf_rnn.Experiment.recommend`."""
    options = {"num_steps": num_steps, "tokens": tokens, "seeds": seeds, "tolerance": tolerance}
    identity = setup_identity(setup, task) | options
    screen = Screen(Console(stderr=True))
    with open_workers(scheduler, workers, screen) as opened, claimed(out, identity) as folder:
        from tf_rnn.analysis import priced_advice  # noqa: PLC0415
        from tf_rnn.analysis.report import write_advice  # noqa: PLC0415

        with screen:
            studies = study_seeds(setup, task, num_steps, tokens, seeds, screen, opened)
        advice = priced_advice(setup, task, studies, tolerance)
        check, sentence = None, None
        if verify:
            check, sentence = _verified(setup, advice.num_steps, seeds, folder, screen, opened)
        line = setup_line(setup, f"{tokens:,.10g} tokens")
        files = write_advice(folder, advice, studies, identity, line, command, sentence)
    return Recommendation(advice, studies, check, sentence, files)


def _verified(
    setup: Setup, num_steps: int, seeds: int, folder: Path, screen: Screen, workers: Workers
) -> tuple[tuple[Results, list[RunKey]], str]:
    runs = comparison(
        setup,
        num_steps=widths_to_verify(num_steps),
        state=("carry",),
        seeds=seeds,
        budget="tokens",
        amount=setup.defaults.tokens,
    )
    task = runs.make_task()
    runs.check_data(task)
    results = Results(folder / "verify", runs.identity(task))
    with screen:
        summaries, _ = sweep(runs, results, task, screen, workers)
    return (results, runs.keys), verification(summaries, num_steps)


@dataclasses.dataclass(frozen=True)
class LagStudy:
    """The gradient by lag before and after training.

    Attributes:
        study: What was measured.
        sentences: What happens to the gradient, in words.
        files: What was written.
    """

    study: Any
    sentences: list[str]
    files: list[Path]


def study_lags(
    setup: Setup,
    task: Task,
    num_steps: int,
    *,
    tokens: float,
    state: str,
    seed: int,
    out: Path | None,
    threads: int | None,
    callbacks: Sequence[Any] | None,
    command: Sequence[str],
) -> LagStudy:
    """Measures the gradient by lag; see `tf_rnn.Experiment.lags`."""
    from tf_rnn import analysis  # noqa: PLC0415
    from tf_rnn.analysis.report import describe, write_lags  # noqa: PLC0415
    from tf_rnn.training import Listeners, ProgressLine  # noqa: PLC0415

    options = {"num_steps": num_steps, "tokens": tokens, "state": state, "seed": seed}
    identity = setup_identity(setup, task) | options
    listener = Listeners(*([ProgressLine()] if callbacks is None else callbacks))
    with claimed(out, identity) as folder:
        study = analysis.study_lags(
            setup, task, num_steps, tokens=tokens, state=state, seed=seed, listener=listener, threads=threads
        )
        line = setup_line(setup, f"{tokens:,.10g} tokens")
        files = write_lags(folder, study, identity, task, line, command)
    named = {"untrained": study.untrained} | ({"trained": study.trained} if study.trained else {})
    return LagStudy(study, [f"{describe(*item)}." for item in named.items()], files)
