"""The interface of a task: its tokens as a stream, rows or blocks, and reference losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tf_rnn.options import call_text, require_choice, require_whole
from tf_rnn.tasks.stream import (
    Stream,
    cut_blocks,
    cut_rows,
    require_row_length,
    require_stream,
    require_width,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "valid")
EPOCHS = 10.0


@dataclass(frozen=True)
class Defaults:
    """Settings suited to a task, used where the user gives none.

    Attributes:
        batch_size: The number of rows read side by side.
        optimizer: The name of the optimizer.
        learning_rate: The optimizer's learning rate.
        tokens: The training budget of one run of a comparison, in tokens.
        cell: The name of the cell.
        state_size: The number of units of the cell.
        cell_options: Further options of the cell.
        clip_norm: The upper limit on the gradient's norm, or None.
        num_steps: The widths to compare.
        longest: The number of steps over which to measure how far gradients reach back.
        embeds: Whether inputs become learnt vectors, by default as long as the state.
        epochs: The length of a training run, in passes over the training data.
    """

    batch_size: int
    optimizer: str
    learning_rate: float
    tokens: int
    cell: str = "vanilla"
    state_size: int = 16
    cell_options: dict[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    num_steps: tuple[int, ...] = (1, 2, 3, 5, 10, 20, 40)
    longest: int = 40
    embeds: bool = False
    epochs: float = EPOCHS


class Task(ABC):
    """A sequence of inputs with a target for every step, to be learnt.

    A task knows nothing of graphs. It provides tokens in the order of time, and the losses of
    reference predictors where these can be derived. Losses are means over the steps that have a
    target, in the task's `unit`.

    A task may be made of examples of one length, its `period`, which follow one another in the
    stream without a gap. Whether a state is carried from one example to the next is up to the training.

    A subclass defines at least `stream` and `options`, and sets `name`, `input_size` and `num_classes`.

    Attributes:
        name: The name of the task; its key in `TASKS` if it is registered.
        defaults: Training settings suited to the task.
        splits: The names of the parts of the data: "train" to learn from, the others held out.
        input_kind: What a graph is fed at every step: "classes", "real" or "none".
        token: The word for one step of the stream.
        loss: "cross_entropy" for classes, "squared_error" or "pinball" for real values.
        quantiles: For "pinball": target j is for the quantile j modulo their number.
        loss_steps: The steps that have a loss: "all"; "last", only the last step of each block; or
            "marked", only the steps with a target (the target of the other steps is -1 for classes,
            nan for real values).
        unit: The unit of losses.
        input_size: The number of input classes, or of real values per step.
        num_classes: The number of target classes, or of real targets per step.
        lags: The lags at which targets depend on inputs and for which `dependency_scores` exist.
        max_lag: The largest number of steps from a target back to an input on which it depends, or
            None where it is not known. In a graph of more steps than this, the error of the last
            target reaches all that it depends on.
        readout: "linear", or "none" where the cell's output is the prediction.
        warm_up: The number of first tokens of a split that evaluation leaves out, while the state
            settles.
        period: The length of an example; 1 for a task that is not made of examples.
        has_starts: Whether the stream consists of sequences of any lengths and says where each starts
            (`Stream.starts`). The state is zero there, and no gradient crosses.
        has_target_weights: Whether the stream says how much the loss of each step counts
            (`Stream.target_weights`). Losses are then weighted means.
    """

    name: str
    defaults: Defaults
    splits: tuple[str, ...] = SPLITS
    input_kind: str = "classes"
    token: str = "step"
    loss: str = "cross_entropy"
    quantiles: tuple[float, ...] | None = None
    loss_steps: str = "all"
    unit: str = "nats"
    readout: str = "linear"
    warm_up: int = 0

    input_size: int
    num_classes: int
    lags: tuple[int, ...] = ()
    max_lag: int | None = None
    period: int = 1
    has_starts: bool = False
    has_target_weights: bool = False

    def __repr__(self) -> str:
        return call_text(type(self), self.options())

    @abstractmethod
    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the tokens of a split, in order.

        Args:
            split: One of `splits`; all but "train" are held out.
            epoch: The number of the pass over the split, from 0. The same split and epoch always give
                the same tokens; all epochs of a split have the same length.

        Returns:
            Inputs `[length]` or `[length, input_size]`, and targets `[length]` or, real ones,
            `[length, num_classes]`; `length` is a multiple of `period`. Starts `[length]` if `has_starts`,
            weights `[length]` if `has_target_weights`.

        Raises:
            OptionError: `split` is not a split, or `epoch` is not a whole number of at least 0.
        """

    def length(self, split: str = "train") -> int:
        """Returns the number of tokens in an epoch of a split.

        Unless a subclass overrides it, the number is counted in the stream, once for each split.

        Args:
            split: One of `splits`.

        Raises:
            OptionError: `split` is not a split, or see `checked_stream`.
        """
        require_choice("split", split, self.splits)
        lengths: dict[str, int] = self.__dict__.setdefault("_counted_lengths", {})
        if split not in lengths:
            lengths[split] = len(self.checked_stream(split).targets)
        return lengths[split]

    def row_length(self, batch_size: int, split: str = "train") -> int:
        """Returns the length of the rows that `rows` returns, from the length of the split alone.

        Args:
            batch_size: The number of rows.
            split: One of `splits`.

        Raises:
            OptionError: As for `rows`.
        """
        return require_row_length(self.length(split), batch_size, **self._cutting(split))

    def rows(self, batch_size: int, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the split as contiguous rows, in order.

        Every row begins and ends with a whole example. The last examples (tokens, where `period` is 1)
        that do not fill all rows are dropped; with `batch_size=1` none are.

        Args:
            batch_size: The number of rows.
            split: One of `splits`.
            epoch: As for `stream`.

        Returns:
            Arrays `[batch_size, row_length, ...]`; see `cut_rows`.

        Raises:
            OptionError: An option is not allowed, or the split has fewer examples than rows.
        """
        require_whole("epoch", epoch, at_least=0)
        self.row_length(batch_size, split)
        return cut_rows(self.checked_stream(split, epoch), batch_size, **self._cutting(split))

    def blocks(
        self, batch_size: int, num_steps: int, split: str = "train", epoch: int = 0
    ) -> Iterator[Stream]:
        """Returns the split in blocks; row r of block i + 1 continues row r of block i.

        In the first block every row begins with an example; in later blocks, too, if `num_steps` is a
        multiple of `period`.

        Args:
            batch_size: The number of rows.
            num_steps: The width of a block.
            split: One of `splits`.
            epoch: As for `stream`.

        Returns:
            An iterator over inputs and targets `[batch_size, num_steps, ...]`, which ends before
            a ragged last block; see `cut_blocks`. The data are made when the first block is requested.

        Raises:
            OptionError: At the call: an option is not allowed, or the split is too short for it.
        """
        require_whole("epoch", epoch, at_least=0)
        require_width(num_steps, self.length(split), batch_size, **self._cutting(split))
        return self._blocks(batch_size, num_steps, split, epoch)

    def _blocks(self, batch_size: int, num_steps: int, split: str, epoch: int) -> Iterator[Stream]:
        stream = self.checked_stream(split, epoch)
        yield from cut_blocks(stream, batch_size, num_steps, **self._cutting(split))

    def _cutting(self, split: str) -> dict[str, Any]:
        return {"period": self.period, "source": f"split {split!r}"}

    def checked_stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns what `stream` does, after checking its form: `stream` may be a user's own.

        Raises:
            OptionError: See `require_stream`, and `stream` for other options.
        """
        return require_stream(
            self.stream(split, epoch),
            input_size=None if self.input_kind == "classes" else self.input_size,
            target_size=None if self.loss == "cross_entropy" else self.num_classes,
            has_starts=self.has_starts,
            has_target_weights=self.has_target_weights,
            source=f"split {split!r}",
        )

    def baselines(self) -> dict[str, float]:
        """Returns expected losses of reference predictors by name, in the order in which to draw them."""
        return {}

    def optimum(self) -> float | None:
        """Returns the lowest possible expected loss, or None where it is not known."""
        return None

    def floor(self, num_steps: int) -> float | None:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        Args:
            num_steps: The width of a block.

        Returns:
            The mean over the steps of all blocks of long rows, or None where it is not known.
        """
        return None

    def reference(self, num_steps: int) -> float | None:
        """Returns the loss on the split "valid" of a simple predictor that reads `num_steps` steps.

        It is no limit: a network may do better. None where there is no such predictor.
        """
        return None

    def contenders(self, widths: Sequence[int]) -> dict[str, float]:
        """Returns the losses of predictors without a network that a network should beat, by name.

        Args:
            widths: The widths of the networks, for predictors that read as many steps.
        """
        return {}

    def lines(self) -> list[str]:
        """Returns lines for people about the data that were read; none for data that were made."""
        return []

    def notes(self) -> list[str]:
        """Returns lines for people about what is read as something else."""
        return []

    def kept(self) -> dict[str, Any]:
        """Returns the options that a model keeps of its training data, to read other data in the same way."""
        return {}

    def dependency_scores(
        self,
        inputs: NDArray[np.int32],
        predictions: NDArray[np.floating[Any]],
    ) -> dict[int, float]:
        """Returns how much of the dependency at each lag predictions show: 1 learnt, 0 not at all.

        Args:
            inputs: The inputs, `[batch_size, length]`.
            predictions: The predictions for them, in a form that the task defines.

        Returns:
            A score by lag; empty for a task whose lags are not known.
        """
        return {}

    def lasting(self, tokens: int) -> Task:
        """Returns the task with at least `tokens` training tokens in an epoch, if it can have them.

        At the start of an epoch the state holds nothing of what came before, and the first updates
        differ from later ones. Where data are generated, a run need not meet such a border.
        """
        return self

    def is_current(self) -> bool:
        """Returns whether making the task again would give the same data, where these come from files."""
        return True

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON.

        For a registered task, `TASKS[task.name](**task.options())` is an equal task.
        """
