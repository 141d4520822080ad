"""The options that make a process a member of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tf_rnn.checks import OptionError
from tf_rnn.cli.options import whole_or_zero
from tf_rnn.cluster import JOBS, Member, read_cluster
from tf_rnn.cluster.lifeline import follow_launcher
from tf_rnn.config import EXCHANGES

if TYPE_CHECKING:
    import argparse

DEFAULT_EXCHANGE = EXCHANGES[0]


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of training on several machines."""
    group = parser.add_argument_group(
        "on several machines (on each the same command, but for --job and --index; "
        "`launch` does it on this machine alone)"
    )
    group.add_argument(
        "--cluster", type=Path, metavar="FILE", help='{"ps": ["host:port"], "worker": ["host:port", ...]}'
    )
    group.add_argument(
        "--job", choices=JOBS, help="what this process is; worker 0 is the chief, which keeps the run"
    )
    group.add_argument("--index", type=whole_or_zero, metavar="I", help="which of its job, from 0")
    group.add_argument(
        "--exchange",
        choices=EXCHANGES,
        help="sync: the mean gradient of all workers, as one process has it, default; async: each its own",
    )


def member_of(arguments: argparse.Namespace) -> Member | None:
    """Which member of a cluster this process is to be; None for none.

    Raises:
        OptionError: If the options do not say so, or the cluster is none.
    """
    given = {name: getattr(arguments, name) for name in ("cluster", "job", "index")}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        if arguments.exchange:
            raise OptionError("exchange", f"must be left out without --cluster, got {arguments.exchange!r}")
        return None
    if missing:
        raise OptionError(missing[0], "must be given, too, as --cluster, --job and --index go together")
    require_begun_anew(arguments)
    follow_launcher()
    return Member(read_cluster(arguments.cluster), arguments.job, arguments.index)


def require_begun_anew(arguments: argparse.Namespace) -> None:
    """Raises OptionError if a cluster is to get its options from a folder, which only the chief may see."""
    if arguments.resume:
        raise OptionError(
            "resume",
            "must be left out with a cluster; the command that began the run, with --out, goes on with it",
        )
