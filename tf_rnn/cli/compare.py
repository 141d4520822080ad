"""`compare`: train every width at an equal budget, measure its costs, name the one to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.cli.options import (
    add_setup_options,
    add_worker_options,
    path,
    positive,
    setup_options,
    whole,
)
from tf_rnn.comparison import Comparison, compare
from tf_rnn.comparison.sweep import FILES
from tf_rnn.files import folder_name
from tf_rnn.options import BUDGETS, STATES, Setup
from tf_rnn.reporting.terminal import print_line, print_table, print_written
from tf_rnn.tasks import TASKS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "compare"
HELP = "what does each width learn, what does it cost, and which one to use"
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
    folder = arguments.out or Path("results") / folder_name(NAME, comparison.identity(task))
    sweep = compare(
        comparison,
        task,
        out=folder,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        command=words,
    )
    print_table(sweep.table())
    print_table(sweep.cost_table())
    print_line(sweep.cost_sentence)
    print_line(sweep.sentence)
    print_written(folder / name for name in FILES)
    sweep.require_no_failures()


def _comparison(arguments: argparse.Namespace) -> Comparison:
    defaults = TASKS[arguments.task].defaults
    amounts: dict[str, Any] = AMOUNTS | {"tokens": defaults.tokens}
    return Comparison(
        setup=Setup(**setup_options(arguments)),
        num_steps=tuple(arguments.num_steps or defaults.num_steps),
        state=tuple(arguments.state),
        seeds=arguments.seeds,
        budget=arguments.budget,
        amount=arguments.amount or amounts[arguments.budget],
    )
