"""`launch`: a cluster on this machine."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from tf_rnn.checks import OptionError
from tf_rnn.cli import train
from tf_rnn.cli.options import whole
from tf_rnn.cluster.launcher import Launcher, free_cluster
from tf_rnn.cluster.spec import Member

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "launch"
POSITIONAL = {"words": "the command after --"}
HELP = "train on several processes of this machine: parameter servers and workers"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.usage = "%(prog)s [--workers N] [--ps N] -- train ..."
    parser.add_argument(
        "--workers", type=whole, default=2, metavar="N", help="default 2; the first is the chief"
    )
    parser.add_argument("--ps", type=whole, default=1, metavar="N", help="parameter servers, default 1")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- train ...", help="what all are to do")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
        SystemExit: With the exit status of the chief.
    """
    command = [word for place, word in enumerate(arguments.words) if place or word != "--"]
    if command[:1] != [train.NAME]:
        raise OptionError("words", f"must be {train.NAME} and its options, got {' '.join(command)!r}")
    settled = train.settle_for(Member(free_cluster(arguments.ps, arguments.workers), "worker", 0), command)
    threads = settled.threads or max(1, (os.cpu_count() or 1) // arguments.workers)
    with Launcher(arguments.workers, arguments.ps, [*command, "--threads", str(threads)]) as launcher:
        status = launcher()
    if status:
        raise SystemExit(status)
