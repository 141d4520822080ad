"""What every task offers: tokens as a stream or in blocks, and losses to compare with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from tf_rnn.tasks.stream import Stream, cut_blocks, cut_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "valid")


@dataclass(frozen=True)
class Defaults:
    """What suits a task when the user says nothing.

    Attributes:
        batch_size: Rows that are read side by side.
        optimizer: The name of the optimizer.
        learning_rate: The optimizer's learning rate.
        tokens: The training budget of one run of a comparison, in tokens.
        cell: The name of the cell.
        state_size: Its number of units.
        cell_options: The cell's further options.
        clip_norm: Upper limit on the gradient's norm, or None.
        num_steps: Widths to compare.
        longest: How many steps back to follow an error when looking where it goes.
        embeds: Whether inputs become learnt vectors, as long as the state unless said.
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


class Task(ABC):
    """Something to learn: a target for every step of an endless or a finite sequence of inputs.

    A task knows nothing of graphs. It hands out tokens, in the order of time, and says what loss
    named predictors reach, where that can be derived. Losses are means over the steps that have a
    loss, in the task's `unit`.

    A task may be made of examples of one length, its `period`, that follow one another in the
    stream without a gap; whether a state is carried from one to the next is the trainer's business.

    Attributes:
        name: The word under which `TASKS` knows the task.
        defaults: The settings of training that suit it.
        splits: The names of the parts of its data: one to learn from, the others held out.
        input_kind: "classes", "real" or "none": what a graph is fed at every step.
        token: What a person calls one step of the stream.
        loss: "cross_entropy" of classes, or "squared_error" of real values.
        loss_steps: "all" where every step has a loss; "last" where the last step of a block alone
            is to have one; or "marked" where only the steps with a target have one (the target of
            the others is -1 for classes, nan for real values).
        unit: What losses are counted in.
        input_size: The number of input classes, or of real values a step.
        num_classes: The number of target classes, or of real targets a step.
        lags: The distances in time over which targets depend on inputs and for which there are
            `dependency_scores`.
        distance: The largest distance in time from a target back to an input on which it depends,
            or None where it is not known. A graph must be wider than this for the error of every
            target to reach all that the target depends on.
        readout: "linear", or "none" where the cell's output is the prediction itself.
        warm_up: How many first tokens of a split say nothing of a model, since its state has not
            settled yet; they are left out when it is evaluated.
        period: The length of an example; 1 for a task that is not made of examples.
    """

    name: ClassVar[str]
    defaults: ClassVar[Defaults]
    splits: ClassVar[tuple[str, ...]] = SPLITS
    input_kind: ClassVar[str] = "classes"
    token: ClassVar[str] = "step"
    loss: ClassVar[str] = "cross_entropy"
    loss_steps: ClassVar[str] = "all"
    unit: ClassVar[str] = "nats"
    readout: ClassVar[str] = "linear"
    warm_up: ClassVar[int] = 0

    input_size: int
    num_classes: int
    lags: tuple[int, ...] = ()
    distance: int | None = None
    period: int = 1

    @abstractmethod
    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the tokens of a split, in order.

        Args:
            split: One of `splits`; all but "train" are held out.
            epoch: The number of the pass over the split, from 0; the same split and epoch always
                give the same tokens.

        Returns:
            Inputs `[length]` or `[length, input_size]`, and targets `[length]` or, real ones,
            `[length, num_classes]`; `length` is a multiple of `period`.

        Raises:
            OptionError: `split` is no split, or `epoch` is no whole number of at least 0.
        """

    def rows(self, batch_size: int, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the split as contiguous rows, in order.

        Every row begins with an example and ends with one. The last examples (where `period` is 1,
        tokens) that do not fill all rows are dropped: with `batch_size=1` nothing is.

        Args:
            batch_size: The number of rows.
            split: One of `splits`.
            epoch: As for `stream`.

        Returns:
            Inputs and targets `[batch_size, row_length, ...]`; see `cut_rows`.

        Raises:
            OptionError: An option is not allowed, or the split has fewer examples than rows.
        """
        stream = self.stream(split, epoch)
        return cut_rows(stream, batch_size, period=self.period, source=f"split {split!r}")

    def blocks(
        self, batch_size: int, num_steps: int, split: str = "train", epoch: int = 0
    ) -> Iterator[Stream]:
        """Returns the split in blocks; row r of block i + 1 continues row r of block i.

        The first block begins with an example in every row; the others do where `num_steps` is a
        multiple of `period`.

        Args:
            batch_size: The number of rows.
            num_steps: The width of a block.
            split: One of `splits`.
            epoch: As for `stream`.

        Returns:
            An iterator over inputs and targets `[batch_size, num_steps, ...]`, which ends before
            a ragged last block; see `cut_blocks`.

        Raises:
            OptionError: At the call: an option is not allowed, or the split is too short for it.
        """
        stream = self.stream(split, epoch)
        source = f"split {split!r}"
        return cut_blocks(stream, batch_size, num_steps, period=self.period, source=source)

    def baselines(self) -> dict[str, float]:
        """Returns expected losses of reference predictors by name, in the order to draw."""
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

    def dependency_scores(
        self,
        inputs: NDArray[np.int32],
        predictions: NDArray[np.floating[Any]],
    ) -> dict[int, float]:
        """Returns how much of the dependency at each lag predictions show: 1 learnt, 0 not at all.

        Args:
            inputs: What was fed, `[batch_size, length]`.
            predictions: What was predicted there; the task says in what form.

        Returns:
            A score by lag; empty for a task whose lags are not known.
        """
        return {}

    def lasting(self, tokens: int) -> Task:
        """Returns the task with at least so many training tokens in an epoch, if it can have them.

        At the start of an epoch nothing of what came before is known, and the updates of its first
        blocks are not like the others. Where data are made, runs need not meet such a border.
        """
        return self

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON.

        `TASKS[task.name](**task.options())` is an equal task.
        """
