"""`recommend`: trains briefly, measures, names a width and says why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tf_rnn.cli.options import (
    add_setup_options,
    measurement,
    positive,
    results_folder,
    setup_options,
    share,
    whole,
)
from tf_rnn.comparison import Comparison, Results, available_cores, sweep
from tf_rnn.comparison.report import setup_line
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.verify import verification, widths_to_verify
from tf_rnn.tasks import TASKS, setup_identity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from tf_rnn.config import Setup

NAME = "recommend"
HELP = "which width to use, from the gradients of networks that are trained briefly"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    group = parser.add_argument_group("what is recommended")
    group.add_argument(
        "--num-steps",
        type=whole,
        metavar="N",
        help="the widest graph to think of, at which networks are trained; default for echo 40",
    )
    group.add_argument(
        "--tolerance",
        type=share,
        default=0.1,
        metavar="P",
        help="the part of the gradient that may be missing, default 0.1",
    )
    group.add_argument("--seeds", type=whole, default=3, metavar="N", help="networks to train, default 3")
    group.add_argument(
        "--tokens", type=positive, metavar="N", help="for each; default a fifth of what compare trains"
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="train at the width, its half and its double as compare does, and say whether it held",
    )
    add_setup_options(parser)
    group = parser.add_argument_group("how it runs")
    group.add_argument(
        "--workers", type=whole, metavar="N", help="processes to verify with, default one a core"
    )
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="default results/recommend-..., named after the options"
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
    identity = setup_identity(setup, task) | {
        "num_steps": num_steps,
        "tokens": tokens,
        "seeds": arguments.seeds,
        "tolerance": arguments.tolerance,
    }
    folder = results_folder(NAME, arguments.out, identity)
    # TensorFlow takes seconds to load, which --help and bad input need not wait for.
    from tf_rnn.analysis import recommend  # noqa: PLC0415
    from tf_rnn.analysis.report import write_advice  # noqa: PLC0415
    from tf_rnn.training import ProgressLine  # noqa: PLC0415

    advice, studies = recommend(
        setup,
        task,
        num_steps,
        tokens=tokens,
        seeds=arguments.seeds,
        tolerance=arguments.tolerance,
        listener=ProgressLine,
    )
    console = Console()
    console.print(advice.reason, highlight=False, soft_wrap=True)
    verified = _verify(arguments, setup, advice.num_steps, folder) if arguments.verify else None
    if verified:
        console.print(verified, highlight=False, soft_wrap=True)
    line = setup_line(setup, f"{tokens:,.10g} tokens")
    files = write_advice(folder, advice, studies, identity, line, words, verified)
    console.print(f"written: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)


def _verify(arguments: argparse.Namespace, setup: Setup, num_steps: int, folder: Path) -> str:
    fields: dict[str, Any] = setup_options(arguments)
    comparison = Comparison(
        **fields,
        num_steps=widths_to_verify(num_steps),
        state=("carry",),
        seeds=arguments.seeds,
        budget="tokens",
        amount=TASKS[setup.task].defaults.tokens,
    )
    lasting = comparison.make_task()
    comparison.check_data(lasting)
    results = Results(folder / "verify", comparison.identity(lasting))
    with Screen(Console(stderr=True)) as screen:
        summaries, _ = sweep(comparison, results, lasting, screen, arguments.workers or available_cores())
    return verification(summaries, num_steps)
