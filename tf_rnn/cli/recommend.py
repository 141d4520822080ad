"""`recommend`: recommends a length of the graph from the gradients of networks that are trained briefly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_results, add_setup
from tf_rnn.cli.parser import chosen
from tf_rnn.files import NAMED
from tf_rnn.options.declared import RECOMMEND_OPTIONS, SETUP_OPTIONS, WORKER_OPTIONS
from tf_rnn.reporting.terminal import print_line, print_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "recommend"
HELP = "recommend a sequence length, from the gradients of briefly trained networks"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    parser.add_declared("what is recommended", RECOMMEND_OPTIONS.values())
    add_setup(parser, but=RECOMMEND_OPTIONS)
    add_results(parser, NAME, workers=True)


def run(given: dict[str, Any], words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
        WorkerDiedError: If runs failed; what was found without them is written nonetheless.
    """
    experiment = tf_rnn.Experiment(**chosen(given, SETUP_OPTIONS))
    options = {"out": NAMED} | chosen(given, (*RECOMMEND_OPTIONS, *WORKER_OPTIONS, "out"))
    advice = experiment.recommend(**options, command=words)
    print_line(advice.reason)
    if advice.verification:
        print_line(advice.verification)
    print_written(advice.files)
    advice.require_no_failures()
