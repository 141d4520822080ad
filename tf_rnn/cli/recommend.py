"""`recommend`: finds the length of the graph to use, by a race."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_results, add_setup
from tf_rnn.cli.parser import chosen
from tf_rnn.files import NAMED
from tf_rnn.options.declared import RECOMMEND_OPTIONS, SETUP_OPTIONS, WORKER_OPTIONS
from tf_rnn.reporting.terminal import print_line, print_table, print_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "recommend"
HELP = "find the sequence length to use: a race of lengths, at a fraction of the price of compare"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    parser.add_declared("what is recommended", RECOMMEND_OPTIONS.values())
    add_setup(parser, NAME, but=RECOMMEND_OPTIONS)
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
    experiment = tf_rnn.Experiment(**chosen(given, SETUP_OPTIONS.keys() - RECOMMEND_OPTIONS.keys()))
    options = {"out": NAMED} | chosen(given, (*RECOMMEND_OPTIONS, *WORKER_OPTIONS, "out", "tensorboard"))
    if "dry_run" in given:
        plan = experiment.plan(NAME, **options)
        print_table(plan.table())
        print_line(f"{plan.sentence}.")
        return
    found = experiment.recommend(**options, command=words)
    print_table(found.table())
    print_line(found.reason)
    if table := found.answer_table():
        print_table(table)
    for line in (found.verification, found.widths and found.widths.line, found.price_sentence):
        if line:
            print_line(line)
    print_written(found.files)
    found.require_no_failures()
