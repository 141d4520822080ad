"""Vocabularies without a task: made from tokens alone, as those of a saved model are."""

from __future__ import annotations

import copy
import json
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest

from tf_rnn.options import OptionError
from tf_rnn.tasks import TASKS, Language, Vocabulary, make_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS = {
    "text": ["б", "\n", "a", "\U0001f600", " "],
    "words": ["кот", "<eos>", "<unk>", "sat", "\U0001f600"],
}
TEXTS = {"text": " \U0001f600\nбa\n", "words": "sat кот\n\n\U0001f600 sat"}


def identity(vocabulary: Vocabulary) -> Vocabulary:
    return vocabulary


def pickled(vocabulary: Vocabulary) -> Vocabulary:
    again: Vocabulary = pickle.loads(pickle.dumps(vocabulary))
    return again


@pytest.mark.parametrize("name", list(TOKENS))
@pytest.mark.parametrize("again", [identity, copy.deepcopy, pickled])
def test_a_vocabulary_is_its_tokens_in_order(name: str, again: Callable[[Vocabulary], Vocabulary]) -> None:
    vocabulary = again(make_vocabulary(name, iter(TOKENS[name])))
    assert vocabulary == tuple(TOKENS[name])
    assert json.loads(json.dumps(vocabulary)) == TOKENS[name]
    assert vocabulary.decode(vocabulary.encode(TEXTS[name])) == TEXTS[name]
    assert "".join(vocabulary.pieces(vocabulary.encode(TEXTS[name]))) == TEXTS[name]
    assert (vocabulary.opening, vocabulary.token) == (1, {"text": "character", "words": "word"}[name])


def test_classes_by_hand() -> None:
    characters, words = (make_vocabulary(name, tokens) for name, tokens in TOKENS.items())
    assert characters.encode("\U0001f600б a").tolist() == [3, 0, 4, 2]
    assert words.encode(" кот\tcat sat\r\n\U0001f600").tolist() == [0, 2, 3, 1, 4]


def test_only_tasks_of_language_have_one() -> None:
    assert {name for name, task in TASKS.items() if issubclass(task, Language)} == set(TOKENS)
    with pytest.raises(OptionError, match=r"^task must be one of text, words; got 'echo'$"):
        make_vocabulary("echo", ["a"])


UNK = "must hold '<unk>', for all words that are not in it"


@pytest.mark.parametrize(
    ("name", "tokens", "problem"),
    [
        *(("text", ["a", wrong], f"must hold characters, got {wrong!r}") for wrong in ("bc", "", 3, ["b"])),
        ("text", ["a", "b", "a"], "must hold each character once, got 'a' twice"),
        ("text", 7, "must be characters, got 7"),
        ("words", ["a", "<eos>"], UNK),
        ("words", [], UNK),
        *(
            ("words", [wrong, "<unk>"], f"must hold words, got {wrong!r}")
            for wrong in ("b c", "a\n", "", None)
        ),
        ("words", ["a", "<unk>", "a"], "must hold each word once, got 'a' twice"),
        ("words", 1.5, "must be words, got 1.5"),
    ],
)
def test_what_is_no_vocabulary(name: str, tokens: Any, problem: str) -> None:
    for make in (lambda: make_vocabulary(name, tokens), lambda: TASKS[name](vocabulary=tokens)):  # type: ignore[call-arg]
        with pytest.raises(OptionError, match=f"^{re.escape('vocabulary ' + problem)}$"):
            make()
