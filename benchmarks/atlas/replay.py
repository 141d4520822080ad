"""The race of `recommend`, run on stored sweeps: it decides as it would have, but nothing is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.atlas.tasks import LADDER
from tf_rnn.comparison.recommendation import Recommendation
from tf_rnn.comparison.recommending import Race
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.settings import Comparison
from tf_rnn.comparison.states import States
from tf_rnn.comparison.summary import summarise
from tf_rnn.comparison.verdict import Verdict, decide

if TYPE_CHECKING:
    from benchmarks.atlas.store import Known
    from benchmarks.atlas.tasks import Entry
    from tf_rnn import Experiment
    from tf_rnn.comparison.race import Round
    from tf_rnn.comparison.ranking import Question
    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.tasks import Task

SEEDS, RACE_SEEDS = 3, 2


class Raced(NamedTuple):
    """How a race ended.

    Attributes:
        verdict: The answer.
        rounds: Its stages.
        share: Its training as a fraction of that of all runs with as many seeds.
    """

    verdict: Verdict | None
    rounds: list[Round]
    share: float

    @property
    def named(self) -> int | None:
        """The width that is named; None if there is no answer."""
        return self.verdict.num_steps if self.verdict else None


class Sweep(NamedTuple):
    """A task of the atlas with all that was measured.

    Attributes:
        entry: Its settings.
        experiment: The experiment.
        known: What is known of the task besides its runs.
        results: Runs and costs.
    """

    entry: Entry
    experiment: Experiment
    known: Known
    results: Results

    @property
    def task(self) -> Task:
        """The task."""
        return self.experiment.task

    def comparison(self, seeds: int = SEEDS) -> Comparison:
        """The settings of the sweep, or of a race over it."""
        return settings(self.entry, self.experiment, seeds)

    @property
    def question(self) -> Question:
        """What is asked, with the constant prediction as it was measured."""
        asked = self.comparison().question(self.task)
        return asked._replace(knowing_nothing=self.known.knowing_nothing)

    def summaries(self) -> list[Summary]:
        """The runs of each width."""
        return summarise(self.results, self.comparison().keys, self.task)

    def verdict(self) -> Verdict | None:
        """The answer of `compare`."""
        return decide(self.summaries(), self.question)

    def race(self) -> Raced:
        """The answer of `recommend`."""
        race = Replay(self)
        verdict = race.run()
        found = Recommendation(race.comparison, self.task, race.rounds, verdict, None, self.results)
        return Raced(verdict, race.rounds, found.share)


class Replay(Race):
    """A race within the ladder of the atlas, over runs that were trained to their ends.

    Args:
        sweep: The task and its runs.
    """

    def __init__(self, sweep: Sweep) -> None:
        nobody: Any = None  # nothing is trained, so nobody has to
        comparison = sweep.comparison(RACE_SEEDS)
        super().__init__(comparison, sweep.task, nobody, sweep.results, States(None), Screen.silent(), nobody)
        self.question = sweep.question

    def wider(self) -> None:
        """None: wider graphs were not trained."""
        return


def settings(entry: Entry, experiment: Experiment, seeds: int = SEEDS) -> Comparison:
    """The settings of a sweep."""
    return Comparison(
        setup=experiment.setup, num_steps=LADDER, state=("carry",), seeds=seeds, amount=entry.tokens
    )
