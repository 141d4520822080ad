"""Base class of tasks with random data, reproducible from a seed."""

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
    """A task with random data, different for every seed, split and epoch.

    Args:
        seed: The seed of all data, at least 0.
        length: Tokens in an epoch of the split "train", at least one example; rounded down to whole
            examples.
        valid_length: Tokens in the split "valid", likewise.
        period: The length of an example; 1 if there are none.

    Attributes:
        period_option: The option that determines the length of an example, if there are any.

    Raises:
        OptionError: A value is not allowed.
    """

    period_option: ClassVar[str] = ""

    def __init__(self, seed: int, length: int, valid_length: int, period: int = 1) -> None:
        self.seed = require_whole("seed", seed, at_least=0)
        self.period = period
        self._lengths = {
            "train": self._whole_examples("length", length),
            "valid": self._whole_examples("valid_length", valid_length),
        }

    @abstractmethod
    def draw(self, rng: np.random.Generator, length: int) -> Stream:
        """Draws data; the same state of `rng` gives the same data.

        Args:
            rng: The source of randomness.
            length: The number of tokens, a multiple of `period`.

        Returns:
            Inputs and targets, as `Task.stream` says.
        """

    def length(self, split: str = "train") -> int:
        """Returns the number of tokens in an epoch of a split; see `Task.length`. Nothing is drawn."""
        return self._lengths[require_choice("split", split, self.splits)]

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Draws the tokens of a split; see `Task.stream`."""
        length = self.length(split)
        epoch = require_whole("epoch", epoch, at_least=0)
        return self.draw(np.random.default_rng([self.seed, self.splits.index(split), epoch]), length)

    def lasting(self, tokens: int) -> Self:
        """Returns the task with at least `tokens` tokens in an epoch; see `Task.lasting`."""
        if tokens <= self.length():
            return self
        return type(self)(**(self.options() | {"length": tokens}))

    def options(self) -> dict[str, Any]:
        """Returns the options that all generated tasks have, ready for JSON."""
        return {"seed": self.seed, "length": self.length("train"), "valid_length": self.length("valid")}

    def _whole_examples(self, option: str, length: Any) -> int:
        """Returns the length rounded down to whole examples, or raises OptionError if there are none."""
        whole = require_whole(option, length)
        if whole < self.period and whole == inspect.signature(type(self)).parameters[option].default:
            raise OptionError(
                self.period_option,
                f"must give examples of at most {whole} steps ({option}), got {shown(self.period)} steps",
            )
        if whole < self.period:
            raise OptionError(
                option, f"must be at least {shown(self.period)}, the length of one example, got {whole}"
            )
        return whole - whole % self.period
