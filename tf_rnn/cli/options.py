"""Options that commands share, and how a parser says what is wrong: in one line."""

from __future__ import annotations

import argparse
import inspect
import math
from typing import TYPE_CHECKING, Any, NamedTuple, Never

from tf_rnn.comparison.dask import EXTRA
from tf_rnn.comparison.scheduler import LOCAL, require_scheduler
from tf_rnn.files import as_path
from tf_rnn.options import (
    ACTIVATIONS,
    CELL_OPTIONS,
    CELLS,
    CHECKPOINTS_TO_USE,
    OPTIMIZERS,
    RECURRENT_INITS,
    REDUCTIONS,
    STYLES,
    OptionError,
    Setup,
    require_fraction,
    require_not_negative,
    require_positive,
    require_share,
    require_whole,
    shown,
)
from tf_rnn.tasks import TASKS, Task, check_setup, make_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

BAD_INPUT = 2
# Networks whose gradients are looked at are trained for this part of what a comparison trains.
SHARE_OF_BUDGET = 0.2
TASK_OPTIONS = (
    "lags",
    "effects",
    "lag",
    "delay",
    "span",
    "data",
    "valid_fraction",
    "test_fraction",
    "vocabulary_size",
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on standard error, exit status 2."""

    def error(self, message: str) -> Never:
        """Ends the program."""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def path(text: str) -> Path:
    """The path of a folder, as argparse wants its types."""
    try:
        return as_path("value", text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(error.problem) from error


def whole(text: str) -> int:
    """A whole number of at least 1, as argparse wants its types."""
    try:
        return require_whole("value", int(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least 1, got {shown(text)}"
        ) from error


def whole_or_zero(text: str) -> int:
    """A whole number of at least 0, as argparse wants its types."""
    try:
        return require_whole("value", int(text), at_least=0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least 0, got {shown(text)}"
        ) from error


def positive(text: str) -> float:
    """A finite number above 0, as argparse wants its types."""
    return _number(require_positive, text)


def share(text: str) -> float:
    """A number above 0 and below 1, as argparse wants its types."""
    return _number(require_fraction, text)


def rate(text: str) -> float:
    """A number of at least 0 and below 1, as argparse wants its types."""
    return _number(require_share, text)


def _number(require: Callable[[str, Any], float], text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    try:
        return require("value", number)
    except OptionError as error:
        problem = error.problem.replace(f"got {number!r}", f"got {shown(text)}")
        raise argparse.ArgumentTypeError(problem) from error


def segment(text: str) -> int | str:
    """A whole number of steps or "sqrt", as argparse wants its types."""
    return text if text == "sqrt" else whole(text)


def not_negative(text: str) -> float:
    """A finite number of at least 0, as argparse wants its types."""
    return _number(require_not_negative, text)


def scheduler(text: str) -> str:
    """`local` or `tcp://HOST:PORT`, as argparse wants its types."""
    try:
        return require_scheduler(text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(error.problem) from error


def add_worker_options(group: Any) -> None:
    """Adds the options that say who does the runs.

    Args:
        group: A parser, or a group of its options.
    """
    group.add_argument(
        "--workers", type=whole, metavar="N", help="processes side by side, default one a core"
    )
    group.add_argument(
        "--scheduler",
        type=scheduler,
        default=LOCAL,
        metavar="ADDRESS",
        help="local, the default, for processes on this machine; or tcp://HOST:PORT, where a Dask "
        f"scheduler hands the runs to its workers ({EXTRA}); costs are measured here",
    )


def add_setup_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that make a `Setup`: task, network, training."""
    group = parser.add_argument_group("what is learnt")
    group.add_argument("--task", choices=TASKS, default="echo", help="default: echo")
    group.add_argument("--lags", type=int, nargs="+", metavar="K", help="echo: lags, default 3 8")
    group.add_argument(
        "--effects", type=float, nargs="+", metavar="E", help="echo: effects, default 0.5 -0.25"
    )
    group.add_argument("--lag", type=int, metavar="K", help="memory: how long ago, default 20")
    group.add_argument("--delay", type=int, metavar="T", help="copy: the wait, default 30")
    group.add_argument("--span", type=int, metavar="T", help="adding: length of an example, default 50")
    group.add_argument(
        "--data",
        metavar="DATA",
        help="text, words: a UTF-8 file, a directory with train.txt, valid.txt and test.txt, or one of "
        "shakespeare and ptb, which are downloaded; default: the documentation that ships with Python",
    )
    group.add_argument(
        "--valid-fraction", type=share, metavar="P", help="of a file, held out to choose by, default 0.05"
    )
    group.add_argument(
        "--test-fraction", type=share, metavar="P", help="of a file, held out to the end, default 0.05"
    )
    group.add_argument(
        "--vocabulary-size", type=whole, metavar="N", help="words: how many are told apart, default 10000"
    )
    group = parser.add_argument_group("the network and its training (defaults: what suits the task)")
    group.add_argument("--cell", choices=CELLS)
    group.add_argument("--state-size", type=whole, metavar="D", help="units of a layer")
    group.add_argument("--num-layers", type=whole, default=1, metavar="N", help="default: 1")
    group.add_argument("--activation", choices=ACTIVATIONS, help="vanilla: default tanh")
    group.add_argument(
        "--forget-bias", type=float, metavar="B", help="lstm: start of the forget gate's bias, default 1"
    )
    group.add_argument("--recurrent-init", choices=RECURRENT_INITS, help="default orthogonal")
    group.add_argument(
        "--recurrent-gain",
        type=positive,
        metavar="G",
        help="factor of the initial recurrent weights, default 1",
    )
    group.add_argument("--batch-size", type=whole, metavar="N")
    group.add_argument("--optimizer", choices=OPTIMIZERS)
    group.add_argument("--learning-rate", type=positive, metavar="R", help="the same for all widths")
    group.add_argument(
        "--reduction",
        choices=REDUCTIONS,
        default="mean",
        help="of the losses over the steps of a block, default mean",
    )
    group.add_argument(
        "--embedding-size",
        type=whole,
        metavar="N",
        help="of a learnt vector for each class; words: default the state size, else none",
    )
    group.add_argument("--tied", action="store_true", help="the readout's weights are the embedding's")
    group.add_argument(
        "--dropout", type=rate, default=0.0, metavar="P", help="between layers, in training, default 0"
    )
    group.add_argument("--init-scale", type=positive, metavar="R", help="initial weights are uniform in +-R")
    group.add_argument(
        "--recompute",
        type=segment,
        metavar="K",
        help="for wide graphs: keep every K-th state alone, or sqrt: less memory, more time",
    )
    group.add_argument("--clip-norm", type=positive, metavar="G", help="upper limit on the gradient's norm")
    group.add_argument(
        "--style", choices=STYLES, default="block", help="which errors go back how far, default block"
    )
    group.add_argument(
        "--stride", type=whole, default=1, metavar="K", help="sliding: new errors in a window, default 1"
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which trained model is meant."""
    parser.add_argument("folder", type=path, metavar="DIR", help="the folder of a training run")
    parser.add_argument(
        "--checkpoint",
        choices=CHECKPOINTS_TO_USE,
        default="best",
        help="the one with the lowest held-out loss, or the last; default best",
    )


def setup_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields of a `Setup`, the task's defaults where nothing was given.

    Raises:
        OptionError: If an option belongs to another task.
    """
    defaults = TASKS[arguments.task].defaults
    cell = arguments.cell or defaults.cell
    state_size = arguments.state_size or defaults.state_size
    embeds = defaults.embeds or arguments.tied
    options_of_cell = defaults.cell_options if cell == defaults.cell else {}
    return {
        "task": arguments.task,
        "task_options": _task_options(arguments),
        "cell": cell,
        "state_size": state_size,
        "num_layers": arguments.num_layers,
        "cell_options": options_of_cell | _given(arguments, CELL_OPTIONS),
        "batch_size": arguments.batch_size or defaults.batch_size,
        "optimizer": arguments.optimizer or defaults.optimizer,
        "learning_rate": arguments.learning_rate or defaults.learning_rate,
        "clip_norm": arguments.clip_norm or defaults.clip_norm,
        "reduction": arguments.reduction,
        "embedding_size": arguments.embedding_size or (state_size if embeds else None),
        "tied": arguments.tied,
        "dropout": arguments.dropout,
        "init_scale": arguments.init_scale,
        "recompute": arguments.recompute,
        "style": arguments.style,
        "stride": arguments.stride,
    }


def _given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _task_options(arguments: argparse.Namespace) -> dict[str, Any]:
    given = _given(arguments, TASK_OPTIONS)
    for name in given:
        takers = [task for task, kind in TASKS.items() if name in inspect.signature(kind).parameters]
        if arguments.task not in takers:
            raise OptionError(name, f"must be left out unless --task is {' or '.join(takers)}")
    return given


class Measurement(NamedTuple):
    """What the commands that look at gradients have in common.

    Attributes:
        setup: What is trained on what.
        task: The setup's task.
        num_steps: How far back to look, and the width to train at.
        tokens: How long to train.
    """

    setup: Setup
    task: Task
    num_steps: int
    tokens: float


def measurement(arguments: argparse.Namespace) -> Measurement:
    """Returns what is to be measured, the task's defaults where nothing was given.

    Raises:
        OptionError: If a value is not allowed, or the data are too short for the width.
    """
    setup = Setup(**setup_options(arguments))
    task = make_task(setup.task, **setup.task_options)
    defaults = TASKS[setup.task].defaults
    num_steps = arguments.num_steps or defaults.longest
    check_setup(setup, task, [num_steps])
    task.blocks(setup.batch_size, num_steps, "valid")
    tokens = defaults.tokens * SHARE_OF_BUDGET if arguments.tokens is None else arguments.tokens
    return Measurement(setup, task, num_steps, tokens)
