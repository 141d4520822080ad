"""`evaluate`: the loss of a trained model on data."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.groups import add_model
from tf_rnn.console import say, visible
from tf_rnn.files import plain, require_run
from tf_rnn.options.declared import EVALUATE_OPTIONS
from tf_rnn.reporting import Table
from tf_rnn.reporting.terminal import print_table
from tf_rnn.text import counted, loss_words, perplexity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser
    from tf_rnn.inference import Model
    from tf_rnn.tasks import Task
    from tf_rnn.training import Evaluation

NAME = "evaluate"
TITLES = {"rmse": "RMSE", "mae": "MAE"}
HELP = "measure the loss of a trained model"


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    add_model(parser)
    parser.add_declared("on what, and how", EVALUATE_OPTIONS.values())


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
    """
    require_run(given["folder"])
    model = tf_rnn.load(given["folder"], given.get("checkpoint", "best"))
    split = given.get("split", "all" if "data" in given else "valid")
    how = {
        name: given.get(name, EVALUATE_OPTIONS[name].default)
        for name in ("num_steps", "batch_size", "context")
    }
    task = model.evaluator.task(given.get("data"), given.get("encoding"))
    if isinstance(task, tf_rnn.tasks.Tabular):
        for line in task.unknown_words():
            say(line)
    evaluation = model.evaluator.on(task, split, **how)
    record, words_beside = _beside(model, task, split, how)
    if "json" in given:
        print(_as_json(split, evaluation, task.unit, record))
    else:
        print(_as_line(split, evaluation, task) + words_beside)
    if isinstance(task, tf_rnn.tasks.Series) and "json" not in given:
        print_table(_as_table("In the units of the targets", record["errors"]))
        if task.quantiles is not None:
            print_table(_as_table("Share of targets below each quantile", record["coverage"]))


def _beside(model: Model, task: Task, split: str, how: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What is measured beside the loss, as a record and in words."""
    if isinstance(task, tf_rnn.tasks.Language):
        unknown = task.unknown_share(split)
        if unknown is not None:
            return {"unknown": unknown}, f", {unknown:.1%} of them {tf_rnn.tasks.vocabulary.UNKNOWN}"
    if isinstance(task, tf_rnn.tasks.Labels):
        accuracy, (label, share) = model.evaluator.accuracy(task, split, **how), task.most_frequent(split)
        record = {"accuracy": accuracy, "most_frequent": label, "accuracy_of_most_frequent": share}
        return record, f", accuracy {accuracy:.1%} (always {visible(label)}: {share:.1%})"
    if isinstance(task, tf_rnn.tasks.Series):
        in_units = tf_rnn.inference.in_units
        predicted = in_units.predictions(model, task, split, **how)
        measured = {"errors": in_units.series_errors, "coverage": in_units.coverage}
        return {name: measure(model, task, split, predicted) for name, measure in measured.items()}, ""
    return {}, ""


def _as_table(title: str, records: list[dict[str, Any]]) -> Table:
    columns = {
        TITLES.get(name, name): [
            f"{record[name]:.4g}" if isinstance(record[name], float) else record[name] for record in records
        ]
        for name in records[0]
    }
    return Table.of_columns(title, columns)


def _as_json(split: str, evaluation: Evaluation, unit: str, more: dict[str, Any]) -> str:
    entropy = {"perplexity": perplexity(evaluation.loss), "bits": evaluation.loss / math.log(2)}
    values = entropy if unit == "nats" else dict.fromkeys(entropy)
    record = {"split": split, "loss": evaluation.loss, **values, "tokens": evaluation.tokens, **more}
    return json.dumps(plain(record), allow_nan=False)


def _as_line(split: str, evaluation: Evaluation, task: Task) -> str:
    unit = task.unit
    loss = f"{loss_words(evaluation.loss, unit)} ± {evaluation.standard_error:.2g} {unit}"
    noun = task.token if isinstance(task, tf_rnn.tasks.Series | tf_rnn.tasks.Labels) else "token"
    return f"{split}: {loss}, {counted(evaluation.tokens, noun, ',')}"
