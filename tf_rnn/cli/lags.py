"""`lags`: where the gradient goes, before and after training, and what truncation cuts off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.cli.options import add_setup_options, measurement, not_negative, path, whole
from tf_rnn.files import folder_name
from tf_rnn.options import STATES
from tf_rnn.reporting.terminal import print_line, print_written

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "lags"
HELP = "how far back the gradient reaches, and what each truncation cuts off"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    group = parser.add_argument_group("what is measured")
    group.add_argument(
        "--num-steps",
        type=whole,
        metavar="N",
        help="how far back to look, and the width to train at; default for echo 40",
    )
    group.add_argument(
        "--tokens",
        type=not_negative,
        metavar="N",
        help="how long to train, 0 for not at all; default a fifth of what compare trains",
    )
    group.add_argument(
        "--state", choices=STATES, default="carry", help="in training, at a block's end; default carry"
    )
    group.add_argument("--seed", type=int, default=0, help="of the initial weights, default 0")
    add_setup_options(parser)
    group = parser.add_argument_group("where results go")
    group.add_argument(
        "--out", type=path, metavar="DIR", help="default results/lags-..., named after the options"
    )


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
    """
    # TensorFlow takes seconds to load, which --help and bad input need not wait for.
    from tf_rnn.analysis.study import FILES, lag_identity, study_lags  # noqa: PLC0415

    setup, task, num_steps, tokens = measurement(arguments)
    run_options: dict[str, Any] = {"tokens": tokens, "state": arguments.state, "seed": arguments.seed}
    identity = lag_identity(setup, task, num_steps, **run_options)
    folder = arguments.out or Path("results") / folder_name(NAME, identity)
    study = study_lags(setup, task, num_steps, **run_options, out=folder, command=words)
    for sentence in study.sentences:
        print_line(sentence)
    print_written(folder / name for name in FILES)
