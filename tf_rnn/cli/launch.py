"""`launch`: trains one network with several processes of this machine."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from tf_rnn.cli import train
from tf_rnn.cli.parser import Parser
from tf_rnn.options import OptionError
from tf_rnn.options.declared import CLUSTER_OPTIONS, LAUNCH_OPTIONS
from tf_rnn.parallel import ClusterTask
from tf_rnn.parallel.launcher import Launcher, free_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "launch"
HELP = "train with several processes of this machine, each on its share of the rows"
MODULE = "tf_rnn"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    parser.usage = "%(prog)s [options] -- train ..."
    parser.add_declared("how many", LAUNCH_OPTIONS.values())
    parser.positional["words"] = "the command after --"
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="-- train ...", help="the train command of all workers"
    )


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
        SystemExit: With the exit status of the workers, if it is not 0.
    """
    count, restarts = (given.get(name, LAUNCH_OPTIONS[name].default) for name in ("workers", "restarts"))
    command = given["words"][given["words"][:1] == ["--"] :]
    if command[:1] != [train.NAME]:
        raise OptionError("words", f"must be {train.NAME} and its options, got {' '.join(command)!r}")
    options = train_options(command[1:])
    folder = checked_folder(options, count)
    if "resume" not in options:  # workers that are started again find the run by its name
        command += ["--out", str(folder)] if "out" not in options else []
    if "threads" not in options:
        command += ["--threads", str(max(1, (os.cpu_count() or 1) // count))]
    with Launcher(count, [sys.executable, "-m", MODULE, *command], restarts) as launcher:
        status = launcher()
    if status:
        raise SystemExit(status)


def train_options(words: list[str]) -> dict[str, Any]:
    """The options of a `train` command.

    Raises:
        OptionError: If a value is not allowed.
    """
    parser = Parser(prog=f"{MODULE} {NAME}")
    train.add_options(parser)
    options = vars(parser.parse_args(words))
    for name in CLUSTER_OPTIONS:
        if name in options:
            raise OptionError(name, f"must be left out with {NAME}, got {options[name]!r}")
    for name in ("dry_run", *(["resume"] if str(options.get("resume")) == train.AUTO else [])):
        if name in options:
            raise OptionError(name, f"must be left out with {NAME}")
    return train.settled(options)


def checked_folder(options: dict[str, Any], count: int) -> Path | None:
    """The folder of a run, which several workers can train.

    Args:
        options: The options of `train`, by name.
        count: Number of workers.

    Raises:
        OptionError: If a value is not allowed.
    """
    prepared = train.prepare(options)
    if not prepared.task.is_current():
        raise OptionError("data", f"must be a file, which every worker can read, got {options['data']!r}")
    ClusterTask(tuple(free_addresses(count))).check(prepared.batch_size, prepared.style)
    return prepared.folder
