"""Options: what each may be, and the one error that says what is allowed.

Shared by scripts, the command line, notebooks and saved results, so that all use the same words. The words
that an option allows are listed here, so that they can be checked before TensorFlow is loaded; the
registries that give them meaning (`CELLS`, `OPTIMIZERS`, ...) are where the meaning is.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

LONGEST_SHOWN = 200


class OptionError(ValueError):
    """A value that an option does not allow.

    In Python the message begins with the option's name (`num_steps must be ...`); the command line
    puts its own spelling of the same name before the same words (`--num-steps must be ...`).

    Args:
        option: The option's Python name, for instance `num_steps`.
        problem: The rest of the sentence: what is allowed, and what was given.
    """

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(option, problem)
        self.option = option
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.option} {self.problem}"


def require_whole(option: str, value: Any, *, at_least: int = 1, at_most: int | None = None) -> int:
    """Returns `value` as an int, or raises OptionError unless it is a whole number within the limits."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or int(value) < at_least:
        raise OptionError(option, f"must be a whole number of at least {at_least}, got {shown(value)}")
    if at_most is not None and int(value) > at_most:
        raise OptionError(option, f"must be a whole number of at most {at_most}, got {shown(value)}")
    return int(value)


def shown(value: Any) -> str:
    """A value as an error shows it, on one line, the middle of what is long left out."""
    try:
        text = repr(value)
    except Exception:  # numbers of thousands of digits, or whatever a strange object does
        text = f"{type(value).__name__} that cannot be shown"
    text = " ".join(text.splitlines())
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN // 2]} ... {text[-20:]}"


def require_number(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is a finite number."""
    number = _as_number(value)
    if not math.isfinite(number):
        raise OptionError(option, f"must be a number, got {shown(value)}")
    return number


def _as_number(value: Any) -> float:
    """The value as a float; nan for what is no number: words, truth values, None, arrays."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def require_positive(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is finite and above 0."""
    number = _as_number(value)
    if not 0 < number < float("inf"):
        raise OptionError(option, f"must be a number above 0, got {shown(value)}")
    return number


def require_not_negative(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is finite and at least 0."""
    number = _as_number(value)
    if not 0 <= number < float("inf"):
        raise OptionError(option, f"must be a number of at least 0, got {shown(value)}")
    return number


def require_fraction(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is above 0 and below 1."""
    fraction = _as_number(value)
    if not 0 < fraction < 1:
        raise OptionError(option, f"must be a number above 0 and below 1, got {shown(value)}")
    return fraction


def require_share(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is at least 0 and below 1."""
    share = _as_number(value)
    if not 0 <= share < 1:
        raise OptionError(option, f"must be a number of at least 0 and below 1, got {shown(value)}")
    return share


def require_recompute(option: str, value: Any) -> int | str:
    """Returns `value`, or raises OptionError unless it is "sqrt" or a whole number of steps."""
    if isinstance(value, str) and value == "sqrt":
        return "sqrt"
    try:
        return require_whole(option, value)
    except OptionError as error:
        raise OptionError(option, f"must be 'sqrt' or a whole number of steps, got {shown(value)}") from error


def require_choice(option: str, value: Any, allowed: Collection[str]) -> str:
    """Returns `value`, or raises OptionError unless it is one of the `allowed` words."""
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(option, f"must be one of {', '.join(allowed)}; got {shown(value)}")
    return value


CELLS = ("vanilla", "gru", "lstm", "influence")
INPUT_KINDS = ("classes", "real", "none")
LOSSES = ("cross_entropy", "squared_error")
LOSS_STEPS = ("all", "last", "marked")
READOUTS = ("linear", "tied", "none")
ACTIVATIONS = ("tanh", "relu")
RECURRENT_INITS = ("orthogonal", "glorot", "identity")
REDUCTIONS = ("mean", "sum")
OPTIMIZERS = ("sgd", "momentum", "adagrad", "adam", "rmsprop")
DTYPES = ("float32", "float64")
STYLES = ("block", "sliding", "random", "adaptive", "full")
SCHEDULES = ("constant", "step", "cosine", "plateau")
SCHEDULES_THAT_WAIT = ("step", "plateau")
# These are drawn over the whole budget: with another one they would have been others from the start.
SCHEDULES_OVER_BUDGET = ("cosine",)
STATES = ("carry", "reset")
CHECKPOINTS_TO_USE = ("best", "last")
BUDGETS = ("tokens", "updates", "seconds", "epochs")
# Of layers, seeds, threads: more is a slip of the hand, and would be made one by one.
MOST = 10_000
# What TensorFlow counts with.
LARGEST_SIZE = 2**31 - 1
# A wider graph would take minutes to build and gigabytes to hold, whatever its cell.
LARGEST_WIDTH = 10_000
LARGEST_NUMBERS = {"float32": 3.4028234663852886e38, "float64": math.inf}
EXCHANGES = ("sync", "async")


def require_number_of(option: str, value: float, dtype: str) -> None:
    """Raises OptionError for a number that is inf where `dtype` must hold it."""
    if abs(value) > LARGEST_NUMBERS[dtype]:
        raise OptionError(option, f"must be a number that {dtype} has, got {shown(value)}")


def require_row(length: int) -> None:
    """Raises OptionError if a row has too many steps for the style that makes one graph of it."""
    if length > LARGEST_WIDTH:
        raise OptionError(
            "style",
            f"must be another than 'full' where a row has more than {LARGEST_WIDTH} steps; "
            f"here it has {length}",
        )


def require_schedule(name: str, decay: float, decay_after: int | None) -> None:
    """Raises OptionError unless these make a learning rate's schedule; see `tf_rnn.training.Schedule`."""
    require_choice("schedule", name, SCHEDULES)
    require_fraction("decay", decay)
    if decay_after is None:
        return
    require_whole("decay_after", decay_after)
    if name not in SCHEDULES_THAT_WAIT:
        raise OptionError(
            "decay_after",
            f"must be left out unless schedule is {' or '.join(SCHEDULES_THAT_WAIT)}, got {name!r}",
        )


# The options that only some cells have, or that not all networks need.
CELL_OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    "activation": functools.partial(require_choice, allowed=ACTIVATIONS),
    "forget_bias": require_number,
    "recurrent_init": functools.partial(require_choice, allowed=RECURRENT_INITS),
    "recurrent_gain": require_positive,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GraphOptions:
    """Everything about a graph but its cell; see `UnrolledGraph` for what each option means.

    Raises:
        OptionError: If an option is not allowed, or two do not go together.
    """

    num_steps: int
    batch_size: int
    input_size: int
    num_classes: int
    input_kind: str = "classes"
    embedding_size: int | None = None
    loss: str = "cross_entropy"
    loss_steps: str | int = "all"
    readout: str = "linear"
    reduction: str = "mean"
    optimizer: str | None = "adagrad"
    learning_rate: float = 0.1
    clip_norm: float | None = None
    dropout: float = 0.0
    init_scale: float | None = None
    recompute: int | str | None = None
    dtype: str = "float32"
    seed: int | None = None

    def __post_init__(self) -> None:
        require_whole("num_steps", self.num_steps, at_most=LARGEST_WIDTH)
        for option in ("batch_size", "num_classes"):
            require_whole(option, getattr(self, option), at_most=LARGEST_SIZE)
        require_choice("input_kind", self.input_kind, INPUT_KINDS)
        require_choice("loss", self.loss, LOSSES)
        require_choice("readout", self.readout, READOUTS)
        require_choice("reduction", self.reduction, REDUCTIONS)
        require_choice("dtype", self.dtype, DTYPES)
        require_positive("learning_rate", self.learning_rate)
        if self.optimizer is not None:
            require_choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.clip_norm is not None:
            require_positive("clip_norm", self.clip_norm)
        if self.seed is not None:
            require_whole("seed", self.seed, at_least=0)
        require_share("dropout", self.dropout)
        if self.init_scale is not None:
            require_positive("init_scale", self.init_scale)
        self._check_representable()
        if self.recompute is not None:
            require_recompute("recompute", self.recompute)
        self._check_loss_steps()
        self._check_inputs()
        self._check_tied()

    def _check_representable(self) -> None:
        for option in ("learning_rate", "clip_norm", "init_scale"):
            value = getattr(self, option)
            if value is not None:
                require_number_of(option, value, self.dtype)

    def _check_loss_steps(self) -> None:
        if isinstance(self.loss_steps, str) and self.loss_steps in LOSS_STEPS:
            return
        try:
            require_whole("loss_steps", self.loss_steps, at_most=self.num_steps)
        except OptionError as error:
            raise OptionError(
                "loss_steps",
                f"must be one of {', '.join(LOSS_STEPS)}, or a whole number from 1 to num_steps "
                f"({self.num_steps}); got {shown(self.loss_steps)}",
            ) from error

    def _check_inputs(self) -> None:
        if self.input_kind == "none":
            size: Any = self.input_size
            if not isinstance(size, numbers.Integral) or size != 0:
                raise OptionError("input_size", f"must be 0 where input_kind is 'none', got {shown(size)}")
        else:
            require_whole("input_size", self.input_size, at_most=LARGEST_SIZE)
        if self.embedding_size is not None:
            require_whole("embedding_size", self.embedding_size, at_most=LARGEST_SIZE)
            if self.input_kind != "classes":
                raise OptionError(
                    "embedding_size",
                    f"must be None unless input_kind is 'classes', got {self.embedding_size!r}",
                )

    def _check_tied(self) -> None:
        if self.readout != "tied":
            return
        if self.embedding_size is None:
            raise OptionError("embedding_size", "must be given where readout is 'tied', got None")
        if self.num_classes != self.input_size:
            raise OptionError(
                "num_classes",
                f"must be input_size ({self.input_size}) where readout is 'tied', got {self.num_classes}",
            )

    @property
    def vector_size(self) -> int:
        """Size of the vector that the cell reads at each step."""
        return self.embedding_size or self.input_size

    @property
    def num_loss_steps(self) -> int:
        """How many of the last steps have a loss that counts."""
        if isinstance(self.loss_steps, str):
            return {"all": self.num_steps, "marked": self.num_steps, "last": 1}[self.loss_steps]
        return int(self.loss_steps)

    @property
    def segment_steps(self) -> int:
        """How many steps lie between two states that are kept for the backward pass."""
        if self.recompute is None:
            return self.num_steps
        steps = math.ceil(math.sqrt(self.num_steps)) if self.recompute == "sqrt" else int(self.recompute)
        return min(steps, self.num_steps)

    @property
    def rows(self) -> int:
        """Examples times steps: how many vectors one run of the graph reads."""
        return self.batch_size * self.num_steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What is trained on what: all that the commands have in common.

    Attributes:
        task: A name in `tf_rnn.tasks.TASKS`.
        task_options: The task's own options.
        cell: A name in `tf_rnn.cells.CELLS`.
        state_size: Units of each layer.
        num_layers: Layers upon each other.
        cell_options: The cell's further options.
        batch_size: Examples side by side.
        optimizer: By name.
        learning_rate: The optimizer's rate.
        clip_norm: Upper limit on the gradient's norm, or None.
        reduction: "mean" or "sum" of the losses over the steps of a block.
        embedding_size: Size of a learnt vector for each input class; None for unit vectors.
        tied: Whether the readout's weights are those of the embedding.
        dropout: The share of the connections between layers that is dropped in training.
        init_scale: Initial weights are uniform in +-init_scale; None for what suits the cell.
        recompute: Every how many steps a state is kept for the backward pass; see `UnrolledGraph`.
        style: The truncation style, a name in `tf_rnn.truncation.STYLES`.
        stride: For the style "sliding": how many of a window's errors are new.
        tolerance: For the style "adaptive": the share of the gradient that may be cut off.

    Raises:
        OptionError: If an option is not allowed.
    """

    task: str
    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    cell: str = "vanilla"
    state_size: int = 16
    num_layers: int = 1
    cell_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    batch_size: int = 200
    optimizer: str = "adagrad"
    learning_rate: float = 0.1
    clip_norm: float | None = None
    reduction: str = "mean"
    embedding_size: int | None = None
    tied: bool = False
    dropout: float = 0.0
    init_scale: float | None = None
    recompute: int | str | None = None
    style: str = "block"
    stride: int = 1
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        require_choice("cell", self.cell, CELLS)
        require_choice("optimizer", self.optimizer, OPTIMIZERS)
        require_choice("style", self.style, STYLES)
        for option in ("state_size", "batch_size", "stride"):
            require_whole(option, getattr(self, option))
        require_whole("num_layers", self.num_layers, at_most=MOST)
        require_positive("learning_rate", self.learning_rate)
        require_fraction("tolerance", self.tolerance)
        require_choice("reduction", self.reduction, REDUCTIONS)
        require_share("dropout", self.dropout)
        for option in ("clip_norm", "init_scale"):
            if getattr(self, option) is not None:
                require_positive(option, getattr(self, option))
        if self.recompute is not None:
            require_recompute("recompute", self.recompute)
        for option in ("task_options", "cell_options"):
            given: Any = getattr(self, option)
            if not isinstance(given, dict):
                raise OptionError(option, f"must be a dictionary of options, got {shown(given)}")
        for option, require in CELL_OPTIONS.items():
            if option in self.cell_options:
                require(option, self.cell_options[option])
        tied: Any = self.tied
        if not isinstance(tied, bool):
            raise OptionError("tied", f"must be True or False, got {shown(tied)}")
        self._check_embedding()

    def _check_embedding(self) -> None:
        if self.embedding_size is not None:
            require_whole("embedding_size", self.embedding_size)
        if self.tied and self.embedding_size != self.state_size:
            raise OptionError(
                "embedding_size",
                f"must be state_size ({self.state_size}) where the readout is tied, "
                f"got {self.embedding_size}",
            )
        for option in ("recurrent_init", "recurrent_gain"):
            if self.init_scale is not None and option in self.cell_options:
                raise OptionError(option, "must be left out where init_scale is given")
