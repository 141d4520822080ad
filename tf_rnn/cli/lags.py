"""`lags`: how far back the gradient reaches, before and after training, or of a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_results, add_setup
from tf_rnn.cli.parser import chosen
from tf_rnn.files import NAMED
from tf_rnn.options import OptionError
from tf_rnn.options.declared import LAGS_OPTIONS, MODEL_OPTIONS, SETUP_OPTIONS
from tf_rnn.reporting.terminal import print_line, print_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "lags"
HELP = "measure how far back the gradient reaches, and what each truncation cuts off"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    parser.add_declared("what is measured", LAGS_OPTIONS.values())
    parser.add_declared("a network that is trained already", MODEL_OPTIONS.values())
    add_setup(parser, NAME)
    add_results(parser, NAME, workers=False)


def run(given: dict[str, Any], words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
    """
    given = {"out": NAMED} | given
    if "model" in given:
        study: Any = tf_rnn.lags(**given, command=words)
    elif "window" in given:
        raise OptionError("window", "must be left out unless model is given")
    else:
        experiment = tf_rnn.Experiment(**chosen(given, SETUP_OPTIONS))
        study = experiment.lags(**chosen(given, (*LAGS_OPTIONS, "out")), command=words)
    for sentence in study.sentences:
        print_line(sentence)
    print_written(study.files)
