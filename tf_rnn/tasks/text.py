"""Text by characters: predicting each from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.language import Language
from tf_rnn.tasks.vocabulary import CharacterVocabulary, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tf_rnn.tasks.corpus import Source


class Text(Language):
    """The characters of a text; the target of each is the next one.

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

    Raises:
        OptionError: See `Language`; or the text has a character that is not in the given vocabulary.
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

    def _learn(self, sources: Sequence[Source]) -> tuple[Vocabulary, list[NDArray[np.int32]]]:
        vocabulary = CharacterVocabulary.of(source.text for source in sources)
        return vocabulary, [vocabulary.encode(source.text) for source in sources]
