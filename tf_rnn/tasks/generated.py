"""What tasks have in common whose data are drawn at random: as much as one likes, and repeatable."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tf_rnn.options import OptionError, require_choice, require_whole, shown
from tf_rnn.tasks.base import Task

if TYPE_CHECKING:
    from tf_rnn.tasks.stream import Stream


class Generated(Task):
    """A task whose every seed, split and epoch has data of its own.

    Args:
        seed: The number from which all data follow, at least 0.
        length: Tokens in an epoch of the split "train", at least one example. What is more than
            whole examples is left out.
        valid_length: Tokens in the split "valid", likewise.
        period: The length of an example; 1 if there are none.

    Attributes:
        period_option: What makes examples longer, if there are any.

    Raises:
        OptionError: A value is not allowed.
    """

    period_option: ClassVar[str] = ""

    def __init__(self, seed: int, length: int, valid_length: int, period: int = 1) -> None:
        self.seed = require_whole("seed", seed, at_least=0)
        self.period = period
        self.length = self._whole_examples("length", length)
        self.valid_length = self._whole_examples("valid_length", valid_length)

    @abstractmethod
    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws data; the same state of `rng` gives the same.

        Args:
            rng: Where randomness comes from.
            length: Tokens, a multiple of `period`.

        Returns:
            Inputs and targets, as `Task.stream` says.
        """

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns `length` (or `valid_length`) tokens; see `Task.stream`."""
        number = self.splits.index(require_choice("split", split, self.splits))
        epoch = require_whole("epoch", epoch, at_least=0)
        rng = np.random.default_rng([self.seed, number, epoch])
        return self.draw(rng, (self.length, self.valid_length)[number])

    def lasting(self, tokens: int) -> Self:
        """Returns the task with at least so many tokens in an epoch; see `Task.lasting`."""
        if tokens <= self.length:
            return self
        return type(self)(**(self.options() | {"length": tokens}))

    def options(self) -> dict[str, Any]:
        """Returns the options that all these tasks have, ready for JSON."""
        return {"seed": self.seed, "length": self.length, "valid_length": self.valid_length}

    def _whole_examples(self, option: str, length: Any) -> int:
        """Returns the length without what is more than whole examples, or raises OptionError."""
        whole = require_whole(option, length)
        if whole < self.period and whole == inspect.signature(type(self)).parameters[option].default:
            raise OptionError(
                self.period_option,
                f"must make examples of at most {whole} steps, as many as {option} has; "
                f"they would have {shown(self.period)}",
            )
        if whole < self.period:
            raise OptionError(
                option, f"must be at least {shown(self.period)}, the length of one example, got {whole}"
            )
        return whole - whole % self.period
