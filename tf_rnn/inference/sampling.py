"""Sampling text from a language model, one token at a time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from tf_rnn.options import OptionError, require_not_negative, require_whole, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.inference.stepper import Stepper
    from tf_rnn.tasks import Vocabulary


def sample(
    stepper: Stepper,
    vocabulary: Vocabulary,
    prime: str = "",
    length: int = 500,
    *,
    temperature: float = 0.8,
    top_k: int = 0,
    until: str | None = None,
    seed: int | None = None,
    document_separator: str | None = None,
) -> Iterator[str]:
    """Yields `prime` and then `length` sampled tokens, each of which is the next input.

        P_t, S_t = G(X_t, S_{t-1});   X_{t+1} ~ P_t ** (1 / temperature), normalised

    Args:
        stepper: A stepper for one example. Each text has a state of its own, so that several may be
            sampled at once, by several threads too; that of the stepper is not touched.
        vocabulary: The vocabulary of the model.
        prime: Text to start from. If it is empty, the first input is `Vocabulary.opening`, a newline
            where there is one.
        length: Number of tokens to sample, at least 0.
        temperature: 1 samples from the predictions, lower is more conservative, 0 is greedy.
        top_k: Samples from the `top_k` most likely tokens only; 0 from all.
        until: Stops after the token with which the sampled text, without `prime`, contains this text.
        seed: Seed for a reproducible text; None for a different text each time.
        document_separator: The text after which the state is zero, as in training; None for nowhere.

    Returns:
        An iterator over the text, token by token. It raises OptionError for `model` if a prediction is
        not finite.

    Raises:
        OptionError: At the call, if a value is not allowed, or `prime` has a token outside the vocabulary.
    """
    require_whole("length", length, at_least=0)
    require_whole("top_k", top_k, at_least=0)
    temperature = require_not_negative("temperature", temperature)
    if seed is not None:
        require_whole("seed", seed, at_least=0)
    if until is not None and not (isinstance(until, str) and until):
        raise OptionError("until", f"must be a text of at least 1 character, got {shown(until)}")
    if not isinstance(prime, str):
        raise OptionError("prime", f"must be a text, got {shown(prime)}")
    try:
        primed = [int(index) for index in vocabulary.encode(prime)]
    except OptionError as error:
        raise OptionError("prime", error.problem) from error
    reader = _Reader(stepper.another(), vocabulary, document_separator)
    drawn = _draw(reader, primed or [vocabulary.opening], length, temperature, top_k, seed)
    text = vocabulary.continued(prime, drawn)
    return text if until is None else _up_to(until, text, sum(1 for _ in vocabulary.continued(prime, ())))


def _up_to(until: str, pieces: Iterator[str], known: int) -> Iterator[str]:
    """Yields pieces of a text up to the one with which those after the first `known` contain a text."""
    yield from itertools.islice(pieces, known)
    seen = ""
    for piece in pieces:
        yield piece
        seen = seen[-len(until) :] + piece
        if until in seen:
            return


class _Reader:
    """Reads a text token by token, each document from a state of zero.

    Args:
        stepper: For one example; its state is the reader's own.
        vocabulary: The tokens.
        separator: What ends a document; None where all is one.
    """

    def __init__(self, stepper: Stepper, vocabulary: Vocabulary, separator: str | None) -> None:
        self._stepper, self._vocabulary, self._separator = stepper, vocabulary, separator
        self._read = ""  # of the present document, as far as a separator may reach

    def after(self, index: int) -> np.ndarray:
        """The probabilities of the token after this one."""
        if self._separator is not None:
            if self._read == self._separator:
                self._stepper.reset()
                self._read = ""
            self._read = (self._read + self._vocabulary[index])[-len(self._separator) :]
        return np.asarray(self._stepper.step(np.array([index]))[0])


def _draw(
    reader: _Reader, primed: list[int], length: int, temperature: float, top_k: int, seed: int | None
) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    for index in primed[:-1]:
        reader.after(index)
    index = primed[-1]
    for _ in range(length):
        probabilities = sharpened(reader.after(index), temperature, top_k)
        index = int(rng.choice(len(probabilities), p=probabilities))
        yield index


def sharpened(probabilities: np.ndarray, temperature: float, top_k: int) -> np.ndarray:
    """P ** (1 / temperature) over the `top_k` most likely classes, normalised, float64.

    The lower index wins ties.

    Raises:
        OptionError: For `model`, if a probability is not finite.
    """
    wanted = np.asarray(probabilities, np.float64)
    if not np.isfinite(wanted).all():
        raise OptionError("model", "must predict finite probabilities, got nan; its weights have diverged")
    if temperature == 0:
        return np.asarray(np.eye(len(wanted))[int(np.argmax(wanted))])
    with np.errstate(divide="ignore", over="ignore"):  # log 0, and temperatures close to 0
        logs = np.log(wanted)
        logs = (logs - logs.max()) / temperature
    if 0 < top_k < len(logs):
        beyond = np.argsort(-logs, kind="stable")[top_k:]
        logs[beyond] = -np.inf
    powers = np.exp(logs)
    return np.asarray(powers / powers.sum())
