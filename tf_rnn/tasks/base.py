"""What every task offers: tokens as a stream or in blocks, and losses to compare with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
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
    """

    batch_size: int
    optimizer: str
    learning_rate: float
    tokens: int


class Task(ABC):
    """Something to learn: a target for every step of an endless or a finite sequence of inputs.

    A task knows nothing of graphs. It hands out tokens, in the order of time, and says what loss
    (cross-entropy in nats per token) named predictors reach, where that can be derived.

    Attributes:
        name: The word under which `TASKS` knows the task.
        defaults: The settings of training that suit it.
        input_kind: "classes", "real" or "none": what a graph is fed at every step.
        token: What a person calls one step of the stream.
        input_size: The number of input classes, or of real values a step.
        num_classes: The number of target classes.
        lags: The distances in time over which targets depend on inputs, where they are known.
    """

    name: ClassVar[str]
    defaults: ClassVar[Defaults]
    input_kind: ClassVar[str] = "classes"
    token: ClassVar[str] = "step"

    input_size: int
    num_classes: int
    lags: tuple[int, ...] = ()

    @abstractmethod
    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the tokens of a split, in order.

        Args:
            split: "train" or "valid" (held out).
            epoch: The number of the pass over the split, from 0; the same split and epoch always
                give the same tokens.

        Returns:
            Inputs `[length]` or `[length, input_size]`, and targets `[length]`.

        Raises:
            OptionError: `split` is no split, or `epoch` is no whole number of at least 0.
        """

    def rows(self, batch_size: int, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the split as contiguous rows, in order.

        The last `length % batch_size` tokens do not fill all rows and are dropped: with
        `batch_size=1` nothing is.

        Args:
            batch_size: The number of rows.
            split: "train" or "valid".
            epoch: As for `stream`.

        Returns:
            Inputs and targets `[batch_size, length // batch_size]`; see `cut_rows`.

        Raises:
            OptionError: An option is not allowed, or the split has fewer tokens than rows.
        """
        return cut_rows(self.stream(split, epoch), batch_size, source=f"split {split!r}")

    def blocks(
        self, batch_size: int, num_steps: int, split: str = "train", epoch: int = 0
    ) -> Iterator[Stream]:
        """Returns the split in blocks; row r of block i + 1 continues row r of block i.

        Args:
            batch_size: The number of rows.
            num_steps: The width of a block.
            split: "train" or "valid".
            epoch: As for `stream`.

        Returns:
            An iterator over inputs and targets `[batch_size, num_steps]`, which ends before a
            ragged last block; see `cut_blocks`.

        Raises:
            OptionError: At the call: an option is not allowed, or the split is too short for it.
        """
        stream = self.stream(split, epoch)
        return cut_blocks(stream, batch_size, num_steps, source=f"split {split!r}")

    def baselines(self) -> dict[str, float]:
        """Returns expected losses, nats, of reference predictors by name, in the order to draw."""
        return {}

    def optimum(self) -> float | None:
        """Returns the lowest possible expected loss, nats, or None where it is not known."""
        return None

    def floor(self, num_steps: int) -> float | None:
        """Returns the lowest expected loss if the state is reset to zero before each block.

        Args:
            num_steps: The width of a block.

        Returns:
            Nats per token, the mean over the steps of a block, or None where it is not known.
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

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON.

        `TASKS[task.name](**task.options())` is an equal task.
        """
