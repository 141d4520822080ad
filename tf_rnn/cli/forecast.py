"""`forecast`: what a trained model predicts after the end of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_model
from tf_rnn.console import say, written
from tf_rnn.files import require_run
from tf_rnn.options.declared import FORECAST_OPTIONS

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
    forecasting = tf_rnn.inference.forecasting
    out = forecasting.require_new_file(given.get("out", "forecast.csv"), *forecasting.BESIDE)
    model = tf_rnn.load(given["folder"], given.get("checkpoint", "best"))
    found = model.forecast(given.get("horizon"), given.get("data"), hold_back=given.get("hold_back", 0))
    for line in written(found.write(out)).splitlines():
        say(line)
