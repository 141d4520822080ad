"""`python -m tf_rnn launch`, typed as a person types it: three processes, and the folder of a plain run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from command_helpers import command, finished, succeeds
from model_helpers import made_up_text, metrics

from tf_rnn.cluster.launcher import MODULE

if TYPE_CHECKING:
    from pathlib import Path

LETTERS = 400  # 360 to train on: four rows of 89 tokens are 17 blocks of 5
MODEL = [
    *("--task", "text", "--cell", "gru", "--state-size", "8", "--batch-size", "4", "--num-steps", "5"),
    *("--epochs", "2", "--seed", "7"),
]


def test_a_launch_leaves_what_a_plain_run_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text(made_up_text(LETTERS), encoding="utf-8")
    words = ["train", *MODEL, "--data", str(text)]
    done = finished(["launch", "--workers", "2", "--ps", "1", "--", *words, "--out", "together"], tmp_path)
    lines = done.stderr.splitlines()

    own = [line for line in lines if not line.startswith(("worker 1: ", "ps 0: "))]
    assert own[0] == "text: 360 train / 20 valid / 20 test tokens, 6 types"
    assert [line[:9] for line in own[2:4]] == ["epoch 1/2", "epoch 2/2"]
    assert own[4].startswith("kept in together: lowest held-out loss")
    told = [line for line in lines if line.startswith("worker 1: ")]
    joined, end = [line for line in told if "waiting" not in line]
    assert joined == "worker 1: joined in epoch 1 at block 1 of 17"
    assert end == "worker 1: the run is at its end; this worker took part in 34 updates"
    (serving,) = [line for line in lines if line.startswith("ps 0: ")]
    assert re.fullmatch(r"ps 0: parameter server 0 at 127\.0\.0\.1:\d+, until it is stopped", serving), (
        serving
    )

    succeeds([*words, "--out", str(tmp_path / "alone"), "--threads", "1"], capsys)
    found, expected = (metrics(tmp_path / name) for name in ("together", "alone"))
    for one, other in zip(found, expected, strict=True):
        assert (one["epoch"], one["step"], one["tokens"]) == (other["epoch"], other["step"], other["tokens"])
        for key in ("train_loss", "valid_loss"):
            assert one[key] == pytest.approx(other[key], abs=1e-5), key
    names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("together", "alone")]
    assert names[0] == names[1]
    succeeds(["evaluate", str(tmp_path / "together"), "--split", "test"], capsys)
    succeeds(["sample", str(tmp_path / "together"), "--length", "3"], capsys)


def test_the_module_is_what_the_launcher_starts() -> None:
    assert command([])[1:] == ["-m", MODULE]
