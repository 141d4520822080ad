"""`launch`: trains one network with several processes of this machine."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tf_rnn.cli import train
from tf_rnn.cli.options import Parser, whole, whole_or_zero
from tf_rnn.options import OptionError
from tf_rnn.parallel.launcher import Launcher

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "launch"
POSITIONAL = {"words": "the command after --"}
HELP = "train on several processes of this machine, each with its share of the rows"
MODULE = "tf_rnn"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.usage = "%(prog)s [--workers N] [--restarts N] -- train ..."
    parser.add_argument("--workers", type=whole, default=2, metavar="N", help="processes, default 2")
    parser.add_argument(
        "--restarts",
        type=whole_or_zero,
        default=3,
        metavar="N",
        help="restarts from the last checkpoint after a worker was killed, default 3",
    )
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="-- train ...", help="the train command for all workers"
    )


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        arguments: The parsed command line.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
        SystemExit: With the exit status of the workers.
    """
    command = arguments.words[arguments.words[:1] == ["--"] :]
    if command[:1] != [train.NAME]:
        raise OptionError("words", f"must be {train.NAME} and its options, got {' '.join(command)!r}")
    parser = Parser(prog=f"{MODULE} {NAME}", allow_abbrev=False)
    train.add_options(parser)
    threads = parser.parse_args(command[1:]).threads
    if threads is None:
        command += ["--threads", str(max(1, (os.cpu_count() or 1) // arguments.workers))]
    with Launcher(
        arguments.workers, [sys.executable, "-m", MODULE, *command], arguments.restarts
    ) as launcher:
        status = launcher()
    if status:
        raise SystemExit(status)
