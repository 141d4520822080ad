"""`sample`: text from a trained model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tf_rnn.cli.options import add_model_options, not_negative, whole_or_zero
from tf_rnn.files import require_run
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "sample"
POSITIONAL = {"folder": "DIR"}
HELP = "text from a trained model"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    add_model_options(parser)
    group = parser.add_argument_group("what is written")
    group.add_argument("--prime", default="", metavar="TEXT", help="how it begins; default: as a line does")
    group.add_argument("--length", type=whole_or_zero, default=500, metavar="N", help="tokens, default 500")
    group.add_argument(
        "--temperature",
        type=not_negative,
        default=0.8,
        metavar="T",
        help="1: as the model predicts; below, the likely is likelier; 0: the likeliest always; default 0.8",
    )
    group.add_argument(
        "--top-k",
        type=whole_or_zero,
        default=0,
        metavar="K",
        help="from the K likeliest alone; default 0, all",
    )
    group.add_argument(
        "--seed", type=whole_or_zero, metavar="N", help="the same gives the same text; default: another one"
    )


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed, or the model is none of language.
    """
    require_run(arguments.folder)
    from tf_rnn.inference import load  # noqa: PLC0415 (TensorFlow takes seconds to load)

    model = load(arguments.folder, arguments.checkpoint)
    if model.tokens is None:
        task = model.config["task"]["name"]
        raise OptionError("folder", f"must hold a model of language, got one of the task {task}")
    pieces = model.sample(
        arguments.prime,
        arguments.length,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        seed=arguments.seed,
    )
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
