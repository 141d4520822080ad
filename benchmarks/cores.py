"""`python -m benchmarks.cores`: measures how busy `compare` keeps the cores. Needs /proc, that is, Linux."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.side_by_side import targets
from benchmarks.side_by_side.command import exit_status, output
from benchmarks.side_by_side.processes import PeerError
from tf_rnn.cli.parser import Parser
from tf_rnn.comparison import available_cores
from tf_rnn.comparison.results import FILE
from tf_rnn.reporting import Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "cores"
ROOT = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.02
# Fields of /proc/PID/stat, counted after the process name: utime, stime, cutime and cstime.
TIME_FIELDS = slice(11, 15)


class Used(NamedTuple):
    """Time used by one part of a command.

    Attributes:
        seconds: Wall-clock time.
        processor_seconds: CPU time of the command and all its child processes.
    """

    seconds: float
    processor_seconds: float

    def share(self, cores: int) -> float:
        """Fraction of the available CPU time that was used."""
        return self.processor_seconds / (cores * self.seconds)


def processor_seconds(stat: str) -> float:
    """CPU time of a process and its ended children, from the text of its /proc/PID/stat."""
    numbers = stat.rpartition(")")[2].split()
    return sum(map(int, numbers[TIME_FIELDS])) / os.sysconf("SC_CLK_TCK")


def measure(words: Sequence[str]) -> dict[str, Used]:
    """Runs `compare` in a temporary folder and measures its two phases and the whole.

    The first phase measures costs, one width at a time with nothing else running. It ends when the
    first results file appears.

    Args:
        words: Command-line options of `compare`.

    Raises:
        PeerError: If the command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tf_rnn", "compare", *words, "--out", folder]
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            stat = Path(f"/proc/{process.pid}/stat")
            while not (_has_ended(process.pid, os.WNOHANG) or (Path(folder) / FILE).exists()):
                time.sleep(POLL_SECONDS)
            costs = Used(time.perf_counter() - started, processor_seconds(stat.read_text()))
            _has_ended(process.pid)
            all_of_it = Used(time.perf_counter() - started, processor_seconds(stat.read_text()))
        if process.returncode:
            raise PeerError(f"compare ended with status {process.returncode}")
    runs = Used(*(whole - part for whole, part in zip(all_of_it, costs, strict=True)))
    return {"start and costs": costs, "runs": runs, "all": all_of_it}


def _has_ended(pid: int, options: int = 0) -> bool:
    """Waits for a process to end without reaping it, so that its stat file stays; WNOHANG only checks."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | options) is not None


def cores_table(parts: dict[str, Used], cores: int) -> Table:
    """Tabulates the measurements, the runs beside their target."""
    rows = [
        [name, f"{used.seconds:.1f}", f"{used.processor_seconds:.1f}", f"{used.share(cores):.0%}"]
        for name, used in parts.items()
    ]
    wanted = {"runs": f"at least {targets.CORES_SHARE:.0%}"}
    header = ["", "seconds", "CPU seconds", f"of {cores} cores", ""]
    return Table("Use of the cores", header, [[*row, wanted.get(row[0], "")] for row in rows])


def parser() -> Parser:
    """Builds the argument parser."""
    made = Parser(
        prog=NAME,
        description="Measures the fraction of CPU time that `compare` uses while it measures costs and "
        "while it trains.",
        allow_abbrev=False,
    )
    made.add_argument("words", nargs="*", metavar="-- OPTION", help="options passed to compare, default none")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        words: Command-line arguments, by default `sys.argv[1:]`.

    Returns:
        The exit status; see `exit_status`.
    """
    return exit_status(NAME, functools.partial(_run, parser().parse_args(words)))


def _run(arguments: argparse.Namespace) -> None:
    output().print(cores_table(measure(arguments.words), available_cores()).rich())


if __name__ == "__main__":
    sys.exit(main())
