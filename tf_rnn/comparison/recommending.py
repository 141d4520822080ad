"""Recommendations: a race over widths by the rule of `compare`, for a fraction of its price."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

from tf_rnn.comparison import worker
from tf_rnn.comparison.comparing import begun, look, measured_costs, run_comparison, work_of
from tf_rnn.comparison.executors import WorkerDiedError, completed
from tf_rnn.comparison.hparams import require_board
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.comparison.plan import plan_of
from tf_rnn.comparison.race import STAGES, Round, judge
from tf_rnn.comparison.ranking import Rival
from tf_rnn.comparison.recommendation import FILES, Recommendation
from tf_rnn.comparison.results import Results
from tf_rnn.comparison.scheduler import LOCAL, open_workers
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.states import States
from tf_rnn.comparison.summary import summarise
from tf_rnn.comparison.verdict import decide
from tf_rnn.files import SUMMARIES, as_path, those_there
from tf_rnn.lock import made_and_held
from tf_rnn.options import LARGEST_WIDTH, OptionError
from tf_rnn.text import loss_text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from tf_rnn.comparison.executors import Workers
    from tf_rnn.comparison.ranking import Question
    from tf_rnn.comparison.settings import Comparison, RunKey
    from tf_rnn.comparison.verdict import Verdict
    from tf_rnn.tasks import Task

# A known reach of the task becomes a width unless there is one up to this factor wider already.
NEAR = 1.3
# Of widths that were dropped after this part of the training, it is known whether they would overtake later.
RIVALS_FROM = 0.5


def recommend(
    comparison: Comparison,
    task: Task | None = None,
    *,
    verify: bool = False,
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str = LOCAL,
    screen: Screen | None = None,
    tensorboard: bool = False,
    command: Sequence[str] = (),
) -> Recommendation:
    """Finds the width that a comparison would name, for a fraction of its price.

    All widths start with a small part of the budget; those that fall behind drop out, and the rest are
    trained further; see `tf_rnn.comparison.race`. While the widest is among the best, wider ones join.

    Args:
        comparison: The widths to begin with, one state, seeds and budget.
        task: Any task, of the package or the user's own; None for the one that the setup names.
        verify: Whether to finish all runs afterwards, as `compare` does, and see whether the answer holds.
        out: A folder for results and report; None to write nothing. Interrupted races resume; `compare`
            into the same folder uses their runs.
        workers: Parallel processes on this machine; None for one per core.
        scheduler: "local", or the address of a Dask scheduler, `tcp://HOST:PORT`.
        screen: Shows progress; None for lines on standard error.
        tensorboard: Whether to write event files for TensorBoard; see `tf_rnn.comparison.hparams`.
        command: The command line to show in the report, without `python -m tf_rnn`.

    Raises:
        OptionError: If an option is not allowed or the data are too short; before anything is written.
        WorkerDiedError: If costs cannot be measured, or a run's worker died every time.
    """
    task = comparison.make_task(task)
    asked, comparison = comparison.num_steps, with_reach(comparison, task)
    comparison.check(task)
    identity = comparison.identity(task)
    parcel = Parcel.of(comparison.setup, task)
    folder = None if out is None else as_path("out", out)
    if tensorboard:
        require_board(folder)
    screen = Screen() if screen is None else screen
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_workers(scheduler, workers, screen))
        absolute = None if folder is None else stack.enter_context(made_and_held("out", folder))
        stack.enter_context(screen)
        results = Results(absolute, identity)
        states = stack.enter_context(States(absolute))
        screen.say_start(comparison.setup, task)
        race = Race(comparison, task, parcel, results, states, screen, opened)
        verdict = race.run()
        sweep = None
        if verify:
            screen.say("verifying: every length is trained for the whole budget")
            sweep = run_comparison(race.comparison, task, parcel, results, states, screen, opened)
        found = Recommendation(race.comparison, task, race.rounds, verdict, sweep, results, asked=asked)
        look(verdict, found.summaries, task, parcel, results, states, opened)
        if folder is None or absolute is None:
            return found
        found.write_files(absolute, command, tensorboard=tensorboard)
        states.clear()
    names = (*FILES, SUMMARIES) if tensorboard else FILES
    return dataclasses.replace(found, files=those_there(absolute, names, folder))


def with_reach(comparison: Comparison, task: Task) -> Comparison:
    """Adds the narrowest width in which an error reaches all that the task depends on, if that is known."""
    widths = comparison.widths
    reach = None if task.max_lag is None else task.max_lag + 1
    if reach is None or reach >= widths[-1] or any(reach <= width <= NEAR * reach for width in widths):
        return comparison
    return dataclasses.replace(comparison, num_steps=tuple(sorted({*widths, reach})))


class Race:
    """A race that is being run.

    Args:
        comparison: The settings.
        task: What is learnt.
        parcel: Setup and task for the workers.
        results: Runs and costs; what they hold already is not repeated.
        states: The states of unfinished runs.
        screen: Shows the stages.
        workers: Where runs are trained.

    Attributes:
        comparison: The settings, with the widths that joined.
        rounds: The stages so far.
    """

    def __init__(
        self,
        comparison: Comparison,
        task: Task,
        parcel: Parcel,
        results: Results,
        states: States,
        screen: Screen,
        workers: Workers,
    ) -> None:
        self.comparison, self._task = comparison, task
        self.rounds: list[Round] = []
        self._parcel, self._results, self._states = parcel, results, states
        self._screen, self._workers = screen, workers

    @functools.cached_property
    def question(self) -> Question:
        """What is asked; it reads held-out data, so sizes are checked by the measurement of costs before."""
        return self.comparison.question(self._task)

    def run(self) -> Verdict | None:
        """Runs all stages and returns the answer; None if every run diverged."""
        widths, verdict = self.comparison.widths, None
        self._measure(widths)
        self._say_plan()
        for number, fraction in enumerate(STAGES):
            seeds = 1 if number == 0 else self.comparison.seeds
            found = self._stage(widths, seeds, fraction)
            while self._widest_leads(found) and (wider := self.wider()):
                widths = [*widths, wider]
                self._measure([wider])
                found = self._stage(widths, seeds, fraction)
            self.rounds.append(found)
            self._say(found)
            widths, verdict = found.kept, self._verdict(found)
            if found.is_over and (verdict is None or verdict.num_steps is not None):
                break
        return verdict

    def _verdict(self, found: Round) -> Verdict | None:
        """The answer after a stage; None if every run diverged."""
        question = self.question._replace(widths=tuple(self.comparison.widths))
        if found.fraction < 1:
            question = question._replace(
                budget=f"{question.budget} (judged after {found.fraction:.0%} of them)"
            )
        dropped = [each for stage in self.rounds for each in stage.standings if each.fate]
        rivals = [Rival(each.summary, each.later) for each in dropped if each.summary.fraction >= RIVALS_FROM]
        question = question._replace(rivals=tuple(rivals))
        kept = [each.summary for each in found.standings if not each.fate or found.fraction == 1]
        return decide(kept or [each.summary for each in found.standings], question)

    def _stage(self, widths: Sequence[int], seeds: int, fraction: float) -> Round:
        keys = [key for key in self.comparison.keys if key.num_steps in widths and key.seed < seeds]
        self._train(keys, fraction)
        summaries = summarise(self._results, keys, self._task, fraction)
        is_last = fraction == STAGES[-1]
        return judge(summaries, self.question, is_last=is_last)

    def _train(self, keys: Sequence[RunKey], fraction: float) -> None:
        """Trains runs up to a fraction of their budget, as far as they are not that far already."""
        missing = [key for key in keys if self._results.after(key, fraction) is None]
        if not missing:
            return
        work = work_of(self.comparison, missing, self._results)
        self._screen.start_runs(len(keys), len(keys) - len(missing), work)
        amount = {self.comparison.budget: self.comparison.amount}
        calls = (
            (key, (self._parcel, key, amount, self._workers.channel, fraction, self._states.get(key)))
            for key in begun(missing, self._screen)
        )
        for key, part in completed(self._workers, worker.train_part, calls):
            if isinstance(part, WorkerDiedError):
                raise WorkerDiedError(f"{key.title}: {part}")
            record = part.record
            if part.state is not None:
                self._states.put(key, part.state)
            if record["loss"] is None or fraction == 1:
                self._results.add_run(record)
            else:
                self._results.add_part(record | {"fraction": fraction})
            outcome = record["error"] or f"loss {loss_text(record['loss'], '')}"
            self._screen.finish_run(key, f"{outcome} after {fraction:.1%} of the budget")
            self._results.save(verdict=None)

    def _widest_leads(self, found: Round) -> bool:
        """Whether the widest of all is expected to be among the best, so that a wider one may be better.

        At the end of the training none joins, unless there is nothing yet to compare the only one with.
        """
        may_join = found.fraction < 1 or len(self.comparison.widths) == 1
        return may_join and self.comparison.widths[-1] in found.among_best

    def _measure(self, widths: Sequence[int]) -> None:
        missing = [width for width in widths if width not in self._results.costs]
        if missing:
            self._results.add_costs(measured_costs(self._parcel, missing, self._screen))

    def wider(self) -> int | None:
        """Twice the widest, added to the comparison; None if the data or the limit do not allow it."""
        width = 2 * self.comparison.widths[-1]
        if width > LARGEST_WIDTH:
            return None
        wider = dataclasses.replace(self.comparison, num_steps=(*self.comparison.num_steps, width))
        try:
            wider.check(self._task)
        except OptionError:
            return None
        self.comparison = wider
        self._screen.say(f"the widest is among the best: width {width} joins")
        return width

    def _say(self, found: Round) -> None:
        self._screen.say(f"after {found.fraction:.1%} of {self.question.budget}:")
        for line in found.lines:
            self._screen.say(f"  {line}")

    def _say_plan(self) -> None:
        """Prints how long the race takes at most, unless it is resumed."""
        if not self._results.runs and not self._results.parts:
            plan = plan_of(self.comparison, self._task, self._results, self._workers, is_race=True)
            self._screen.say(plan.sentence)
