"""Setups: task, network and optimizer in one value."""

from __future__ import annotations

import dataclasses
import inspect
import os
from typing import TYPE_CHECKING, Any

from tf_rnn.console import visible
from tf_rnn.options import (
    CELLS,
    LARGEST_WIDTH,
    SUITS_TASK,
    OptionError,
    call_text,
    check_fields,
    require_choice,
    require_number_of,
    shown,
    suggestion,
    unexpected,
)
from tf_rnn.options.declared import (
    CELL_OPTIONS,
    COMMAND_OPTIONS,
    HELD_BY_DTYPE,
    NETWORK_OPTIONS,
    TASK,
    TASK_OPTIONS,
    TRAINING_OPTIONS,
)
from tf_rnn.options.file import options_text
from tf_rnn.tasks import TABLES, TASKS, Defaults, Task, make_task
from tf_rnn.tasks.tables import is_table
from tf_rnn.truncation import STYLES, Truncation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Cells whose output is the prediction itself.
CELLS_THAT_PREDICT = ("influence",)
# Inputs that cannot be embedded, and why.
NOT_EMBEDDED = {"real": "whose inputs are real numbers", "none": "whose inputs are none"}
# What suits a task without `defaults`.
GENERAL = Defaults(
    batch_size=20,
    optimizer="adam",
    learning_rate=0.002,
    tokens=1_000_000,
    cell="lstm",
    state_size=64,
    clip_norm=5.0,
)
# Options that an identity has only where they are used: folders of results from before them stay valid.
ONLY_WHERE_USED = ("weight_decay", "initial_state", "precision")
# Options of a task that it gets from a trained run.
FROM_ORIGIN = ("vocabulary", "fit")
# Options that a `repr` always shows.
ALWAYS = ("task", "cell", "state_size")
# What the options are called in a line for people.
TITLES = {"clip_norm": "gradient norm at most"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What is trained on what. Options that are left out are what suits the task.

        Setup(task="text")                              the network of `python -m tf_rnn train --task text`
        Setup(task=MyTask(), cell="gru", state_size=7)

    Attributes:
        task: A name in `tf_rnn.tasks.TASKS`, or a `Task`.
        task_options: Options of the named task.
        cell: A name in `tf_rnn.cells.CELLS`.
        state_size: Units of each layer.
        num_layers: Layers stacked on each other.
        cell_options: Further options of the cell; they override those that suit the task.
        batch_size: Rows of a batch.
        optimizer: A name in `tf_rnn.graph.optimizers.OPTIMIZERS`.
        learning_rate: The optimizer's learning rate.
        clip_norm: Upper limit of the gradient's norm; None to switch clipping off.
        weight_decay: Fraction of each weight matrix, times the learning rate, that every training step takes
            off; see `UnrolledGraph`.
        reduction: "mean" or "sum" of the per-step losses of a block.
        embedding_size: Size of a learnt input embedding; None for one-hot inputs.
        tied: Whether embedding and output layer share their weights.
        dropout: Fraction of the connections between layers that is dropped in training.
        init_scale: Initial weights are uniform in +-init_scale; None for what suits the cell.
        initial_state: The state before the first step of a sequence, "zero" or "learnt".
        recompute: Store only every K-th state for the backward pass, or "sqrt"; see `UnrolledGraph`.
        precision: Of matrix products in training, "float32" or "mixed_bfloat16"; see `UnrolledGraph`.
        style: The truncation scheme, a name in `tf_rnn.truncation.STYLES`.
        stride: For "sliding": steps that the window moves between updates.
        tolerance: For "adaptive": the largest acceptable fraction of the gradient lost to truncation.

    Raises:
        OptionError: If an option is not allowed.
    """

    task: str | Task
    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    cell: str = SUITS_TASK
    state_size: int = SUITS_TASK
    num_layers: int = NETWORK_OPTIONS["num_layers"].default
    cell_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    batch_size: int = SUITS_TASK
    optimizer: str = SUITS_TASK
    learning_rate: float = SUITS_TASK
    clip_norm: float | None = SUITS_TASK
    weight_decay: float = NETWORK_OPTIONS["weight_decay"].default
    reduction: str = NETWORK_OPTIONS["reduction"].default
    embedding_size: int | None = SUITS_TASK
    tied: bool = NETWORK_OPTIONS["tied"].default
    dropout: float = NETWORK_OPTIONS["dropout"].default
    init_scale: float | None = NETWORK_OPTIONS["init_scale"].default
    initial_state: str = NETWORK_OPTIONS["initial_state"].default
    recompute: int | str | None = NETWORK_OPTIONS["recompute"].default
    precision: str = NETWORK_OPTIONS["precision"].default
    style: str = NETWORK_OPTIONS["style"].default
    stride: int = NETWORK_OPTIONS["stride"].default
    tolerance: float = NETWORK_OPTIONS["tolerance"].default

    @classmethod
    def of(cls, **options: Any) -> Setup:
        """Makes a setup from options by name, those of the task and of the cell among them.

            Setup.of(task="copy", delay=20, cell="lstm", forget_bias=1.0)

        Raises:
            OptionError: If an option is not allowed.
            TypeError: If there is no such option.
        """
        grouped: dict[str, dict[str, Any]] = {
            "task_options": {name: options.pop(name) for name in TASK_OPTIONS if name in options},
            "cell_options": {name: options.pop(name) for name in CELL_OPTIONS if name in options},
        }
        for group, given in grouped.items():
            if given:
                options[group] = {**options.get(group, {}), **given}
        own = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in own and name in COMMAND_OPTIONS:
                raise TypeError(f"{cls.__name__}() takes no {name}; train, compare, recommend and lags do")
            if name not in own:
                raise unexpected(cls.__name__, name, (*own, *TASK_OPTIONS, *CELL_OPTIONS))
        return cls(**options)

    def __post_init__(self) -> None:
        for option in ("task_options", "cell_options"):
            given: Any = getattr(self, option)
            if not isinstance(given, dict):
                raise OptionError(option, f"must be a dictionary of options, got {shown(given)}")
        self._check_task()
        for name, value in self._what_suits().items():
            if getattr(self, name) is SUITS_TASK:
                object.__setattr__(self, name, value)
        check_fields(self, NETWORK_OPTIONS)
        self._settle_cell_options()
        if self.tied and self.embedding_size != self.state_size:
            raise OptionError(
                "embedding_size",
                f"must be state_size ({self.state_size}) where the readout is tied, "
                f"got {self.embedding_size}",
            )
        for option, value in (vars(self) | self.cell_options).items():
            if option in HELD_BY_DTYPE and value is not None:
                require_number_of(option, value, "float32")

    def __repr__(self) -> str:
        return self.shown()

    def shown(self, name: str = "Setup") -> str:
        """A short `repr`: task, cell, size and what is not what suits the task."""
        usual = vars(Setup(task=self.task))
        options = {key: value for key, value in vars(self).items() if key in ALWAYS or value != usual[key]}
        options |= options.pop("task_options", {}) | options.pop("cell_options", {})
        return call_text(Setup, options, name)

    def _check_task(self) -> None:
        task: Any = self.task
        if isinstance(task, Task):
            if self.task_options:
                raise OptionError(
                    "task_options", f"must be left out where task is a Task, got {shown(self.task_options)}"
                )
            return
        known = inspect.signature(TASKS[require_choice("task", task, TASKS)]).parameters
        found = {}
        for option, value in self.task_options.items():
            declared = TASK_OPTIONS.get(option)
            if option not in known and declared and declared.only:
                tasks, hint = " or ".join(declared.only[1]), suggestion(option, known)
                raise OptionError(option, f"must be left out unless task is {tasks}{hint}")
            if option not in known:
                raise OptionError("task_options", f"must be options of {task}, got {shown(option)}")
            found[option] = declared.check(value) if declared else value
        object.__setattr__(self, "task_options", found)

    @property
    def defaults(self) -> Defaults:
        """What suits the task."""
        return getattr(TASKS[self.task] if isinstance(self.task, str) else self.task, "defaults", GENERAL)

    def _what_suits(self) -> dict[str, Any]:
        """The options that are left to the task, by name."""
        defaults = self.defaults
        names = ("cell", "state_size", "batch_size", "optimizer", "learning_rate", "clip_norm")
        state_size = defaults.state_size if self.state_size is SUITS_TASK else self.state_size
        embeds = defaults.embeds or self.tied is True
        return {name: getattr(defaults, name) for name in names} | {
            "embedding_size": state_size if embeds else None
        }

    def _settle_cell_options(self) -> None:
        suits = self.defaults.cell_options if self.cell == self.defaults.cell else {}
        found = {}
        for option, value in {**suits, **self.cell_options}.items():
            if option not in CELL_OPTIONS:
                raise OptionError(
                    "cell_options", f"must be of {', '.join(CELL_OPTIONS)}, got {shown(option)}"
                )
            found[option] = CELL_OPTIONS[option].check(value)
            if self.init_scale is not None and option in ("recurrent_init", "recurrent_gain"):
                raise OptionError(option, "must be left out where init_scale is given")
        object.__setattr__(self, "cell_options", found)

    @property
    def task_name(self) -> str:
        """The task's name."""
        return self.task if isinstance(self.task, str) else self.task.name

    def make_task(self) -> Task:
        """Returns the task: the one given, or a new one of the given name.

        Raises:
            OptionError: If an option of the task is not allowed.
        """
        return make_task(self.task, **self.task_options) if isinstance(self.task, str) else self.task


def require_meaning(setup: Setup, given: Iterable[str]) -> None:
    """Raises OptionError for an option of the network that was given and has no meaning beside the others."""
    for name in given:
        only = NETWORK_OPTIONS[name].only if name in NETWORK_OPTIONS else None
        if only and not _matters(setup, name):
            raise OptionError(name, f"must be left out unless {only[0]} is {' or '.join(only[1])}")


def task_of(options: Mapping[str, Any]) -> str:
    """The task that options without one mean: that of a file if there is one, else "echo".

    A table is for series, or for labels if other options are for labels alone; any other file is a text, or
    words likewise, or a table after all if other options are for tables alone.

    Args:
        options: Options by name; those of tasks count.
    """
    data = options.get("data")
    if data is None or not isinstance(data, str | os.PathLike):
        return str(TASK.default)
    kinds = [name for name, kind in TASKS.items() if "data" in inspect.signature(kind).parameters]
    usual = [name for name in kinds if (name in TABLES) == is_table(data)]
    given = [TASK_OPTIONS[name].only for name in options if name in TASK_OPTIONS]
    fitting = [kind for kind in (*usual, *TABLES) if all(only is None or kind in only[1] for only in given)]
    return (fitting or usual)[0]


def setup_identity(setup: Setup, task: Task) -> dict[str, Any]:
    """All that determines the results of a setup, ready for JSON: its options and its data.

    Args:
        setup: What is trained.
        task: The setup's task.
    """
    identity = {field.name: getattr(setup, field.name) for field in dataclasses.fields(setup)}
    for name in ONLY_WHERE_USED:
        if identity[name] == NETWORK_OPTIONS[name].default:
            del identity[name]
    identity |= {"task": task.name, "task_options": task.options()}
    data, lengths = getattr(task, "sha256", None), getattr(task, "lengths", ())
    identity |= {"data_sha256": data} if data else {}
    return identity | ({"data_lengths": list(lengths)} if len(lengths) > 1 else {})


def options_file(command: str, setup: Setup, task: Task | None, **more: Any) -> str | None:
    """The content of `run.toml`, with which a command can be repeated; None for a task that has no name.

    Args:
        command: The command.
        setup: What is trained.
        task: The setup's task; None if it is not made, so that only its given options are known.
        **more: The options of the command itself.
    """
    options = {"task": TASK, **TASK_OPTIONS, **NETWORK_OPTIONS, **CELL_OPTIONS}
    if setup.task not in TASKS or not setup.task_options.keys() <= {*TASK_OPTIONS, *FROM_ORIGIN}:
        return None
    of_task = task.options() if task else setup.task_options
    of_network = {name: getattr(setup, name) for name in NETWORK_OPTIONS}
    values = {"task": setup.task, **of_task, **of_network, **setup.cell_options}
    values = {name: value for name, value in values.items() if name in options and not _is_empty(value)}
    return options_text(command, values | more, COMMAND_OPTIONS | options)


def _is_empty(value: Any) -> bool:
    return isinstance(value, tuple | list) and not value


def setup_line(setup: Setup, amount: str, learning_rates: Sequence[float] = ()) -> str:
    """One line for reports: task, network and training, and every option that is not what suits the task.

    Args:
        setup: What is trained.
        amount: For how long, in words.
        learning_rates: Those that are tried; none for that of the setup.
    """
    rates = " or ".join(f"{rate:g}" for rate in learning_rates or [setup.learning_rate])
    usual = Setup(task=setup.task, state_size=setup.state_size)
    named = {"task", "cell", "state_size", "num_layers", "batch_size", "optimizer", "learning_rate"}
    layers = f"{setup.num_layers} x " if setup.num_layers > 1 else ""
    parts = [
        f"Task {_with_options(setup)}",
        f"cell {setup.cell} {layers}{setup.state_size}",
        *(_words(name, value) for name, value in sorted(setup.cell_options.items())),
        f"batch {setup.batch_size}",
        f"{setup.optimizer} {rates}",
    ]
    for name in NETWORK_OPTIONS:
        value = getattr(setup, name)
        if name in named or not _matters(setup, name):
            continue
        if value != getattr(usual, name) or (name == "clip_norm" and value is not None):
            parts.append(_words(name, value))
    return ", ".join([*parts, amount])


def _with_options(setup: Setup) -> str:
    options = ", ".join(_words(name, value) for name, value in setup.task_options.items())
    return f"{setup.task_name} ({options})" if options else setup.task_name


def _matters(setup: Setup, name: str) -> bool:
    """Whether an option has a meaning beside the values of the others."""
    only = NETWORK_OPTIONS[name].only
    return only is None or getattr(setup, only[0]) in only[1]


def _words(name: str, value: Any) -> str:
    plain = name.replace("_", " ")
    if isinstance(value, bool) or value is None:
        return plain if value else f"{plain} off"
    title = TITLES.get(name, plain)
    if isinstance(value, tuple | list):
        return f"{title} {' '.join(map(str, value))}"
    is_rounded = isinstance(value, float) and name not in CELL_OPTIONS
    return f"{title} {value:g}" if is_rounded else f"{title} {visible(str(value))}"


def check_setup(setup: Setup, task: Task, num_steps: Sequence[int]) -> None:
    """Raises OptionError unless a setup suits its task, and the task's data all lengths of the graph.

    Args:
        setup: What is to be trained.
        task: The setup's task.
        num_steps: The lengths.
    """
    for width in num_steps:
        TRAINING_OPTIONS["num_steps"].check(width)
    _check_cell(setup, task)
    Truncation(setup.style, setup.stride, setup.tolerance).check_widths(min(num_steps), task.loss_steps)
    check_weights(setup.style, task)
    if setup.embedding_size is not None and task.input_kind != "classes":
        inputs = NOT_EMBEDDED[task.input_kind]
        raise OptionError("embedding_size", f"must be left out for the task {task.name}, {inputs}")
    if setup.tied and task.num_classes != task.input_size:
        raise OptionError(
            "tied",
            f"must be left out for the task {task.name}, which has {task.input_size} classes of inputs "
            f"and {task.num_classes} of targets",
        )
    task.blocks(setup.batch_size, max(num_steps))
    check_rows(setup.style, task, setup.batch_size)


def _check_cell(setup: Setup, task: Task) -> None:
    for option in setup.cell_options:
        only = CELL_OPTIONS[option].only
        if only and setup.cell not in only[1]:
            raise OptionError(option, f"must be left out unless cell is {only[1][0]}, got {setup.cell!r}")
    predicts = setup.cell in CELLS_THAT_PREDICT
    if predicts != (task.readout == "none"):
        fitting = [cell for cell in CELLS if (cell in CELLS_THAT_PREDICT) != predicts]
        raise OptionError(
            "cell", f"must be {' or '.join(fitting)} for the task {task.name}, got {setup.cell!r}"
        )
    changed = {name: getattr(setup, name) for name in ("num_layers", "precision")}
    changed = {name: value for name, value in changed.items() if value != NETWORK_OPTIONS[name].default}
    for option, value in {**changed, **setup.cell_options}.items():
        if predicts:
            raise OptionError(option, f"must be left out where cell is {setup.cell}, got {value!r}")


def check_weights(style: str, task: Task) -> None:
    """Raises OptionError if a truncation scheme cannot weigh targets, and the task's have weights."""
    if task.has_target_weights and STYLES[style].needs_all_losses:
        fitting = " or ".join(name for name, kind in STYLES.items() if not kind.needs_all_losses)
        raise OptionError("style", f"must be {fitting} where targets have weights, got {style!r}")


def check_rows(style: str, task: Task, batch_size: int) -> None:
    """Raises OptionError if a truncation scheme makes one graph of a task's row, and it is too long."""
    if style != "full":
        return
    length = task.row_length(batch_size)
    if length > LARGEST_WIDTH:
        raise OptionError(
            "style",
            f"must be another than 'full' where a row has more than {LARGEST_WIDTH} steps; "
            f"here it has {length}",
        )
