"""`python -m benchmarks.growth`: measures how costs grow with graph width, against a naive unroll."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.side_by_side.command import exit_status, output, say
from benchmarks.side_by_side.growth_report import growth_table, verdicts, write_growth
from benchmarks.side_by_side.machine import this_machine
from benchmarks.side_by_side.widths import NAIVE_UP_TO, SERIES, Growth, measure_width
from tf_rnn.cli.parser import Parser, typed
from tf_rnn.files import make_folder
from tf_rnn.options.rules import Number, Whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "growth"
WIDTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
DEFAULT = ("tf_rnn", "naive")
FOLDER = Path("results/speed-growth")


def parser() -> Parser:
    """Builds the argument parser."""
    made = Parser(
        prog=NAME,
        description="Measures build time, first run, training step and memory of graphs of increasing width.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--num-steps",
        nargs="+",
        type=typed(Whole()),
        default=list(WIDTHS),
        metavar="N",
        help=f"widths, default {' '.join(map(str, WIDTHS))}; the naive unroll up to {NAIVE_UP_TO}",
    )
    made.add_argument(
        "--only",
        nargs="+",
        choices=SERIES,
        default=list(DEFAULT),
        metavar="VARIANT",
        help=f"variants to measure, out of {', '.join(SERIES)}; default {' '.join(DEFAULT)}",
    )
    made.add_argument(
        "--repeats", type=typed(Whole()), default=3, metavar="N", help="processes per measurement, default 3"
    )
    made.add_argument(
        "--rounds", type=typed(Whole()), default=5, metavar="N", help="turns per process, default 5"
    )
    made.add_argument(
        "--limit",
        type=typed(Number(above=0)),
        default=180.0,
        metavar="SECONDS",
        help="time limit for starting a process and for each of its turns, default 180",
    )
    made.add_argument(
        "--out", type=Path, default=FOLDER, metavar="DIR", help=f"output folder, default {FOLDER}"
    )
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        words: Command-line arguments, by default `sys.argv[1:]`.

    Returns:
        The exit status; see `exit_status`.
    """
    words = sys.argv[1:] if words is None else list(words)
    return exit_status(NAME, functools.partial(_run, parser().parse_args(words), words))


def _run(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    make_folder("out", arguments.out)
    screen, machine = output(), this_machine()
    growth = Growth()
    files: list[Path] = []
    for width in sorted(set(arguments.num_steps)):
        say(f"n = {width}")
        growth.add(
            measure_width(width, arguments.only, arguments.repeats, arguments.rounds, arguments.limit, say)
        )
        files = write_growth(arguments.out, growth, machine, words)
    screen.print(growth_table(growth).rich())
    for line in verdicts(growth):
        say(line, screen)
    for path in files:
        say(f"written {path}")


if __name__ == "__main__":
    sys.exit(main())
