"""Text by characters: predicting each from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tf_rnn.options import OptionError, shown
from tf_rnn.options.declared import TASK_OPTIONS
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.corpus import UTF_8
from tf_rnn.tasks.language import TEST_FRACTION, VALID_FRACTION, Language
from tf_rnn.tasks.vocabulary import CharacterVocabulary, Vocabulary

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.corpus import Source


class Text(Language):
    r"""The characters of a text; the target of each is the next one.

        text       T  h  e     c  a  t          inputs    T  h  e     c  a
        time       0  1  2  3  4  5  6          targets   h  e     c  a  t

    The vocabulary consists of the distinct characters of the whole text, sorted by code point.

    Args:
        data: The path of a text file, or of a directory with `train.txt`, `valid.txt` and
            `test.txt`; "shakespeare" or "ptb", which are downloaded; or None for the documentation
            that comes with Python. See `read_corpus`.
        valid_fraction: The fraction of characters in the split "valid"; see `Language`.
        test_fraction: The fraction of characters in the split "test".
        vocabulary: The characters in the order of their class indices; None to take them from the text.
        encoding: The encoding of the files; see `Language`.
        document_separator: The text that ends a document, "\n\n" say; None where all is one document. The
            character after it is the first of the next document, and is read from a state of zero.

    Raises:
        OptionError: See `Language`; or the text has a character that is not in the given vocabulary, or,
            where none is given, no separator.
    """

    name = "text"
    token = CharacterVocabulary.token
    vocabulary_kind: ClassVar[type[Vocabulary]] = CharacterVocabulary
    defaults = Defaults(
        batch_size=50,
        optimizer="adam",
        learning_rate=0.002,
        tokens=1_000_000,
        cell="lstm",
        state_size=64,
        num_steps=(1, 2, 5, 10, 20, 50),
        longest=100,
    )

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        valid_fraction: float = VALID_FRACTION,
        test_fraction: float = TEST_FRACTION,
        vocabulary: Sequence[str] | None = None,
        encoding: str = UTF_8,
        document_separator: str | None = None,
    ) -> None:
        self.document_separator = TASK_OPTIONS["document_separator"].check(document_separator)
        super().__init__(data, valid_fraction, test_fraction, vocabulary, encoding)

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; see `Language.options`."""
        separator = self.document_separator
        return super().options() | ({} if separator is None else {"document_separator": separator})

    def _find_starts(self, sources: Sequence[Source]) -> list[NDArray[np.bool_]] | None:
        separator = self.document_separator
        if separator is None:
            return None
        found = [document_starts(source.text, separator) for source in sources]
        if self._given is None and not any(starts.any() for starts in found):
            raise OptionError("document_separator", f"must be in the text, got {shown(separator)}")
        return found

    def _learn(self, sources: Sequence[Source]) -> tuple[Vocabulary, list[NDArray[np.int32]]]:
        vocabulary = CharacterVocabulary.of(source.text for source in sources)
        return vocabulary, [vocabulary.encode(source.text) for source in sources]


def document_starts(text: str, separator: str) -> NDArray[np.bool_]:
    """Returns which characters of a text come directly after a separator, found from left to right.

    Args:
        text: The text.
        separator: At least one character.
    """
    starts = np.zeros(len(text), bool)
    ends = np.cumsum([len(document) + len(separator) for document in text.split(separator)[:-1]], dtype=int)
    starts[ends[ends < len(text)]] = True
    return starts
