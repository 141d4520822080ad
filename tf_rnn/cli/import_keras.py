"""`import`: from an exported model, trained further in Keras or not, back to a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.cli.options import path
from tf_rnn.files import CONFIG, is_there, require_empty
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

NAME = "import"
POSITIONAL = {"exported": "EXPORTED", "out": "DIR"}
HELP = "make a training run of an exported Keras model"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.add_argument("exported", type=path, metavar="EXPORTED", help="a folder written by export")
    parser.add_argument("out", type=path, metavar="DIR", help="the folder of the run, new or empty")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line.

    Raises:
        OptionError: If the model cannot be read, or the run not be written.
    """
    if not is_there(arguments.exported, CONFIG):
        raise OptionError("exported", f"must be a folder that export wrote, got {str(arguments.exported)!r}")
    require_empty(arguments.out)
    # TensorFlow takes seconds to load, which bad input need not wait for.
    from tf_rnn.inference.keras_import import import_keras  # noqa: PLC0415

    folder = import_keras(arguments.exported, arguments.out)
    print(f"written: {folder}; go on with python -m tf_rnn train --resume {folder}")
