"""`import`: turns an exported model, trained further in Keras or not, back into a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.parser import command
from tf_rnn.console import written
from tf_rnn.files import CONFIG, is_there, require_empty, require_readable
from tf_rnn.options import Option, OptionError
from tf_rnn.options.declared import OUT
from tf_rnn.options.rules import Path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "import"
HELP = "turn an exported Keras model back into a run folder that train can resume"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    parser.add_positional(Option(name="exported", rule=Path(), help="folder written by export"), "EXPORTED")
    parser.add_positional(OUT.but(help="folder for the run, new or empty"), "DIR")


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If the model cannot be read, or the run not be written.
    """
    exported = given["exported"]
    require_readable("exported", exported)
    if not is_there(exported, CONFIG):
        raise OptionError("exported", f"must be a folder that export wrote, got {str(exported)!r}")
    require_empty(given["out"])
    folder = tf_rnn.inference.import_keras(exported, given["out"])
    print(f"{written([folder])}; resume with: {command('train --resume', folder)}")
