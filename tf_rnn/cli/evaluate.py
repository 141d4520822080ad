"""`evaluate`: the loss of a trained model on data."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from tf_rnn.cli.options import add_model_options, whole
from tf_rnn.files import plain, require_run
from tf_rnn.tasks import TASKS, Language
from tf_rnn.tasks.language import WHOLE
from tf_rnn.text import loss_words, perplexity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from tf_rnn.training import Evaluation

NAME = "evaluate"
POSITIONAL = {"folder": "DIR"}
HELP = "the loss of a trained model on data"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    add_model_options(parser)
    group = parser.add_argument_group("on what")
    group.add_argument(
        "--data", metavar="DATA", help="other data in the same vocabulary; default: those it was trained on"
    )
    group.add_argument(
        "--split",
        choices=(*Language.splits, WHOLE),
        help="default valid, or all of the data given with --data",
    )
    group = parser.add_argument_group("how")
    group.add_argument(
        "--num-steps", type=whole, default=50, metavar="N", help="width; makes no difference to the result"
    )
    group.add_argument(
        "--batch-size",
        type=whole,
        default=1,
        metavar="N",
        help="rows read side by side: quicker, and not quite exact, as each begins in the middle; default 1",
    )
    group.add_argument(
        "--context",
        type=whole,
        metavar="K",
        help="set the state to zero every K steps, to see what more context is worth; default: carry it",
    )
    group.add_argument("--json", action="store_true", help="one line of JSON on standard output")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
    """
    split = arguments.split or (WHOLE if arguments.data else "valid")
    require_run(arguments.folder)
    from tf_rnn.inference import load  # noqa: PLC0415 (TensorFlow takes seconds to load)

    model = load(arguments.folder, arguments.checkpoint)
    evaluation = model.evaluator(
        split,
        arguments.data,
        num_steps=arguments.num_steps,
        batch_size=arguments.batch_size,
        context=arguments.context,
    )
    unit = TASKS[model.config["task"]["name"]].unit
    show = _as_json if arguments.json else _as_line
    print(show(split, evaluation, unit))


def _as_json(split: str, evaluation: Evaluation, unit: str) -> str:
    entropy = {"perplexity": perplexity(evaluation.loss), "bits": evaluation.loss / math.log(2)}
    values = entropy if unit == "nats" else dict.fromkeys(entropy)
    record = {"split": split, "loss": evaluation.loss, **values, "tokens": evaluation.tokens}
    return json.dumps(plain(record), allow_nan=False)


def _as_line(split: str, evaluation: Evaluation, unit: str) -> str:
    return (
        f"{split}: {loss_words(evaluation.loss, unit)} ± {evaluation.standard_error:.2g} {unit}, "
        f"{evaluation.tokens:,} tokens"
    )
