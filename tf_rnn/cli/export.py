"""`export`: a trained model for use without this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.cli.options import add_model_options, path
from tf_rnn.files import require_empty, require_run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "export"
POSITIONAL = {"folder": "DIR", "out": "OUT"}
HELP = "write a trained model for use without this package: SavedModel, Keras"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    add_model_options(parser)
    parser.add_argument("out", type=path, metavar="OUT", help="a folder to write it to, new or empty")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line.

    Raises:
        OptionError: If there is no run, or the model cannot be written.
    """
    require_run(arguments.folder)
    require_empty(arguments.out)
    # TensorFlow takes seconds to load, which bad input need not wait for.
    from tf_rnn.inference import export, load  # noqa: PLC0415

    done = export(load(arguments.folder, arguments.checkpoint), arguments.out)
    if done.without_keras:
        print(f"no Keras model: {done.without_keras}")
    print(f"written: {', '.join(map(str, done.files))}")
