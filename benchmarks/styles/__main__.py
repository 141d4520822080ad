"""The command; see `benchmarks.styles`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.side_by_side.command import exit_status, output, say
from tf_rnn.cli.parser import Parser
from tf_rnn.options.declared import (
    COMPARE_OPTIONS,
    LENGTH_OPTIONS,
    NETWORK_OPTIONS,
    OUT,
    TASK_OPTIONS,
    WORKER_OPTIONS,
)
from tf_rnn.options.option import by_name

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "styles"
TEXT = by_name(
    TASK_OPTIONS["data"].but(
        only=None,
        help="a text: a file, a directory with train.txt, valid.txt and test.txt, or ptb, which is "
        "downloaded (default: the documentation that ships with Python)",
    ),
    TASK_OPTIONS["vocabulary_size"].but(
        only=None, default=500, help="vocabulary size; the rest become <unk>"
    ),
)
NETWORK = by_name(
    NETWORK_OPTIONS["stride"].but(only=None),
    NETWORK_OPTIONS["state_size"].but(default=32),
    NETWORK_OPTIONS["num_layers"],
    NETWORK_OPTIONS["batch_size"].but(default=50),
    NETWORK_OPTIONS["dropout"].but(default=0.2),
)
TRAINING = by_name(
    COMPARE_OPTIONS["num_steps"].but(default=(5, 10, 20), help="widths, or ranges of them"),
    COMPARE_OPTIONS["learning_rate"].but(
        default=(0.003, 0.01), help="learning rates; each width and style is judged at its best one"
    ),
    COMPARE_OPTIONS["seeds"],
    LENGTH_OPTIONS["tokens"].but(default=300_000.0, help="words that each run learns from, over all rows"),
)
WHERE = by_name(
    WORKER_OPTIONS["workers"],
    OUT.but(default=Path("results/styles"), help="folder for the results; runs that it holds are kept"),
)
GROUPS = {"the text": TEXT, "the network": NETWORK, "the training": TRAINING, "how it runs": WHERE}


def parser() -> Parser:
    """Builds the argument parser."""
    made = Parser(
        prog=NAME, description="Trains sliding windows and blocks of the same widths on a text of words."
    )
    for title, options in GROUPS.items():
        made.add_declared(title, options.values())
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        words: Command-line arguments, by default `sys.argv[1:]`.

    Returns:
        The exit status; see `exit_status`.
    """
    words = sys.argv[1:] if words is None else list(words)
    return exit_status(NAME, functools.partial(_run, words))


def _run(words: Sequence[str]) -> None:
    values: dict[str, Any] = {
        option.name: option.default for group in GROUPS.values() for option in group.values()
    }
    values |= vars(parser().parse_args(words))
    from benchmarks.styles.report import write_report  # noqa: PLC0415 (a refusal need not wait for it)
    from benchmarks.styles.sweeps import Styles  # noqa: PLC0415

    styles = Styles.trained(**values)
    files = write_report(styles, values["out"], words)
    output().print(styles.table().rich())
    say(styles.sentence, output())
    for path in files:
        say(f"written {path}")


if __name__ == "__main__":
    sys.exit(main())
