"""Recommendations: networks are trained briefly, and their gradients say how wide a graph must be."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.comparison import worker
from tf_rnn.comparison.comparing import measured_costs, run_comparison
from tf_rnn.comparison.executors import WorkerDiedError, completed
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.comparison.recommendation import VERIFY, Recommendation
from tf_rnn.comparison.results import Results
from tf_rnn.comparison.scheduler import LOCAL, open_workers
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.settings import Comparison, RunKey, checked_identity
from tf_rnn.comparison.verify import widths_to_verify
from tf_rnn.files import as_path
from tf_rnn.options import MOST, OptionError, require_fraction, require_positive, require_whole
from tf_rnn.reporting.folder import results_folder
from tf_rnn.setup import setup_identity, setup_line
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.analysis.advice import Advice
    from tf_rnn.analysis.study import LagStudy
    from tf_rnn.comparison.executors import Workers
    from tf_rnn.comparison.sweep import Sweep
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task

# A verification trains for the tokens that suit the task; without such a number, for so many times those
# of the networks whose gradients are measured.
LONGER = 5


class Plan(NamedTuple):
    """A recommendation that can be computed: all options are allowed, and the data are long enough.

    Attributes:
        setup: The network and its training.
        task: What is learnt.
        num_steps: The longest width to consider.
        tokens: How long to train each network.
        seeds: Number of networks.
        tolerance: Largest acceptable fraction of the gradient lost to truncation.
        verify: Whether to verify the recommended width.
    """

    setup: Setup
    task: Task
    num_steps: int
    tokens: float
    seeds: int
    tolerance: float
    verify: bool

    def check(self) -> None:
        """Raises OptionError unless all options are allowed, and the data are long enough."""
        from tf_rnn.analysis.lags import check_lags  # noqa: PLC0415 (loads TensorFlow)

        require_whole("seeds", self.seeds, at_most=MOST)
        require_positive("tokens", self.tokens)
        require_fraction("tolerance", self.tolerance)
        check_lags(self.setup, self.task, self.num_steps)
        if not self.verify:
            return
        if self.setup.style == "full":
            raise OptionError(
                "verify",
                "must be left out where style is full, which trains whole rows whatever the width",
            )
        try:
            doubled = self.comparison((2 * self.num_steps,))
            doubled.check(doubled.make_task(self.task))
        except OptionError as error:
            raise OptionError(
                "verify",
                f"must be left out where twice num_steps ({2 * self.num_steps}) cannot be trained: {error}",
            ) from error

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the results depend on, ready for JSON."""
        return checked_identity(
            setup_identity(self.setup, self.task)
            | {
                "task": self.task.name,
                "num_steps": self.num_steps,
                "tokens": self.tokens,
                "seeds": self.seeds,
                "tolerance": self.tolerance,
            }
        )

    def comparison(self, widths: tuple[int, ...]) -> Comparison:
        """The comparison that verifies a width."""
        defaults = getattr(self.task, "defaults", None)
        return Comparison(
            setup=self.setup,
            num_steps=widths,
            state=("carry",),
            seeds=self.seeds,
            budget="tokens",
            amount=LONGER * self.tokens if defaults is None else defaults.tokens,
        )


def recommend(
    setup: Setup,
    task: Task | None,
    num_steps: int,
    *,
    tokens: float,
    seeds: int = 3,
    tolerance: float = 0.1,
    verify: bool = False,
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str = LOCAL,
    screen: Screen | None = None,
    command: Sequence[str] = (),
) -> Recommendation:
    """Trains networks briefly at a large width, and recommends the width that their gradients need.

    The state is carried. The width is the smallest from which on truncation loses at most `tolerance` of
    the gradient over `num_steps` steps, for the network that needs the most steps.

    Args:
        setup: The network and its training.
        task: Any task, of the package or the user's own; None for the one that the setup names.
        num_steps: The longest width to consider; the networks are trained at it.
        tokens: How long to train each network, in examples times steps.
        seeds: How many networks to train, from different initial weights.
        tolerance: Largest acceptable fraction of the gradient lost to truncation, between 0 and 1.
        verify: Whether to train at the recommended width, its half and its double, for the tokens that
            suit the task, and to compare their losses.
        out: A folder for results and report; None to write nothing. The runs of the verification, in
            its folder `verify`, are not repeated.
        workers: Parallel processes on this machine; None for one per core.
        scheduler: "local", or the address of a Dask scheduler, `tcp://HOST:PORT`.
        screen: Shows progress; None for lines on standard error.
        command: The command line to show in the report, without `python -m tf_rnn`.

    Raises:
        OptionError: If an option is not allowed or the data are too short, also for the verification;
            before anything is written.
        DivergedError: If a loss is not finite.
        WorkerDiedError: If a network could not be trained, since its worker died every time.
    """
    task = setup.make_task() if task is None else task
    plan = Plan(setup, task, num_steps, tokens, seeds, tolerance, verify)
    plan.check()
    parcel, identity = Parcel.of(setup, task), plan.identity
    screen = Screen() if screen is None else screen
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_workers(scheduler, workers, screen))
        folder = None
        if out is not None:
            folder = stack.enter_context(results_folder(as_path("out", out), identity))
        stack.enter_context(screen)
        studies = study_seeds(plan, parcel, screen, opened)
        advice = _advice(plan, parcel, studies, screen)
        sweep = _verifying_sweep(plan, advice, folder, screen, opened) if verify else None
        line = setup_line(setup, f"{tokens:,.10g} tokens")
        recommendation = Recommendation(advice, studies, sweep, identity, line)
        if folder is not None:
            files = recommendation.write_files(folder, command)
            recommendation = dataclasses.replace(recommendation, files=files)
    return recommendation


def study_seeds(plan: Plan, parcel: Parcel, screen: Screen, workers: Workers) -> list[LagStudy]:
    """Trains a network from each seed and measures its gradient by lag, by seed.

    Raises:
        DivergedError: If a loss is not finite.
        WorkerDiedError: If a worker died every time that a network was trained.
    """
    from tf_rnn.analysis.study import lag_identity  # noqa: PLC0415 (loads TensorFlow)

    keys = [RunKey(plan.num_steps, "carry", seed) for seed in range(plan.seeds)]
    screen.start_runs(total=len(keys), done=0)
    calls = ((key, (parcel, key, plan.tokens, workers.channel)) for key in keys)
    studies: dict[RunKey, LagStudy] = {}
    for key, outcome in completed(workers, worker.study_run, calls):
        if isinstance(outcome, WorkerDiedError):
            raise WorkerDiedError(f"{key.title}: {outcome}")
        identity = lag_identity(plan.setup, plan.task, tokens=plan.tokens, **key._asdict())
        studies[key] = dataclasses.replace(outcome, identity=identity)
        screen.finish_run(key, f"loss {loss_text(outcome.evaluation.loss, '')}")
    return [studies[key] for key in keys]


def _advice(plan: Plan, parcel: Parcel, studies: Sequence[LagStudy], screen: Screen) -> Advice:
    from tf_rnn.analysis.advice import advise, smallest_width, widths_to_price  # noqa: PLC0415

    analyses = [study.last for study in studies]
    at_least = smallest_width(plan.setup)
    costs = measured_costs(parcel, widths_to_price(analyses, plan.tolerance, at_least), screen)
    return advise(analyses, costs, plan.tolerance, at_least)


def _verifying_sweep(
    plan: Plan, advice: Advice, folder: Path | None, screen: Screen, workers: Workers
) -> Sweep:
    from tf_rnn.analysis.advice import smallest_width  # noqa: PLC0415

    screen.say(advice.reason)
    comparison = plan.comparison(widths_to_verify(advice.num_steps, smallest_width(plan.setup)))
    task = comparison.make_task(plan.task)
    results = Results(folder and folder / VERIFY, comparison.identity(task))
    return run_comparison(comparison, task, Parcel.of(plan.setup, task), results, screen, workers)
