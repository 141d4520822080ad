"""Vocabularies: text to class indices and back."""

from __future__ import annotations

import itertools
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tf_rnn.options import OptionError, shown
from tf_rnn.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"
# So many unknown characters are named in an error.
MOST_NAMED = 5


class Vocabulary(tuple[str, ...]):
    """The tokens of a text; a token's class index is its position in the vocabulary.

    Args:
        tokens: In the order of their class indices.

    Attributes:
        token: The word for a token.
        newline: The token that ends a line.

    Raises:
        OptionError: For the option `vocabulary`, if something is not a token, or occurs twice.
    """

    token: ClassVar[str]
    newline: ClassVar[str]

    def __new__(cls, tokens: Iterable[str]) -> Self:
        """Returns the vocabulary, or raises OptionError."""
        try:
            vocabulary = super().__new__(cls, tokens)
        except TypeError as error:
            raise OptionError("vocabulary", f"must be {cls.token}s, got {shown(tokens)}") from error
        seen = set[Any]()
        for token in vocabulary:
            if not isinstance(token, str) or not cls._is_token(token):
                raise OptionError("vocabulary", f"must hold {cls.token}s, got {shown(token)}")
            if token in seen:
                raise OptionError("vocabulary", f"must hold each {cls.token} once, got {shown(token)} twice")
            seen.add(token)
        return vocabulary

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[str, ...]]]:
        """Pickles the tokens alone; tables are made again from them."""
        return type(self), (tuple(self),)

    @abstractmethod
    def encode(self, text: str) -> NDArray[np.int32]:
        """Returns the class indices of a text's tokens, in order.

        Raises:
            OptionError: For the option `text`, if a token is not in the vocabulary.
        """

    @abstractmethod
    def pieces(self, indices: Iterable[int]) -> Iterator[str]:
        """Returns the part that each token adds to the text that `decode` returns, one by one.

        Raises:
            OptionError: See `decode`; when the iteration reaches the index.
        """

    @abstractmethod
    def continued(self, text: str, indices: Iterable[int]) -> Iterator[str]:
        """Returns the parts of a text, its own tokens kept, and after them those of class indices."""

    def unknown(self, text: str) -> list[str]:
        """Returns the tokens of a text that are read as another one, each once."""
        return []

    def decode(self, indices: Iterable[int]) -> str:
        """Returns the text whose tokens have these class indices, in order.

        Raises:
            OptionError: For the option `indices`, if one is not the class index of a token.
        """
        return "".join(self.pieces(indices))

    @property
    def opening(self) -> int:
        """The class index that begins a text: that of the newline, if there is one, else 0."""
        return self.index(self.newline) if self.newline in self else 0

    def _named(self, indices: Iterable[int]) -> Iterator[str]:
        """Returns the tokens of class indices; see `decode`."""
        for index in indices:
            if not 0 <= index < len(self):
                raise OptionError("indices", f"must be from 0 to {len(self) - 1}, got {index}")
            yield self[index]

    @staticmethod
    @abstractmethod
    def _is_token(text: str) -> bool:
        """Returns whether a text is a single token."""


class CharacterVocabulary(Vocabulary):
    """Characters; see `Vocabulary`."""

    token: ClassVar[str] = "character"
    newline: ClassVar[str] = "\n"

    def __init__(self, tokens: Iterable[str]) -> None:
        self._class_by_code_point = np.full(sys.maxunicode + 1, -1, dtype=np.int32)
        self._class_by_code_point[_code_points("".join(self))] = np.arange(len(self))

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Returns the distinct characters of texts, sorted by code point."""
        occurs = np.zeros(sys.maxunicode + 1, dtype=bool)
        for text in texts:
            occurs[_code_points(text)] = True
        return cls(map(chr, np.flatnonzero(occurs)))

    def encode(self, text: str) -> NDArray[np.int32]:
        """Returns the class indices of a text's characters, `[len(text)]`.

        Raises:
            OptionError: For the option `text`, if a character is not in the vocabulary.
        """
        indices = self._class_by_code_point[_code_points(text)]
        unknown = np.flatnonzero(indices < 0)
        if len(unknown) > 0:
            allowed = f"must hold only the {counted(len(self), 'character')} of the vocabulary"
            raise OptionError("text", f"{allowed}, got {_named_at(text, unknown)}")
        return indices

    def pieces(self, indices: Iterable[int]) -> Iterator[str]:
        """Returns the characters one by one; see `Vocabulary.pieces`."""
        return self._named(indices)

    def continued(self, text: str, indices: Iterable[int]) -> Iterator[str]:
        """Returns characters; see `Vocabulary.continued`."""
        return itertools.chain(text, self._named(indices))

    @staticmethod
    def _is_token(text: str) -> bool:
        return len(text) == 1


class WordVocabulary(Vocabulary):
    """Words, including `<unk>` for every word that is not in the vocabulary; see `Vocabulary`.

    Raises:
        OptionError: See `Vocabulary`; or `<unk>` is missing.
    """

    token: ClassVar[str] = "word"
    newline: ClassVar[str] = END_OF_LINE

    def __init__(self, tokens: Iterable[str]) -> None:
        if UNKNOWN not in self:
            raise OptionError("vocabulary", f"must hold {UNKNOWN!r}, for all words that are not in it")
        self._class_by_word = {word: index for index, word in enumerate(self)}

    def encode(self, text: str) -> NDArray[np.int32]:
        """Returns the class indices of a text's words, `[number of words]`; see `split_words`."""
        return self.classes(split_words(text))

    def classes(self, words: Iterable[str]) -> NDArray[np.int32]:
        """Returns the class indices of words, `[number of words]`."""
        unknown = self._class_by_word[UNKNOWN]
        return np.fromiter((self._class_by_word.get(word, unknown) for word in words), np.int32)

    def pieces(self, indices: Iterable[int]) -> Iterator[str]:
        """Returns the words one by one, each after a blank, except at the start of a line; see `Vocabulary`.

        `<eos>` becomes a newline.
        """
        return self._spaced(self._named(indices))

    def continued(self, text: str, indices: Iterable[int]) -> Iterator[str]:
        """Returns words, those of the text though they may be unknown; see `Vocabulary.continued`."""
        return self._spaced(itertools.chain(split_words(text), self._named(indices)))

    def unknown(self, text: str) -> list[str]:
        """Returns the words that are read as `<unk>`; see `Vocabulary.unknown`."""
        return [word for word in dict.fromkeys(split_words(text)) if word not in self._class_by_word]

    @staticmethod
    def _spaced(words: Iterable[str]) -> Iterator[str]:
        begins_line = True
        for word in words:
            if word == END_OF_LINE:
                yield "\n"
            else:
                yield word if begins_line else f" {word}"
            begins_line = word == END_OF_LINE

    @staticmethod
    def _is_token(text: str) -> bool:
        return text.split() == [text]


def split_words(text: str) -> Iterator[str]:
    """Returns the words of a text in order, separated by white space, with `<eos>` for every end of line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.replace("\n", f" {END_OF_LINE} \n").split("\n")
    return itertools.chain.from_iterable(map(str.split, lines))


def _named_at(text: str, positions: NDArray[np.intp]) -> str:
    """Returns the first distinct ones of some characters of a text, how many there are, and where."""
    where = f"at position {positions[0]}"
    _, first = np.unique(_code_points(text)[positions], return_index=True)
    names = [repr(text[positions[number]]) for number in sorted(first)]
    if len(positions) == 1:
        return f"{names[0]} {where}"
    most = MOST_NAMED + (len(names) == MOST_NAMED + 1)  # "and 1 others" would be no shorter
    more = f" and {len(names) - most} others" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}, {len(positions):,} in all, the first {where}"


def _code_points(text: str) -> NDArray[np.uint32]:
    """Returns the code points of a text's characters, `[len(text)]`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
