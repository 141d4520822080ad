"""Sampling: draws follow the predictions, and are fed back."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from model_helpers import NaiveNetwork, keep_run, random_weights, write_splits

from tf_rnn.cells import GRUCell, LSTMCell
from tf_rnn.inference import Model, load, sample
from tf_rnn.inference.sampling import sharpened
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text, Words
from tf_rnn.tasks.vocabulary import CharacterVocabulary, WordVocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# The width of the training changes nothing here.
keep_narrow = partial(keep_run, num_steps=2)
LETTERS = CharacterVocabulary("abc\n")
SIGMAS = 5
DRAWS = 5_000


class Fixed:
    """A stepper with constant predictions, which records its inputs."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities = np.array([probabilities], np.float32)
        self.fed: list[int] = []
        self.state = 0

    def another(self) -> Fixed:
        self.fed.clear()
        return self

    def step(self, x: NDArray[Any]) -> NDArray[Any]:
        (index,) = x
        self.fed.append(int(index))
        return self.probabilities


def drawn(stepper: Any, *words: Any, **options: Any) -> str:
    return "".join(sample(stepper, LETTERS, *words, **options))


def likely(size: int) -> st.SearchStrategy[NDArray[Any]]:
    weights = st.lists(st.floats(0, 1, width=32), min_size=size, max_size=size)
    return weights.map(np.array).filter(lambda array: array.sum() > 0).map(lambda array: array / array.sum())


@given(
    probabilities=st.integers(1, 9).flatmap(likely), temperature=st.floats(0.01, 20), top_k=st.integers(0, 11)
)
def test_sharpened_is_its_definition(probabilities: NDArray[Any], temperature: float, top_k: int) -> None:
    """P ** (1 / temperature) over the most likely classes, the first of equals, in Python."""
    found = sharpened(probabilities, temperature, top_k)
    order = sorted(range(len(probabilities)), key=lambda index: (-probabilities[index], index))
    kept = order[:top_k] if top_k else order
    top = float(probabilities[order[0]])
    powers = [
        (float(p) / top) ** (1 / temperature) if index in kept else 0.0
        for index, p in enumerate(probabilities)
    ]
    expected = np.array(powers) / math.fsum(powers)
    assert found.dtype == np.float64
    assert abs(found.sum() - 1) < 1e-12, found.sum()
    # A rounding error of p is multiplied by 1 / temperature.
    np.testing.assert_allclose(found, expected, rtol=1e-12 * max(1, 1 / temperature), atol=1e-300)


@given(probabilities=st.integers(1, 9).flatmap(likely), top_k=st.integers(0, 11))
def test_a_temperature_of_zero_is_greedy(probabilities: NDArray[Any], top_k: int) -> None:
    """It takes the first of equals; without equals, a temperature close to zero is the same."""
    found = sharpened(probabilities, 0, top_k)
    assert found.tolist() == np.eye(len(found))[int(probabilities.argmax())].tolist()
    assume(sorted(probabilities)[-2:-1] != [probabilities.max()])
    for temperature in (5e-324, 1e-300):
        assert sharpened(probabilities, temperature, top_k).tolist() == found.tolist(), temperature


def test_predictions_that_are_not_finite_are_an_error() -> None:
    stepper = Fixed(0.5, math.nan, 0.5, 0)
    for temperature in (0, 1):
        with pytest.raises(OptionError, match=r"^model must predict finite probabilities, got nan; "):
            drawn(stepper, length=1, temperature=temperature)


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (0.5, 3), (0.7, 99)])
def test_draws_follow_the_probabilities(temperature: float, top_k: int) -> None:
    """Each count of 5,000 independent draws lies within 5 standard deviations of a binomial."""
    stepper = Fixed(0.5, 0.25, 0.2, 0.05)
    text = drawn(stepper, length=DRAWS, temperature=temperature, top_k=top_k, seed=1)
    for letter, p in zip(LETTERS, sharpened(stepper.probabilities[0], temperature, top_k), strict=True):
        found, expected = text.count(letter), DRAWS * float(p)
        bound = SIGMAS * math.sqrt(DRAWS * float(p * (1 - p)))
        assert abs(found - expected) <= bound, f"{letter!r}: {found}, not {expected} ± {bound}"


def test_seeds() -> None:
    """Without one, two texts are equal with probability 3^-100."""
    stepper, seeds = Fixed(1 / 3, 1 / 3, 1 / 3, 0), (7, 7, 8, None, None)
    texts = [drawn(stepper, length=100, temperature=1, seed=seed) for seed in seeds]
    assert texts[0] == texts[1]
    assert len({*texts}) == 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """An LSTM, whose state has two parts, with random weights that make every letter likely at some time."""
    folder = tmp_path_factory.mktemp("sampling")
    task = Text(write_splits(folder / "splits"))
    weights = partial(random_weights, seed=17, scale=2.0)
    return load(keep_narrow(folder / "out", task, LSTMCell(7), weights, dtype="float64"))


def test_the_state_is_carried(model: Model) -> None:
    """Greedy samples are those of the network in NumPy, and differ from those without its state."""
    naive, vocabulary = NaiveNetwork(model), model.vocabulary
    found = "".join(model.sample("b", 40, temperature=0))

    def text(carried: bool) -> str:
        indices, state = [vocabulary.index("b")], naive.zero_state()
        for _ in range(40):
            logits, after = naive.step(indices[-1], state)
            state = after if carried else state
            indices.append(int(logits.argmax()))
        return vocabulary.decode(indices)

    assert found == text(carried=True) != text(carried=False)


def test_texts_do_not_disturb_each_other(model: Model) -> None:
    """Each starts from a state of zero and keeps its own, also if two are sampled in turns."""
    alone = []
    for seed in (1, 2):
        model.stepper.step(np.array([2]))
        alone.append(list(model.sample("ab", 20, seed=seed)))
    pairs = zip(model.sample("ab", 20, seed=1), model.sample("ab", 20, seed=2), strict=True)
    assert [list(text) for text in zip(*pairs, strict=True)] == alone


def test_the_prime_is_fed_and_then_the_samples() -> None:
    stepper = Fixed(0, 1, 0, 0)
    assert drawn(stepper, "cac", 3) == "cacbbb"
    assert stepper.fed == [2, 0, 2, 1, 1]


@pytest.mark.parametrize(("tokens", "opening"), [("abc\n", 3), ("abcd", 0)])
def test_without_a_prime_the_first_input_is_a_newline(tokens: str, opening: int) -> None:
    """Or the first class if the vocabulary has none; it is not part of the text."""
    stepper = Fixed(0, 1, 0, 0)
    text = "".join(sample(stepper, CharacterVocabulary(tokens), length=2))  # type: ignore[arg-type]
    assert (text, stepper.fed) == ("bb", [opening, 1])


def test_unknown_words_are_read_as_unk() -> None:
    """And stay in the text."""
    vocabulary = WordVocabulary(["<unk>", "the", "cat", "<eos>"])
    stepper: Any = Fixed(0, 0, 1, 0)
    found = list(sample(stepper, vocabulary, "the  zebra\nthe", 2))
    assert found == ["the", " zebra", "\n", "the", " cat", " cat"]
    assert stepper.fed == [1, 0, 3, 1, 2]
    assert "".join(sample(stepper, vocabulary, " \t", 1)) == "cat"  # no word: as without a prime
    assert stepper.fed == [3]


def test_a_model_of_words(tmp_path: Any) -> None:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat\nthe end\n" * 20, encoding="utf-8")
    model = load(keep_narrow(tmp_path / "out", Words(path), GRUCell(4), embedding_size=3))
    pieces = list(model.sample("the dog", 30, temperature=1, seed=1))
    assert len(pieces) == 32
    text = "".join(pieces)
    assert text.startswith("the dog ")
    assert {"the", "cat", "sat"} < set(text.split()) - {"dog"} < set(model.tokens or ())


def test_text_comes_token_by_token() -> None:
    """A token is available before the next one is computed, and the prime before any step."""
    stepper: Any = Fixed(0, 1, 0, 0)
    pieces = sample(stepper, LETTERS, "ca", length=10**12)
    steps = []
    for _ in range(6):
        next(pieces)
        steps.append(len(stepper.fed))
    assert steps == [0, 0, 2, 3, 4, 5]


def test_bad_options_are_refused_at_the_call() -> None:
    """Not when the first token is asked for; any values are tried in test_strange_values."""
    stepper: Any = Fixed(0.25, 0.25, 0.25, 0.25)
    with pytest.raises(OptionError, match=r"^top_k must be "):
        sample(stepper, LETTERS, top_k=-1)
    message = "prime must hold only the 4 characters of the vocabulary, got 'd' at position 0"
    with pytest.raises(OptionError, match=f"^{message}$"):
        sample(stepper, LETTERS, "d")
    assert stepper.fed == []


@pytest.mark.parametrize(
    ("until", "text"), [("b", "ab"), ("bc", "abc"), ("ca", "abca"), ("cab", "abcab"), ("aa", "abcabca")]
)
def test_until_ends_with_the_token_that_completes_it(until: str, text: str) -> None:
    """The text `abcabc...`, of 7 tokens at most."""

    class Cycle(Fixed):
        def step(self, x: NDArray[Any]) -> NDArray[Any]:
            super().step(x)
            return np.eye(4, dtype=np.float32)[[(int(x[0]) + 1) % 3]]

    assert drawn(Cycle(), "c", 7, until=until) == f"c{text}", "the prime does not count"


def test_until_within_a_token_keeps_the_token() -> None:
    words = WordVocabulary(["<unk>", "<eos>", "rain", "fall"])
    found = "".join(sample(Fixed(0, 0, 1, 0), words, "fall", 5, until="ai"))  # type: ignore[arg-type]
    assert found == "fall rain"


@pytest.mark.parametrize("until", ["", 3])
def test_until_is_a_text(until: Any) -> None:
    with pytest.raises(OptionError, match=r"^until must be a text of at least 1 character, got "):
        drawn(Fixed(1, 0, 0, 0), until=until)


def test_each_document_is_sampled_from_a_state_of_zero(tmp_path: Path) -> None:
    """The likeliest characters of a model of documents are those of the network in NumPy, reset likewise."""
    task = Text(write_splits(tmp_path / "texts"), document_separator="\n")
    model = load(keep_narrow(tmp_path / "out", task, GRUCell(5), starts=True, dtype="float64"))
    naive, prime = NaiveNetwork(model), "ab\ncd\n\n"

    def greedy(separator: str | None) -> str:
        text, state, logits = "", naive.zero_state(), np.zeros(0)
        while len(text) < 40:
            if text and text[-1] == separator:
                state = naive.zero_state()
            text += prime[len(text)] if len(text) < len(prime) else task.vocabulary[int(np.argmax(logits))]
            logits, state = naive.step(task.encode(text[-1])[0], state)
        return text

    expected = greedy("\n")
    assert expected != greedy(None), "the reset makes no difference"
    assert "".join(model.sample(prime, 40 - len(prime), temperature=0)) == expected
