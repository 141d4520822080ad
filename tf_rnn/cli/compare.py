"""`compare`: trains at several lengths of the graph and says which one to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_results, add_setup
from tf_rnn.cli.parser import chosen
from tf_rnn.files import NAMED
from tf_rnn.options import OptionError, shown
from tf_rnn.options.declared import COMPARE_OPTIONS, FOLDERS, SETUP_OPTIONS, WORKER_OPTIONS
from tf_rnn.reporting.terminal import print_line, print_table, print_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "compare"
HELP = "train at several sequence lengths; compare loss, time and memory"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    parser.usage = "%(prog)s [options]\n       %(prog)s FOLDER FOLDER"
    parser.add_positional(FOLDERS, "FOLDER")
    parser.add_declared("what is compared", COMPARE_OPTIONS.values())
    add_setup(parser, NAME, but=COMPARE_OPTIONS)
    add_results(parser, NAME, workers=True)


def run(given: dict[str, Any], words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
        WorkerDiedError: If runs failed; everything is written nonetheless.
    """
    if "folders" in given:
        _pair(words, **given)
        return
    experiment = tf_rnn.Experiment(**chosen(given, SETUP_OPTIONS.keys() - COMPARE_OPTIONS.keys()))
    options = {"out": NAMED} | chosen(given, (*COMPARE_OPTIONS, *WORKER_OPTIONS, "out", "tensorboard"))
    if "dry_run" in given:
        plan = experiment.plan(NAME, **options)
        print_table(plan.table())
        print_line(f"{plan.sentence}.")
        return
    sweep = experiment.compare(**options, command=words)
    print_table(sweep.table())
    print_table(sweep.cost_table())
    print_line(sweep.cost_sentence)
    print_line(sweep.sentence)
    if table := sweep.answer_table():
        print_table(table)
    if sweep.widths:
        print_line(sweep.widths.line)
    print_written(sweep.files)
    sweep.require_no_failures()


def _pair(words: Sequence[str], folders: Sequence[Path], **others: Any) -> None:
    """Prints two finished comparisons beside each other."""
    last = max(place for place, word in enumerate(words) if Path(word) == folders[-1])
    before = [word for word in words[:last] if word.startswith("--")]
    if before and not any(folder.exists() for folder in folders):
        read = " and ".join(shown(str(folder)) for folder in folders)
        problem = f"takes one value, so {read} would be FOLDER, and there is no such folder"
        raise OptionError(before[-1].removeprefix("--").replace("-", "_"), problem)
    for option in others:
        raise OptionError(option, "must be left out beside folders of finished comparisons")
    if len(folders) != 2:
        raise OptionError("folders", f"must be two folders of finished comparisons, got {len(folders)}")
    pair = tf_rnn.comparison.pair_sweeps(*folders)
    print_table(pair.table())
    print_line(pair.sentence)
