"""`compare`: train every width at an equal budget, measure its costs, name the one to use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tf_rnn.cli.options import (
    add_setup_options,
    add_worker_options,
    path,
    positive,
    setup_options,
    whole,
)
from tf_rnn.comparison import Comparison, Results, open_workers, require_no_failures, sweep
from tf_rnn.comparison.report import answer, slope_line, write_report
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.tables import as_rich, cost_table, learning_table
from tf_rnn.files import folder_name
from tf_rnn.lock import made_and_held
from tf_rnn.options import BUDGETS, STATES
from tf_rnn.tasks import TASKS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "compare"
HELP = "what does each width learn, what does it cost, and which one to use"
PLAIN_WIDTH = 120
AMOUNTS = {"updates": 2000, "seconds": 5, "epochs": 5}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    group = parser.add_argument_group("what is compared")
    group.add_argument(
        "--num-steps",
        type=whole,
        nargs="+",
        metavar="N",
        help="widths; default for echo 1 2 3 5 10 20 40",
    )
    group.add_argument(
        "--state",
        choices=STATES,
        nargs="+",
        default=STATES,
        help="feed the final state to the next block, or zero; default both",
    )
    group.add_argument("--seeds", type=whole, default=3, metavar="N", help="default 3")
    group.add_argument(
        "--budget", choices=BUDGETS, default="tokens", help="in what runs are equal; default tokens"
    )
    group.add_argument(
        "--amount",
        type=positive,
        metavar="N",
        help="how many of these for each run; default: the task's number of tokens, "
        + ", ".join(f"{amount} {kind}" for kind, amount in AMOUNTS.items()),
    )
    add_setup_options(parser)
    group = parser.add_argument_group("how it runs")
    add_worker_options(group)
    group.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="folder for the results; default results/compare-..., named after the options; "
        "runs that are there already are not computed again",
    )


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
        WorkerDiedError: If runs failed; everything is written nonetheless.
    """
    comparison = _comparison(arguments)
    task = comparison.make_task()
    comparison.check_data(task)
    identity = comparison.identity(task)
    folder = arguments.out or Path("results") / folder_name(NAME, identity)
    screen = Screen(Console(stderr=True))
    with (
        open_workers(arguments.scheduler, arguments.workers, screen) as workers,
        made_and_held("out", folder),
        screen,
    ):
        results = Results(folder, identity)
        summaries, verdict = sweep(comparison, results, task, screen, workers)
        files = write_report(comparison, results, summaries, verdict, task, words)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    console.print(as_rich(learning_table(summaries, task)))
    console.print(as_rich(cost_table(summaries)))
    console.print(slope_line(summaries), highlight=False)
    console.print(answer(summaries, verdict), highlight=False)
    console.print(f"written: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)
    require_no_failures(results, comparison.keys)


def _comparison(arguments: argparse.Namespace) -> Comparison:
    defaults = TASKS[arguments.task].defaults
    amounts: dict[str, Any] = AMOUNTS | {"tokens": defaults.tokens}
    return Comparison(
        **setup_options(arguments),
        num_steps=tuple(arguments.num_steps or defaults.num_steps),
        state=tuple(arguments.state),
        seeds=arguments.seeds,
        budget=arguments.budget,
        amount=arguments.amount or amounts[arguments.budget],
    )
