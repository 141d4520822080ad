"""`recommend`: trains briefly, measures, names a width and says why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tf_rnn.cli.options import (
    add_setup_options,
    add_worker_options,
    measurement,
    path,
    positive,
    share,
    whole,
)
from tf_rnn.comparison import recommend
from tf_rnn.comparison.recommendation import FILES
from tf_rnn.files import folder_name
from tf_rnn.reporting.terminal import print_line, print_written
from tf_rnn.tasks import setup_identity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "recommend"
HELP = "which width to use, from the gradients of networks that are trained briefly"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    group = parser.add_argument_group("what is recommended")
    group.add_argument(
        "--num-steps",
        type=whole,
        metavar="N",
        help="the widest graph to think of, at which networks are trained; default for echo 40",
    )
    group.add_argument(
        "--tolerance",
        type=share,
        default=0.1,
        metavar="P",
        help="the part of the gradient that may be missing, default 0.1",
    )
    group.add_argument("--seeds", type=whole, default=3, metavar="N", help="networks to train, default 3")
    group.add_argument(
        "--tokens", type=positive, metavar="N", help="for each; default a fifth of what compare trains"
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="train at the width, its half and its double as compare does, and say whether it held",
    )
    add_setup_options(parser)
    group = parser.add_argument_group("how it runs")
    add_worker_options(group)
    group.add_argument(
        "--out", type=path, metavar="DIR", help="default results/recommend-..., named after the options"
    )


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
        WorkerDiedError: If runs failed; what was found without them is written nonetheless.
    """
    setup, task, num_steps, tokens = measurement(arguments)
    identity = setup_identity(setup, task) | {
        "num_steps": num_steps,
        "tokens": tokens,
        "seeds": arguments.seeds,
        "tolerance": arguments.tolerance,
    }
    folder = arguments.out or Path("results") / folder_name(NAME, identity)
    found = recommend(
        setup,
        task,
        num_steps,
        tokens=tokens,
        seeds=arguments.seeds,
        tolerance=arguments.tolerance,
        verify=arguments.verify,
        out=folder,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        command=words,
    )
    print_line(found.reason)
    if found.verification:
        print_line(found.verification)
    print_written(folder / name for name in FILES)
    found.require_no_failures()
