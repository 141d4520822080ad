"""Base class of language tasks: predicting the next token of a text."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tf_rnn.options import OptionError, require_choice, require_fraction, require_whole
from tf_rnn.options.declared import TASK_OPTIONS
from tf_rnn.tasks.base import Task
from tf_rnn.tasks.corpus import UTF_8, exists, read_corpus
from tf_rnn.tasks.downloads import DOWNLOADS
from tf_rnn.tasks.stream import Stream
from tf_rnn.text import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.corpus import Source
    from tf_rnn.tasks.vocabulary import Vocabulary

VALID_FRACTION = 0.05
TEST_FRACTION = 0.05
WHOLE = "all"


class Language(Task):
    """The tokens of a text; the target of each is the next one.

    A single text is cut into the splits "train", "valid" and "test", in this order. A directory has a
    file for each split. A split of m tokens of text has m - 1 tokens of the task, the same in every
    epoch.

    Args:
        data: See `read_corpus`.
        valid_fraction: The fraction of tokens in the split "valid", above 0 and below 1; rounded to
            whole tokens.
        test_fraction: Likewise for the split "test"; the sum of both is below 1.
        vocabulary: The tokens in the order of their class indices, for instance those of a saved model;
            None to take them from the text. If a vocabulary is given, a split that is too short is
            refused only when it is requested.
        encoding: The encoding of the files, by any name that Python has for it.

    Attributes:
        vocabulary_kind: The kind of vocabulary, which splits text into tokens.
        vocabulary: The tokens, a tuple in the order of their class indices.
        lengths: The number of characters of each text that was read, one or three.
        sha256: The SHA-256 of the splits, one after the other, in UTF-8 (without byte order marks),
            in hexadecimal.

    Raises:
        OptionError: A value is not allowed; or the text cannot be read, or leaves fewer than 2 tokens
            in a split.
    """

    splits = ("train", "valid", "test")
    vocabulary_kind: ClassVar[type[Vocabulary]]

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        valid_fraction: float = VALID_FRACTION,
        test_fraction: float = TEST_FRACTION,
        vocabulary: Sequence[str] | None = None,
        encoding: str = UTF_8,
    ) -> None:
        self.valid_fraction = require_fraction("valid_fraction", valid_fraction)
        self.test_fraction = require_fraction("test_fraction", test_fraction)
        if self.valid_fraction + self.test_fraction >= 1:
            left = f"{1 - self.valid_fraction:g}, what valid_fraction leaves"
            raise OptionError("test_fraction", f"must be below {left}, got {self.test_fraction}")
        self._given = None if vocabulary is None else self.vocabulary_kind(vocabulary)
        self.encoding = TASK_OPTIONS["encoding"].check(encoding)
        corpus = read_corpus(data, self.encoding)
        sources = corpus.sources
        self._notes = self._remarks(sources)
        self._corpus = corpus._replace(sources=())  # the texts are needed no longer
        self._origins = [source.origin for source in sources]
        self.data = whole_path(data)
        self.lengths = tuple(len(source.text) for source in sources)
        if len(sources) > 1:
            self._refuse_fractions()
        digest = hashlib.sha256()
        for source in sources:
            digest.update(source.text.encode(errors="surrogatepass"))  # which some encodings have
        self.sha256 = digest.hexdigest()
        if self._given is None:
            self.vocabulary, of_sources = self._learn(sources)
        else:
            self.vocabulary, of_sources = self._given, _encode(sources, self._given)
        self.input_size = len(self.vocabulary)
        self.num_classes = len(self.vocabulary)
        self._tokens = self._cut(of_sources)
        self._starts: dict[str, NDArray[np.bool_]] | None = None
        found = self._find_starts(sources)
        if found is not None:
            self.has_starts, self._starts = True, self._cut(found)
        if self._given is None and min(map(len, self._tokens.values())) < 2:
            raise self._too_short("train")

    def _remarks(self, sources: Sequence[Source]) -> list[str]:
        """Returns a line for everything in the texts that is not read as it stands."""
        return []

    def _find_starts(self, sources: Sequence[Source]) -> list[NDArray[np.bool_]] | None:
        """Returns where documents start among each text's tokens; None where a text is one document."""
        return None

    def unknown_share(self, split: str = "train") -> float | None:
        """Returns the fraction of a split's targets that are `<unk>`; None where every token is known."""
        return None

    def notes(self) -> list[str]:
        """Returns lines about what is read as something else than it stands for."""
        return list(self._notes)

    @abstractmethod
    def _learn(self, sources: Sequence[Source]) -> tuple[Vocabulary, list[NDArray[np.int32]]]:
        """Returns the vocabulary of some texts, and the class indices of each text's tokens."""

    def encode(self, text: str) -> NDArray[np.int32]:
        """Returns the class indices of a text's tokens; see `Vocabulary.encode`."""
        return self.vocabulary.encode(text)

    def decode(self, indices: Iterable[int]) -> str:
        """Returns the text whose tokens have these class indices; see `Vocabulary.decode`."""
        return self.vocabulary.decode(indices)

    def pieces(self, indices: Iterable[int]) -> Iterator[str]:
        """Returns the parts of the text that `decode` returns, token by token; see `Vocabulary.pieces`."""
        return self.vocabulary.pieces(indices)

    @property
    def opening(self) -> int:
        """The class index that begins a text; see `Vocabulary.opening`."""
        return self.vocabulary.opening

    def is_current(self) -> bool:
        """Returns whether the files of the text are unchanged since they were read."""
        return self._corpus.is_current()

    def length(self, split: str = "train") -> int:
        """Returns the number of tokens of a split, one fewer than its tokens of text.

        Args:
            split: One of `splits`, or "all" for the whole text in a row.

        Raises:
            OptionError: `split` is none of these, or has fewer than 2 tokens of text.
        """
        require_choice("split", split, (*self.splits, WHOLE))
        sizes = {name: len(tokens) for name, tokens in self._tokens.items()}
        size = sum(sizes.values()) if split == WHOLE else sizes[split]
        if size < 2:
            raise self._too_short(split)
        return size - 1

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        """Returns all tokens of a split but the last as inputs, and all but the first as targets.

        The arrays are read-only; see `Task.stream`. The split "all" is the whole text in a row.

        Raises:
            OptionError: See `Task.stream`; or the split has fewer than 2 tokens of text.
        """
        self.length(split)
        require_whole("epoch", epoch, at_least=0)
        tokens = _of_split(self._tokens, split)
        starts = None if self._starts is None else _of_split(self._starts, split)[:-1]
        return Stream(tokens[:-1], tokens[1:], starts)

    def baselines(self) -> dict[str, float]:
        """Returns the held-out losses, in nats, of two predictors that do not look back.

        "uniform" gives each of the V tokens of the vocabulary the probability 1 / V, a loss of ln V.
        "unigram" gives token c its frequency in the split "train", with one added to each count so
        that none is 0: (count(c) + 1) / (m + V) for m tokens. The losses are those on the split "valid".
        """
        size = len(self.vocabulary)
        counts = np.bincount(self._tokens["train"], minlength=size) + 1.0
        losses = -np.log(counts / counts.sum())
        unigram = losses[self.stream("valid").targets].mean()
        return {"uniform": math.log(size), "unigram": float(unigram)}

    def summary(self) -> str:
        """Returns one line with the number of tokens of text in each split, and of distinct tokens."""
        sizes = " / ".join(f"{len(tokens):,} {split}" for split, tokens in self._tokens.items())
        return f"{self.name}: {sizes} tokens, {counted(len(self.vocabulary), 'type', ',')}"

    def lines(self) -> list[str]:
        """Returns the summary, and a line about everything that is read as something else."""
        return [self.summary(), *self.notes()]

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; `vocabulary` is None unless it was given.

        Two tasks with the same options have the same data only if their `sha256` are equal.
        """
        return {
            "data": self.data,
            "valid_fraction": self.valid_fraction,
            "test_fraction": self.test_fraction,
            "vocabulary": None if self._given is None else list(self._given),
            "encoding": self.encoding,
        }

    def _sizes(self, of_sources: Sequence[NDArray[Any]]) -> list[int]:
        """Returns the number of tokens of text in each split, given the tokens of each source."""
        if len(of_sources) > 1:
            return [len(tokens) for tokens in of_sources]
        total = len(of_sources[0])
        held_out = [round(total * self.valid_fraction), round(total * self.test_fraction)]
        return [total - sum(held_out), *held_out]

    def _cut(self, of_sources: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Returns the class indices, or flags, of each text's tokens by split."""
        for tokens in of_sources:
            tokens.flags.writeable = False
        if len(of_sources) > 1:
            return dict(zip(self.splits, of_sources, strict=True))
        borders = np.cumsum(self._sizes(of_sources))[:-1]
        return dict(zip(self.splits, np.split(of_sources[0], borders), strict=True))

    def _too_short(self, split: str) -> OptionError:
        """Returns the error for a text that leaves fewer than 2 tokens for a split."""
        sizes = {name: len(tokens) for name, tokens in self._tokens.items()}
        short = f"must hold at least 2 {self.token}s, but"
        if split == WHOLE:
            return OptionError("data", f"{short} {self._origins[0]} holds {sum(sizes.values())}")
        if len(self._origins) > 1:
            size, at = min((size, at) for at, size in enumerate(sizes.values()))
            return OptionError("data", f"{short} {self._origins[at]} holds {size}")
        train, valid, test = (f"{size} for {name!r}" for name, size in sizes.items())
        return OptionError(
            "data",
            f"must leave at least 2 {self.token}s for each split, but {self._origins[0]} leaves {train}, "
            f"{valid} and {test} (valid_fraction {self.valid_fraction}, test_fraction {self.test_fraction})",
        )

    def _refuse_fractions(self) -> None:
        """Raises OptionError if a fraction was given, which has no effect on three files."""
        kind = repr(self.data) if self.data in DOWNLOADS else "a directory"
        for option, usual in (("valid_fraction", VALID_FRACTION), ("test_fraction", TEST_FRACTION)):
            given = getattr(self, option)
            if given != usual:
                raise OptionError(option, f"must be left out where data is {kind}, got {given}")


def _of_split(by_split: dict[str, NDArray[Any]], split: str) -> NDArray[Any]:
    """Returns the tokens, or their flags, of a split, or of all in a row."""
    return np.concatenate(list(by_split.values())) if split == WHOLE else by_split[split]


def _encode(sources: Sequence[Source], vocabulary: Vocabulary) -> list[NDArray[np.int32]]:
    """Returns the class indices of each text's tokens, or raises OptionError for the option `data`."""
    of_sources = []
    for source in sources:
        try:
            of_sources.append(vocabulary.encode(source.text))
        except OptionError as error:
            raise OptionError("data", f"{error.problem} of {source.origin}") from error
    return of_sources


def require_text(options: dict[str, Any], whose: str) -> None:
    """Raises OptionError for `data` if there is nothing any more at the path that a task's options name.

    Args:
        options: The options.
        whose: What was trained on the text, for the message.
    """
    data = options.get("data")
    if isinstance(data, str) and data not in DOWNLOADS and not exists(data):
        problem = f"must be given: {whose} was trained on {data!r}, where there is nothing now"
        raise OptionError("data", problem)


def whole_path(data: str | os.PathLike[str] | None) -> str | None:
    """Returns the option `data` as text that means the same in any working directory.

    The path `ptb`, which is no text, becomes absolute like any other.
    """
    is_path = data is not None and not (isinstance(data, str) and data in DOWNLOADS)
    return str(Path(data).absolute()) if is_path else data  # type: ignore[arg-type, return-value]
