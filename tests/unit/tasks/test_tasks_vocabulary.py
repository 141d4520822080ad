"""Vocabularies without a task: made from tokens alone, as those of a saved model are."""

from __future__ import annotations

import copy
import json
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest

from tf_rnn.options import OptionError
from tf_rnn.tasks import TASKS, Language, Text, Vocabulary, Words, make_vocabulary

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


@pytest.mark.parametrize("kind", [Text, Words])
def test_a_task_has_the_vocabulary_that_its_tokens_make(kind: type[Language]) -> None:
    task = kind()
    again = make_vocabulary(task.name, list(task.vocabulary))
    text = task.decode(task.stream("test").inputs)
    assert again == task.vocabulary
    assert again.encode(text).tolist() == task.encode(text).tolist()
    assert again.opening == task.opening


def test_only_tasks_of_language_have_one() -> None:
    assert {name for name, task in TASKS.items() if issubclass(task, Language)} == set(TOKENS)
    with pytest.raises(OptionError, match=r"^task must be one of text, words; got 'echo'$"):
        make_vocabulary("echo", ["a"])


@pytest.mark.parametrize(
    ("name", "tokens", "problem"),
    [
        ("text", ["a", "bc"], "must hold characters, got 'bc'"),
        ("text", ["a", ""], "must hold characters, got ''"),
        ("text", ["a", 3], "must hold characters, got 3"),
        ("text", ["a", ["b"]], "must hold characters, got ['b']"),
        ("text", ["a", "b", "a"], "must hold each character once, got 'a' twice"),
        ("text", 7, "must be characters, got 7"),
        ("words", ["a", "<eos>"], "must hold '<unk>', for all words that are not in it"),
        ("words", [], "must hold '<unk>', for all words that are not in it"),
        ("words", ["a", "b c", "<unk>"], "must hold words, got 'b c'"),
        ("words", ["a\n", "<unk>"], r"must hold words, got 'a\n'"),
        ("words", ["", "<unk>"], "must hold words, got ''"),
        ("words", [None, "<unk>"], "must hold words, got None"),
        ("words", ["a", "<unk>", "a"], "must hold each word once, got 'a' twice"),
        ("words", 1.5, "must be words, got 1.5"),
    ],
)
def test_what_is_no_vocabulary(name: str, tokens: Any, problem: str) -> None:
    for make in (lambda: make_vocabulary(name, tokens), lambda: TASKS[name](vocabulary=tokens)):  # type: ignore[call-arg]
        with pytest.raises(OptionError, match=f"^{re.escape('vocabulary ' + problem)}$"):
            make()
