"""A training run as a value: everything that changes while it is trained."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.naming import saved_names, weight_names
from tf_rnn.graph.session import assign
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.graph import UnrolledGraph


class CurvePoint(NamedTuple):
    """One evaluation during training.

    Attributes:
        updates: Training steps so far.
        tokens: Rows times time steps so far.
        seconds: Training time so far, without evaluations.
        train_loss: Mean training loss per time step since the previous point; nan at the start.
        valid_loss: Validation loss.
        epoch: Number of the epoch, from 1; 0 at the start.
    """

    updates: int
    tokens: int
    seconds: float
    train_loss: float
    valid_loss: float
    epoch: int


class StreamPosition(NamedTuple):
    """A position in the stream of training data.

    In every epoch the rows are read in windows. A run resumed at another width starts a new series of
    windows in the middle of the rows, at `offset`.

    Attributes:
        epoch: Number of the epoch, from 0.
        offset: Time step of the rows at which the series of windows begins, usually 0.
        windows: Windows of the series that have been trained on.
        start: Time step of the rows at which the next window begins.
        measured: Gradient norms by lag measured in this series (style "adaptive"), in order.
    """

    epoch: int = 0
    offset: int = 0
    windows: int = 0
    start: int = 0
    measured: tuple[np.ndarray, ...] = ()

    def for_new_width(self) -> StreamPosition:
        """The same position with a new series of windows over the rest of the rows."""
        return StreamPosition(self.epoch, offset=self.start, start=self.start)


@dataclasses.dataclass
class History:
    """Counts, sums and learning curve of a run.

    Attributes:
        updates: Training steps.
        tokens: Rows times time steps.
        epochs: Completed epochs.
        epoch_updates: Updates in the current epoch.
        epoch_tokens: Tokens in the current epoch.
        seconds: Training time, without evaluations.
        largest_norm: Largest gradient norm, before clipping.
        loss_sum: Sum of the training losses since the last point of the curve.
        loss_count: Number of these losses.
        curve: The evaluations.
    """

    updates: int = 0
    tokens: int = 0
    epochs: int = 0
    epoch_updates: int = 0
    epoch_tokens: int = 0
    seconds: float = 0.0
    largest_norm: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    curve: list[CurvePoint] = dataclasses.field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Number of the epoch of the last update, from 1; 0 before any."""
        return self.epochs + (self.epoch_updates > 0)

    @property
    def mean_loss(self) -> float:
        """Mean training loss since the last point of the curve; nan without updates."""
        return self.loss_sum / self.loss_count if self.loss_count else math.nan

    @property
    def valid_losses(self) -> list[float]:
        """Validation losses after training began, in order."""
        return [point.valid_loss for point in self.curve[1:]]

    @property
    def evaluations_since_best(self) -> int:
        """Number of evaluations since the lowest validation loss."""
        losses = self.valid_losses
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def count(self, loss: float, gradient_norm: float, tokens: int, seconds: float) -> None:
        """Counts an update.

        Args:
            loss: Mean loss per time step.
            gradient_norm: Before clipping.
            tokens: Rows times time steps whose loss counted for the first time.
            seconds: Training time so far.
        """
        self.updates += 1
        self.tokens += tokens
        self.epoch_updates += 1
        self.epoch_tokens += tokens
        self.seconds = seconds
        self.largest_norm = max(self.largest_norm, gradient_norm)  # max keeps its first argument over a nan
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            self.loss_sum += loss
            self.loss_count += 1

    def end_epoch(self) -> None:
        """Counts a completed epoch."""
        self.epochs += 1
        self.epoch_updates = self.epoch_tokens = 0

    def add_point(self, point: CurvePoint) -> None:
        """Adds an evaluation to the curve."""
        self.curve.append(point)
        self.loss_sum, self.loss_count = 0.0, 0


class Best(NamedTuple):
    """The checkpoint with the lowest validation loss.

    Attributes:
        number: Its number.
        valid_loss: Its loss.
    """

    number: int
    valid_loss: float


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """A training run at one moment.

    Attributes:
        config: The run's configuration.
        variables: Weights and optimizer slots by name: `layer_0/W`, `layer_0/W/m`, ...
        carried: The state after the last update, a flat list of arrays [batch_size, state_size]; None
            before any.
        position: Where in the stream of training data.
        history: What has been done.
        best: The best checkpoint up to and including this state; None before any evaluation.
        vocabulary: Tokens of a language task, in the order of their classes; else None.
    """

    config: dict[str, Any]
    variables: dict[str, np.ndarray]
    carried: list[np.ndarray] | None = None
    position: StreamPosition = dataclasses.field(default_factory=StreamPosition)
    history: History = dataclasses.field(default_factory=History)
    best: Best | None = None
    vocabulary: tuple[str, ...] | None = None

    def restore(self, option: str, graph: UnrolledGraph, session: Any) -> None:
        """Gives the variables of a session their values.

        Args:
            option: The option named in an error.
            graph: Whose variables.
            session: An open session of the graph.

        Raises:
            OptionError: If names or shapes differ from those of the graph.
        """
        restore(option, session, saved_names(graph), self.variables)

    def fitted(self, graph: UnrolledGraph, workers: int = 1) -> TrainingState:
        """The state for a graph of another width or batch size.

        Another width continues at the same time step of the rows. Another batch size means other rows:
        the epoch begins again, with a state of zero.

        Args:
            graph: The graph.
            workers: Number of processes that train a graph like this one together.

        Raises:
            OptionError: For `resume`, if the carried state does not have the graph's shapes.
        """
        saved = self.config["graph"]
        if saved["batch_size"] != graph.batch_size * workers:
            history = dataclasses.replace(self.history, epoch_updates=0, epoch_tokens=0)
            position = StreamPosition(self.position.epoch)
            return dataclasses.replace(self, carried=None, position=position, history=history)
        if self.carried is not None:
            zeros = [np.repeat(part, workers, axis=0) for part in tf.nest.flatten(graph.zero_state())]
            wanted, found = _outline(zeros), _outline(self.carried)
            if found != wanted:
                raise OptionError("resume", f"must hold a state of {wanted}, got {found}")
        if saved["num_steps"] != graph.num_steps:
            return dataclasses.replace(self, position=self.position.for_new_width())
        return self


def _outline(arrays: list[np.ndarray]) -> str:
    return ", ".join(f"{array.dtype} {list(array.shape)}" for array in arrays)


def read_variables(graph: UnrolledGraph, session: Any) -> dict[str, np.ndarray]:
    """Weights and optimizer slots by name, in one run of the session."""
    values: dict[str, np.ndarray] = session.run(saved_names(graph))
    return values


def read_weights(graph: UnrolledGraph, session: Any) -> dict[str, np.ndarray]:
    """The weights by name: `layer_0/W`, `readout/U`, ..."""
    values: dict[str, np.ndarray] = session.run(weight_names(graph))
    return values


def restore(option: str, session: Any, variables: dict[str, Any], values: dict[str, np.ndarray]) -> None:
    """Assigns values to variables by name, without adding an operation to the graph.

    Args:
        option: The option named in an error.
        session: An open session.
        variables: By name.
        values: By name; more names than variables are allowed.

    Raises:
        OptionError: If a value is missing, or its shape or dtype differs.
    """
    for name, variable in variables.items():
        wanted = f"{variable.dtype.base_dtype.name} {variable.shape.as_list()}"
        found = _outline([values[name]]) if name in values else "nothing"
        if found != wanted:
            raise OptionError(
                option, f"must hold the variables of its configuration: {name} is {found}, not {wanted}"
            )
    assign(session, list(variables.values()), [values[name] for name in variables])
