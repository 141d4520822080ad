"""`forecast`: what a trained model predicts after the end of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_model
from tf_rnn.console import say
from tf_rnn.files import require_new_table, require_run
from tf_rnn.options.declared import FORECAST_OPTIONS
from tf_rnn.reporting.terminal import print_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "forecast"
HELP = "predict what follows a table, with a model trained on series"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    add_model(parser)
    parser.add_declared("what is predicted", FORECAST_OPTIONS.values())


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
    """
    require_run(given["folder"])
    out, *_ = require_new_table(given.get("out", "forecast.csv"), *tf_rnn.inference.forecasting.BESIDE)
    model = tf_rnn.load(given["folder"], given.get("checkpoint", "best"))
    more = {"encoding": given.get("encoding"), "hold_back": given.get("hold_back", 0)}
    found = model.forecast(given.get("horizon"), given.get("data"), **more)
    for line in found.unknown_words:
        say(line)
    print_written(found.write(out))
