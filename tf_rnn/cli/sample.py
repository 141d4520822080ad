"""`sample`: text from a trained model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_model
from tf_rnn.cli.parser import chosen
from tf_rnn.console import say, visible
from tf_rnn.files import require_run
from tf_rnn.options import OptionError
from tf_rnn.options.declared import SAMPLE_OPTIONS
from tf_rnn.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser

NAME = "sample"
HELP = "sample text from a trained model"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    add_model(parser)
    parser.add_declared("what is sampled", SAMPLE_OPTIONS.values())


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed, or the model is no language model.
    """
    require_run(given["folder"])
    model = tf_rnn.load(given["folder"], given.get("checkpoint", "best"))
    if model.tokens is None:
        task = model.config["task"]["name"]
        raise OptionError("folder", f"must hold a language model, got one of the task {task}")
    options = {name: option.default for name, option in SAMPLE_OPTIONS.items()}
    if unknown := model.vocabulary.unknown(given.get("prime", "")):
        say(f"not in the vocabulary, read as {tf_rnn.tasks.vocabulary.UNKNOWN}: {', '.join(unknown)}")
    options |= chosen(given, SAMPLE_OPTIONS)
    is_terminal, pieces = sys.stdout.isatty(), []
    try:
        for piece in model.sample(**options):
            pieces.append(piece)
            sys.stdout.write(visible(piece, keep="\n\t") if is_terminal else piece)
            sys.stdout.flush()
    except OptionError as error:
        if error.option != "model":
            raise
        raise OptionError(
            "folder", "must hold a model with finite predictions, got nan; its weights have diverged"
        ) from error
    sys.stdout.write("\n")
    sys.stdout.flush()
    known = sum(1 for _ in model.vocabulary.continued(options["prime"], ()))
    if options["until"] is not None and options["until"] not in "".join(pieces[known:]):
        say(f"--until {options['until']!r} did not come up in {counted(options['length'], 'token')}")
