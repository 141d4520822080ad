"""`python -m tf_rnn sample`, typed as a person types it."""

from __future__ import annotations

import io
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
from command_helpers import DEADLINE, assert_refused, ended, started, succeeds
from model_helpers import keep_run, random_weights, write_splits

from tf_rnn.cells import LSTMCell, VanillaCell
from tf_rnn.inference import load
from tf_rnn.tasks import Echo, Text, Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tf_rnn.inference import Model


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with weights that make every letter likely at some time, é among them."""
    folder = tmp_path_factory.mktemp("sample")
    weights = partial(random_weights, seed=17, scale=2.0)
    return keep_run(folder / "out", Text(write_splits(folder / "splits")), LSTMCell(7), weights)


@pytest.fixture(scope="module")
def model(kept: Path) -> Model:
    return load(kept)


# --- what it writes --------------------------------------------------------------------------------


def test_it_writes_what_the_library_gives(
    kept: Path, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a newline at the end; nothing beside it."""
    words = ["--prime", "ab", "--length", "50", "--temperature", "0.9", "--top-k", "4", "--seed", "3"]
    shown, errors = succeeds(["sample", str(kept), *words], capsys)
    expected = "".join(model.sample("ab", 50, temperature=0.9, top_k=4, seed=3))
    assert (shown, errors) == (expected + "\n", [])


def test_left_out_it_is_500_letters_at_0_8(
    kept: Path, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, _ = succeeds(["sample", str(kept), "--seed", "3"], capsys)
    assert shown == "".join(model.sample("", 500, temperature=0.8, top_k=0, seed=3)) + "\n"
    assert len(shown) == 501


def test_without_a_seed_it_is_another_each_time(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [succeeds(["sample", str(kept), "--length", "200"], capsys)[0] for _ in range(2)]
    assert texts[0] != texts[1]


def test_at_the_edges(kept: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    """No letters; a temperature of 0, however it is written."""
    shown, _ = succeeds(["sample", str(kept), "--length", "0", "--prime", "ab"], capsys)
    assert shown == "ab\n"
    expected = "".join(model.sample("a", 20, temperature=0))
    for zero in ("0", "0.0", "0e0"):
        words = ["--prime", "a", "--length", "20", "--temperature", zero, "--top-k", "0"]
        assert succeeds(["sample", str(kept), *words], capsys)[0] == expected + "\n", zero


def test_a_text_that_does_not_come_up_is_named(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the prime holds does not count."""
    words = ["sample", str(kept), "--prime", "dcbadcba", "--length", "3", "--seed", "1", "--until"]
    assert succeeds([*words, "dcbadcba"], capsys)[1] == ["--until 'dcbadcba' did not come up in 3 tokens"]
    shown, _ = succeeds(words[:-1], capsys)
    assert succeeds([*words, shown[8]], capsys) == (shown[:9] + "\n", [])


def test_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat\nthe end\n" * 20, encoding="utf-8")
    folder = keep_run(tmp_path / "out", Words(path), VanillaCell(3))
    shown, _ = succeeds(["sample", str(folder), "--prime", "the dog", "--length", "9", "--seed", "1"], capsys)
    assert shown.startswith("the dog ")
    assert shown == "".join(load(folder).sample("the dog", 9, seed=1)) + "\n"


# --- to a pipe -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_new_process_writes_the_same_until_nobody_reads(kept: Path, model: Model) -> None:
    """What a seed gives, as soon as it is drawn, and in ASCII; `| head` is no error."""
    words = ["sample", str(kept), "--length", "1000000000", "--seed", "3"]
    with started(words, env=os.environ | {"PYTHONIOENCODING": "ascii"}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found, expected = process.stdout.read(300), "".join(model.sample(length=300, seed=3))
        assert "é" in expected
        assert found == expected.replace("é", "?")
        assert process.poll() is None, "it ended before its end was computed"
        process.stdout.close()
        status = process.wait(timeout=DEADLINE)
        assert (status, process.stderr.read()) == (0, "")


def test_each_piece_is_shown_before_the_next_is_computed(
    kept: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="utf-8"))
    shown = []

    def pieces(*_: object, **__: object) -> Iterator[str]:
        for piece in ("a", "b", "é"):
            yield piece
            shown.append(written.getvalue().decode())

    monkeypatch.setattr(type(model), "sample", pieces)
    assert ended(["sample", str(kept)]) == 0
    assert shown == ["a", "ab", "abé"]


def test_a_terminal_that_lacks_a_letter_shows_a_question_mark(
    kept: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no terminal gets UTF-8."""
    expected = "".join(model.sample(length=100, seed=3)) + "\n"
    assert "é" in expected
    for encoding, is_terminal in (("ascii", True), ("latin-1", True), ("ascii", False)):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding=encoding)
        monkeypatch.setattr(stream, "isatty", lambda is_terminal=is_terminal: is_terminal)
        monkeypatch.setattr(sys, "stdout", stream)
        assert ended(["sample", str(kept), "--length", "100", "--seed", "3"]) == 0
        assert written.getvalue() == expected.encode(encoding if is_terminal else "utf-8", "replace")


def test_a_model_of_no_language_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = keep_run(tmp_path / "echo", Echo(length=60, valid_length=50), VanillaCell(3))
    message = "DIR must hold a language model, got one of the task echo"
    assert_refused(["sample", str(folder)], message, capsys)
