"""`export`: a trained model for use without this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_model
from tf_rnn.files import require_empty, require_run
from tf_rnn.options.declared import ONNX, OUT
from tf_rnn.reporting.terminal import print_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "export"
HELP = "write a trained model for use without this package: SavedModel, Keras, PyTorch, ONNX"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    add_model(parser)
    parser.add_positional(OUT.but(help="folder to write it to, new or empty"), "OUT")
    parser.add_declared("format", [ONNX])


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If there is no run, or the model cannot be written.
    """
    require_run(given["folder"])
    require_empty(given["out"])
    model = tf_rnn.load(given["folder"], given.get("checkpoint", "best"))
    done = tf_rnn.inference.export(model, given["out"], onnx=given.get("onnx", False))
    if done.without_keras:
        print(f"no Keras model: {done.without_keras}")
    if done.without_torch:
        print(f"no weights for PyTorch: {done.without_torch}")
    print_written(done.files)
