"""Dry runs: everything that a comparison checks and measures first, and nothing that it trains or writes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tf_rnn.comparison.comparing import measured_costs
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.comparison.plan import Plan, plan_of
from tf_rnn.comparison.recommending import with_reach
from tf_rnn.comparison.results import Results
from tf_rnn.comparison.scheduler import LOCAL, open_workers
from tf_rnn.comparison.screen import Screen
from tf_rnn.files import as_path
from tf_rnn.lock import made_and_held

if TYPE_CHECKING:
    import os

    from tf_rnn.comparison.settings import Comparison
    from tf_rnn.tasks import Task


def plan_comparison(
    comparison: Comparison,
    task: Task | None = None,
    *,
    is_race: bool = False,
    verify: bool = False,
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    scheduler: str = LOCAL,
    screen: Screen | None = None,
) -> Plan:
    """Makes the plan of `compare`, or of the race of `recommend`; only costs that are not known are measured.

    Args:
        comparison: The settings.
        task: See `compare`.
        is_race: Whether it is the plan of `recommend`.
        verify: See `recommend`.
        out: The folder of the results; runs that it holds are not planned again, and it stays as it is.
        workers: See `compare`.
        scheduler: See `compare`.
        screen: Shows progress; None for lines on standard error.

    Raises:
        OptionError: Whenever `compare` or `recommend` would raise one before the first run.
        WorkerDiedError: If costs cannot be measured.
    """
    task = comparison.make_task(task)
    comparison = with_reach(comparison, task) if is_race else comparison
    comparison.check(task)
    identity = comparison.identity(task)
    parcel = Parcel.of(comparison.setup, task)
    folder = None if out is None else as_path("out", out)
    screen = Screen() if screen is None else screen
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_workers(scheduler, workers, screen))
        screen.say_start(comparison.setup, task)
        results = Results(None, identity)
        if folder is not None:
            with made_and_held("out", folder) as absolute:  # a new folder is removed again
                results = Results(absolute, identity, claims=False)
        missing = [width for width in comparison.widths if width not in results.costs]
        if missing:
            results.add_costs(measured_costs(parcel, missing, screen))
        return plan_of(comparison, task, results, opened, is_race=is_race, verify=verify)
