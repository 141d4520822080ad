"""`python -m benchmarks.cluster`: tokens per second of one process and of two workers on the same rows.

Nothing else should run, since all cores are used.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.side_by_side.command import exit_status, output
from benchmarks.side_by_side.processes import PeerError
from tf_rnn.cli.parser import Parser, typed
from tf_rnn.options.rules import Number, Whole
from tf_rnn.reporting import Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "cluster"
ROOT = Path(__file__).resolve().parent.parent
STATE_SIZES = (128, 512)
SECONDS = 10.0
# An LSTM on the documentation that ships with Python.
MODEL = "--task text --cell lstm --num-layers 1 --optimizer sgd --batch-size 64 --num-steps 32"
WAYS: dict[str, tuple[str, str]] = {
    "1 process, 1 thread": ("train", "--threads 1"),
    "1 process, 2 threads": ("train", "--threads 2"),
    "2 workers, 1 thread each": ("launch --workers 2 -- train", "--threads 1"),
}


def tokens_per_second(way: str, state_size: int, seconds: float) -> float:
    """Trains in one of `WAYS`, in a temporary folder; evaluations do not count.

    Args:
        way: A key of `WAYS`.
        state_size: Units of the LSTM.
        seconds: Training time.

    Raises:
        PeerError: If the command fails.
    """
    before, after = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        words = f"{before} {MODEL} {after} --state-size {state_size} --seconds {seconds} --evaluations 1"
        command = [sys.executable, "-m", "tf_rnn", *words.split(), "--out", f"{folder}/run"]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.splitlines() or ["nothing"])[-1]
            raise PeerError(f"train ended with status {done.returncode}: {last}")
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last_line = json.loads(lines[-1])
    return float(last_line["tokens"] / last_line["seconds"])


def cluster_table(measured: dict[int, dict[str, float]]) -> Table:
    """Tabulates tokens per second, and in brackets the ratio to the first way.

    Args:
        measured: By number of units, by way.
    """
    rows = []
    for state_size, paces in measured.items():
        first = next(iter(paces.values()))
        rows.append([str(state_size), *(f"{pace:,.0f} ({pace / first:.2f})" for pace in paces.values())])
    return Table("Tokens per second", ["units", *WAYS], rows)


def parser() -> Parser:
    """Builds the argument parser."""
    made = Parser(
        prog=NAME,
        description="Measures the tokens per second of one process and of two workers on the same rows.",
        argument_default=None,
    )
    made.add_argument(
        "--state-sizes", type=typed(Whole()), nargs="+", default=STATE_SIZES, metavar="N", help="units"
    )
    made.add_argument(
        "--seconds", type=typed(Number(above=0)), default=SECONDS, metavar="X", help="of training, each"
    )
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
    measured = {
        size: {way: tokens_per_second(way, size, arguments.seconds) for way in WAYS}
        for size in arguments.state_sizes
    }
    output().print(cluster_table(measured).rich())


if __name__ == "__main__":
    sys.exit(main())
