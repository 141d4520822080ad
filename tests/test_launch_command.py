"""`python -m tf_rnn launch`: what cannot be launched is one line, starts nothing and loads no TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command_helpers import assert_light, assert_refused

if TYPE_CHECKING:
    from pathlib import Path

NO_TRAIN = "the command after -- must be train and its options, got"
REFUSED: dict[str, tuple[list[str], str]] = {
    "nothing": ([], f"{NO_TRAIN} ''"),
    "another command": (["--", "compare", "--task", "echo"], f"{NO_TRAIN} 'compare --task echo'"),
    "an unknown option": (["--", "train", "--no-such"], "unrecognized arguments: --no-such"),
    "a bad value": (["--", "train", "--num-steps", "0"], "argument --num-steps"),
    "no worker": (["--workers", "0", "--", "train"], "argument --workers"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_launched_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(["launch", *words], message, capsys)


def test_help_and_refusals_load_no_tensorflow(tmp_path: Path) -> None:
    refused = [["launch", *words] for words, _ in REFUSED.values()]
    assert_light({0: [["launch", "--help"]], 2: refused}, tmp_path)
