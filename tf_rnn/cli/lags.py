"""`lags`: where the gradient goes, before and after training, and what truncation cuts off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from tf_rnn.cli.options import add_setup_options, measurement, not_negative, path, results_folder, whole
from tf_rnn.comparison.report import setup_line
from tf_rnn.options import STATES, require_whole
from tf_rnn.tasks import setup_identity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.options import Setup
    from tf_rnn.tasks import Task

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
    setup, task, num_steps, tokens = measurement(arguments)
    require_whole("seed", arguments.seed, at_least=0)
    identity = setup_identity(setup, task) | {
        "num_steps": num_steps,
        "tokens": tokens,
        "state": arguments.state,
        "seed": arguments.seed,
    }
    with results_folder(NAME, arguments.out, identity) as folder:
        _measure(folder, setup, task, identity, words)


def _measure(folder: Path, setup: Setup, task: Task, identity: dict[str, Any], words: Sequence[str]) -> None:
    # TensorFlow takes seconds to load, which --help and bad input need not wait for.
    from tf_rnn.analysis.report import describe, write_lags  # noqa: PLC0415
    from tf_rnn.analysis.study import study_lags  # noqa: PLC0415
    from tf_rnn.training import ProgressLine  # noqa: PLC0415

    study = study_lags(
        setup,
        task,
        identity["num_steps"],
        tokens=identity["tokens"],
        state=identity["state"],
        seed=identity["seed"],
        callbacks=[ProgressLine()],
    )
    line = setup_line(setup, f"{identity['tokens']:,.10g} tokens")
    files = write_lags(folder, study, identity, task, line, words)
    console = Console()
    console.print(f"{describe('untrained', study.untrained)}.", highlight=False, soft_wrap=True)
    if study.trained:
        console.print(f"{describe('trained', study.trained)}.", highlight=False, soft_wrap=True)
    console.print(f"written: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)
