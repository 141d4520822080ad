"""`label`: the classes that a trained model names in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_model
from tf_rnn.console import say
from tf_rnn.files import require_new_table, require_run
from tf_rnn.options.declared import LABEL_OPTIONS
from tf_rnn.reporting.terminal import print_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "label"
HELP = "name the class of every row or series of a table, with a model trained on labels"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    add_model(parser)
    parser.add_declared("what is named", LABEL_OPTIONS.values())


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
    """
    require_run(given["folder"])
    (out,) = require_new_table(given.get("out", "labels.csv"))
    model = tf_rnn.load(given["folder"], given.get("checkpoint", "best"))
    found = model.label(given.get("data"), encoding=given.get("encoding"))
    for line in found.unknown_words:
        say(line)
    print_written(found.write(out))
