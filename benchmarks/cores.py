"""`python -m benchmarks.cores`: how busy `compare` keeps the cores. Linux, which tells of other processes."""

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
from tf_rnn.comparison.tables import Table, as_rich

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "cores"
ROOT = Path(__file__).resolve().parent.parent
LOOK_SECONDS = 0.02
# Of the numbers of /proc/PID/stat behind the name: user and system time, its own and that of its children.
PLACES = slice(11, 15)


class Used(NamedTuple):
    """What a part of a command took.

    Attributes:
        seconds: On the wall's clock.
        processor_seconds: Of the command and all its processes.
    """

    seconds: float
    processor_seconds: float

    def share(self, cores: int) -> float:
        """The part of the cores' time that was used."""
        return self.processor_seconds / (cores * self.seconds)


def processor_seconds(stat: str) -> float:
    """Processor time from the text of /proc/PID/stat: of the process, and of children that have ended."""
    numbers = stat.rpartition(")")[2].split()
    return sum(map(int, numbers[PLACES])) / os.sysconf("SC_CLK_TCK")


def measure(words: Sequence[str]) -> dict[str, Used]:
    """Runs `compare` in a new folder, and returns what its two parts took, and all of it.

    Costs are measured first, one width at a time, nothing else running; the first file of results
    is written when they are there.

    Args:
        words: Of the command line.

    Raises:
        PeerError: If the command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tf_rnn", "compare", *words, "--out", folder]
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            stat = Path(f"/proc/{process.pid}/stat")
            while not (_has_ended(process.pid, os.WNOHANG) or (Path(folder) / FILE).exists()):
                time.sleep(LOOK_SECONDS)
            costs = Used(time.perf_counter() - started, processor_seconds(stat.read_text()))
            os.waitid(
                os.P_PID, process.pid, os.WEXITED | os.WNOWAIT
            )  # its numbers stay until it is waited for
            all_of_it = Used(time.perf_counter() - started, processor_seconds(stat.read_text()))
        if process.returncode:
            raise PeerError(f"compare ended with status {process.returncode}")
    runs = Used(*(whole - part for whole, part in zip(all_of_it, costs, strict=True)))
    return {"start and costs": costs, "runs": runs, "all": all_of_it}


def _has_ended(pid: int, options: int = 0) -> bool:
    """Waits for the end of a process, whose numbers stay; with WNOHANG it does not wait."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | options) is not None


def cores_table(parts: dict[str, Used], cores: int) -> Table:
    """What was measured, the runs beside what should be."""
    rows = [
        [name, f"{used.seconds:.1f}", f"{used.processor_seconds:.1f}", f"{used.share(cores):.0%}"]
        for name, used in parts.items()
    ]
    wanted = {"runs": f"at least {targets.CORES_SHARE:.0%}"}
    header = ["", "seconds", "processor seconds", f"of {cores} cores", ""]
    return Table("What keeps the cores busy", header, [[*row, wanted.get(row[0], "")] for row in rows])


def parser() -> Parser:
    """Returns the command's parser."""
    made = Parser(
        prog=NAME,
        description="Measures which part of the cores' time `compare` uses, while it measures costs and "
        "while it trains.",
        allow_abbrev=False,
    )
    made.add_argument("words", nargs="*", metavar="-- OPTION", help="options of compare, default none")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command line.

    Args:
        words: The arguments; None for those of this process.

    Returns:
        The exit status; see `exit_status`.
    """
    return exit_status(NAME, functools.partial(_run, parser().parse_args(words)))


def _run(arguments: argparse.Namespace) -> None:
    output().print(as_rich(cores_table(measure(arguments.words), available_cores())))


if __name__ == "__main__":
    sys.exit(main())
