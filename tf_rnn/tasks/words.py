"""Text by words: predicting each from those before it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tf_rnn.options import require_whole
from tf_rnn.tasks.base import Defaults
from tf_rnn.tasks.corpus import UTF_8
from tf_rnn.tasks.language import TEST_FRACTION, VALID_FRACTION, Language
from tf_rnn.tasks.vocabulary import END_OF_LINE, UNKNOWN, Vocabulary, WordVocabulary, split_words

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tf_rnn.tasks.corpus import Source


class Words(Language):
    r"""The words of a text; the target of each is the next one.

        text    the cat sat\nthe end\n

        inputs   the  cat  sat    <eos>  the  end
        targets  cat  sat  <eos>  the    end  <eos>

    Words are separated by white space and otherwise unchanged: "The", "the" and "the," are three words.
    A newline is the word `<eos>`.

    The vocabulary consists of the most frequent words of the split "train" (ties go to the first in order
    of code points), always including `<unk>` and `<eos>`. Every other word becomes `<unk>`. Class indices
    are in the order of frequency, the most frequent word first; the frequency of `<unk>` is that of all
    words it replaces.

    Args:
        data: The path of a text file, or of a directory with `train.txt`, `valid.txt` and
            `test.txt`; "shakespeare" or "ptb", which are downloaded; or None for the documentation
            that comes with Python. See `read_corpus`.
        valid_fraction: The fraction of words in the split "valid"; see `Language`.
        test_fraction: The fraction of words in the split "test".
        vocabulary: The words in the order of their class indices, including `<unk>`; None to take them
            from the text.
        vocabulary_size: The largest number of words in the vocabulary, at least 2. It has no effect if a
            vocabulary is given.
        encoding: The encoding of the files; see `Language`.

    Raises:
        OptionError: See `Language`.

    Source: the form in which Mikolov et al. 2010 and Zaremba et al. 2014 read the Penn Treebank.
    """

    name = "words"
    token = WordVocabulary.token
    vocabulary_kind: ClassVar[type[Vocabulary]] = WordVocabulary
    defaults = Defaults(
        batch_size=20,
        optimizer="adam",
        learning_rate=0.002,
        tokens=1_000_000,
        cell="lstm",
        state_size=200,
        clip_norm=5.0,
        num_steps=(5, 10, 20, 35),
        longest=50,
        embeds=True,
    )

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        valid_fraction: float = VALID_FRACTION,
        test_fraction: float = TEST_FRACTION,
        vocabulary: Sequence[str] | None = None,
        vocabulary_size: int = 10_000,
        encoding: str = UTF_8,
    ) -> None:
        self.vocabulary_size = require_whole("vocabulary_size", vocabulary_size, at_least=2)
        super().__init__(data, valid_fraction, test_fraction, vocabulary, encoding)

    def options(self) -> dict[str, Any]:
        """Returns the constructor's options, ready for JSON; see `Language.options`."""
        return {**super().options(), "vocabulary_size": self.vocabulary_size}

    def _remarks(self, sources: Sequence[Source]) -> list[str]:
        found = [source.text for source in sources if END_OF_LINE in source.text]
        count = sum(text.split().count(END_OF_LINE) for text in found)
        return (
            [f"the text has {count:,} times the word {END_OF_LINE}, read as the end of a line"]
            if count
            else []
        )

    def unknown_share(self, split: str = "train") -> float:
        """Returns the fraction of a split's targets that are `<unk>`."""
        return float(np.mean(self.stream(split).targets == self.vocabulary.index(UNKNOWN)))

    def notes(self) -> list[str]:
        """Returns the shares of `<unk>`, and how often the text itself has `<eos>`."""
        long_enough = [split for split, tokens in self._tokens.items() if len(tokens) > 1]
        shares = ", ".join(f"{self.unknown_share(split):.1%} of {split}" for split in long_enough)
        return [*super().notes(), f"unknown words, read as {UNKNOWN}: {shares}"]

    def _learn(self, sources: Sequence[Source]) -> tuple[Vocabulary, list[NDArray[np.int32]]]:
        numbers = defaultdict[str, int]()
        numbers.default_factory = numbers.__len__  # a new word gets the next number
        of_sources = [
            np.fromiter(map(numbers.__getitem__, split_words(source.text)), np.int32) for source in sources
        ]
        words = list(numbers)
        train = of_sources[0][: self._sizes(of_sources)[0]]
        counts = np.bincount(train, minlength=len(words)).tolist()
        vocabulary = choose_vocabulary(dict(zip(words, counts, strict=True)), self.vocabulary_size)
        class_by_number = vocabulary.classes(words)
        return vocabulary, [class_by_number[tokens] for tokens in of_sources]


def choose_vocabulary(counts: Mapping[str, int], size: int) -> WordVocabulary:
    """Returns the most frequent words, including `<unk>` and `<eos>`, in the order of frequency.

    Args:
        counts: How often each word occurs; words that occur 0 times are left out.
        size: The largest number of words to return, at least 2.

    Returns:
        The words, the most frequent first; ties are in order of code points. The frequency of `<unk>`
        is that of all words that are not returned.
    """
    found = [word for word, count in counts.items() if count > 0 and word not in {UNKNOWN, END_OF_LINE}]
    kept = sorted(found, key=lambda word: (-counts[word], word))[: size - 2]
    frequencies = {word: counts.get(word, 0) for word in [*kept, END_OF_LINE]}
    frequencies[UNKNOWN] = sum(counts.values()) - sum(frequencies.values())
    return WordVocabulary(sorted(frequencies, key=lambda word: (-frequencies[word], word)))
