"""Text, character by character: each is to be predicted from those before it."""

from __future__ import annotations

import hashlib
import math
import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tf_rnn.config import OptionError, require_choice, require_whole
from tf_rnn.tasks.base import SPLITS, Defaults, Task
from tf_rnn.tasks.corpus import python_documentation, read_text
from tf_rnn.tasks.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Text(Task):
    """The characters of a text; the target of each is the next one.

        text       T  h  e     c  a  t          inputs    T  h  e     c  a
        time       0  1  2  3  4  5  6          targets   h  e     c  a  t

    The last `valid_fraction` of the text is held out. A split of m characters has m - 1 tokens,
    which are the same in every epoch.

    Args:
        data: The path of a UTF-8 text file, or None for the documentation that is in every Python
            (see `python_documentation`).
        valid_fraction: The share of characters that is held out, between 0 and 1, neither
            included; rounded to whole characters.

    Attributes:
        vocabulary: The distinct characters of the whole text, sorted by code point. A character's
            class index is its place here.
        sha256: The SHA-256 of the text in UTF-8 (without a byte order mark), in hexadecimal.

    Raises:
        OptionError: `valid_fraction` is not allowed, the file cannot be read as UTF-8 text, or it
            leaves fewer than 2 characters in a split.
    """

    name: ClassVar[str] = "text"
    token: ClassVar[str] = "character"
    defaults: ClassVar[Defaults] = Defaults(
        batch_size=50,
        optimizer="adam",
        learning_rate=0.002,
        tokens=1_000_000,
        cell="lstm",
        state_size=64,
        num_steps=(1, 2, 5, 10, 20, 50),
        longest=100,
    )

    def __init__(self, data: str | os.PathLike[str] | None = None, valid_fraction: float = 0.1) -> None:
        self.valid_fraction = _require_fraction("valid_fraction", valid_fraction)
        text = python_documentation() if data is None else read_text(data)
        self.data = None if data is None else os.fspath(data)
        self.sha256 = hashlib.sha256(text.encode()).hexdigest()
        self.vocabulary = tuple(sorted(set(text)))
        self._index_by_code_point = np.full(sys.maxunicode + 1, -1, dtype=np.int32)
        self._index_by_code_point[_code_points("".join(self.vocabulary))] = np.arange(
            len(self.vocabulary), dtype=np.int32
        )
        self._characters = self._split(self.encode(text))
        self.input_size = len(self.vocabulary)
        self.num_classes = len(self.vocabulary)

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns the characters of a split but the last, and those but the first.

        The arrays are read-only views of one array; see `Task.stream`.
        """
        characters = self._characters[require_choice("split", split, SPLITS)]
        require_whole("epoch", epoch, at_least=0)
        return Stream(characters[:-1], characters[1:])

    def encode(self, text: str) -> NDArray[np.int32]:
        """Returns the class indices of a text's characters, `[len(text)]`.

        Raises:
            OptionError: For the option `text`, if a character is not in the vocabulary.
        """
        indices = self._index_by_code_point[_code_points(text)]
        unknown = np.flatnonzero(indices < 0)
        if len(unknown) > 0:
            at = int(unknown[0])
            raise OptionError(
                "text",
                f"must hold only the {len(self.vocabulary)} characters of the vocabulary, "
                f"got {text[at]!r} at position {at}",
            )
        return indices

    def decode(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> str:
        """Returns the text whose characters have these class indices, in order.

        Raises:
            OptionError: For the option `indices`, if one is below 0 or not below `num_classes`.
        """
        characters = []
        for index in indices:
            if not 0 <= index < len(self.vocabulary):
                raise OptionError("indices", f"must be from 0 to {len(self.vocabulary) - 1}, got {index}")
            characters.append(self.vocabulary[index])
        return "".join(characters)

    def baselines(self) -> dict[str, float]:
        """Returns the held-out losses, nats, of two predictors that do not look back.

        "uniform" gives each of the V characters 1 / V, which costs ln V. "unigram" gives character
        c its frequency in the split "train", with one added to each count so that none is 0:
        (count(c) + 1) / (m + V) for m characters.
        """
        size = len(self.vocabulary)
        counts = np.bincount(self._characters["train"], minlength=size) + 1.0
        losses = -np.log(counts / counts.sum())
        unigram = losses[self.stream("valid").targets].mean()
        return {"uniform": math.log(size), "unigram": float(unigram)}

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; equal texts have an equal `sha256`."""
        return {"data": self.data, "valid_fraction": self.valid_fraction}

    def _split(self, indices: NDArray[np.int32]) -> dict[str, NDArray[np.int32]]:
        """Returns the class indices by split, or raises OptionError if one is too short."""
        held_out = round(len(indices) * self.valid_fraction)
        kept = len(indices) - held_out
        if min(kept, held_out) < 2:
            raise OptionError(
                "data",
                f"must leave at least 2 characters for each split, got {kept} for 'train' and "
                f"{held_out} for 'valid' (valid_fraction {self.valid_fraction})",
            )
        indices.flags.writeable = False
        return {"train": indices[:kept], "valid": indices[kept:]}


def _code_points(text: str) -> NDArray[np.uint32]:
    """Returns the code points of a text's characters, `[len(text)]`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _require_fraction(option: str, value: Any) -> float:
    """Returns `value` as a float, or raises OptionError unless it is above 0 and below 1."""
    try:
        fraction = float(value)
    except (TypeError, ValueError):
        fraction = math.nan
    if not 0 < fraction < 1:
        raise OptionError(option, f"must be a number above 0 and below 1, got {value!r}")
    return fraction
