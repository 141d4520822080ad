"""`python -m benchmarks.compare_libraries`: times a training step in tf_rnn and in other libraries."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.side_by_side.command import exit_status, output, say
from benchmarks.side_by_side.configurations import CONFIGURATIONS
from benchmarks.side_by_side.machine import this_machine
from benchmarks.side_by_side.peers import FAMILIES, LOWER_PEERS, PEERS
from benchmarks.side_by_side.race import race
from benchmarks.side_by_side.report import write_results
from benchmarks.side_by_side.tables import configuration_table, notes, summary_table
from tf_rnn.cli.parser import Parser, typed
from tf_rnn.files import make_folder
from tf_rnn.options.rules import Number, Whole
from tf_rnn.options.words import FLOAT32, PRECISIONS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from benchmarks.side_by_side.results import Measurement

NAME = "compare_libraries"
DEFAULT = ("A", "B", "C", "D", "E")
FOLDER = Path("results/speed")


def parser() -> Parser:
    """Builds the argument parser."""
    lines = [f"{name}: {configuration.line}" for name, configuration in CONFIGURATIONS.items()]
    made = Parser(
        argument_default=None,
        prog=NAME,
        description="Trains the same models in tf_rnn and in other libraries, alternating between them, and "
        "reports times.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--config",
        nargs="+",
        choices=CONFIGURATIONS,
        default=list(DEFAULT),
        metavar="NAME",
        help=f"{'; '.join(lines)}; default {' '.join(DEFAULT)}",
    )
    made.add_argument(
        "--only",
        nargs="+",
        choices=FAMILIES,
        default=list(FAMILIES),
        metavar="LIBRARY",
        help=f"libraries to measure, out of {', '.join(FAMILIES)}; default all",
    )
    made.add_argument(
        "--precision",
        nargs="+",
        choices=PRECISIONS,
        default=[FLOAT32],
        metavar="WORD",
        help=f"precision of matrix products, {' or '.join(PRECISIONS)} or both; the latter is what each "
        f"library has for products of bfloat16 operands; default {FLOAT32}",
    )
    made.add_argument(
        "--rounds", type=typed(Whole()), default=7, metavar="N", help="turns per library, default 7"
    )
    made.add_argument(
        "--steps",
        type=typed(Whole()),
        metavar="N",
        help="training steps per turn, default chosen by the configuration",
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
    peers = [peer for peer in (*PEERS, *LOWER_PEERS) if peer.family in arguments.only]
    peers = [peer for peer in peers if peer.precision in arguments.precision]
    screen, machine = output(), this_machine()
    measurements: list[Measurement] = []
    files: list[Path] = []
    for name in dict.fromkeys(arguments.config):
        configuration = CONFIGURATIONS[name]
        steps = arguments.steps or configuration.steps
        say(f"{name}  {configuration.line}")
        measured = race(configuration, peers, arguments.rounds, steps, arguments.limit, say)
        measurements.append(measured)
        screen.print(configuration_table(measured).rich())
        for line in notes(measured):
            say(line, screen)
        files = write_results(arguments.out, measurements, machine, words, arguments.rounds)
    screen.print(summary_table(measurements).rich())
    for path in files:
        say(f"written {path}")


if __name__ == "__main__":
    sys.exit(main())
