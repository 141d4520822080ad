"""`audit`: from a file of probes to the sentence, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import assert_refused, succeeds

if TYPE_CHECKING:
    from pathlib import Path


def blocks_of_5(x: np.ndarray, weights: np.ndarray, step: int) -> tuple[float, float]:
    """Somebody's loop: blocks of 5, the state carried, the last ones cut short."""
    state, gradient, output = 0.0, 0.0, 0.0
    for start in range(0, len(x), 5):
        slope, states = 0.0, []  # dh/dw, forward
        for t in range(start, min(start + 5, len(x))):
            slope, state = state + slope, state + float(x[t])
            gradient += float(weights[t]) * slope
            states.append(state)
        if start < step <= start + 5:
            output = states[step - 1 - start]
    return gradient, output


@pytest.fixture(name="result")
def _result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the message after `--write` asks for."""
    monkeypatch.chdir(tmp_path)
    shown, _ = succeeds(["audit", "--write", "probe.npz", "--num-steps", "23"], capsys)
    assert shown.startswith("written: probe.npz\n")
    assert 'numpy.savez("result.npz", gradient=gradients, output=outputs, **probe)' in shown
    with np.load("probe.npz") as archive:
        probe = dict(archive)
    rows = zip(probe["inputs"], probe["weights"], probe["loss_step"].tolist(), strict=True)
    numbers = [blocks_of_5(*row) for row in rows]
    return probe | {"gradient": [each[0] for each in numbers], "output": [each[1] for each in numbers]}


def test_a_loop_is_read_from_its_file(
    result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("result.npz", **result)
    shown, errors = succeeds(["audit", "--read", "result.npz", "--asked", "10"], capsys)
    *picture, sentence = shown.splitlines()
    assert sentence == "blocks of 5, state carried; 10 were asked for."
    assert picture[-3:] == [
        "  21 ....................#",
        "  22 ....................##",
        "  23 ....................###",
    ]
    np.savez("scaled.npz", **result | {"gradient": np.array(result["gradient"]) / 5})
    for words, start in (
        (["--loss-scale", "0.2"], "blocks of 5, "),
        ([], "loss on step 2: the gradient 0.8 is "),
    ):
        shown, _ = succeeds(["audit", "--read", "scaled.npz", *words], capsys)
        assert shown.splitlines()[-1].startswith(start)
    assert errors == []


def test_no_file_is_overwritten(
    result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "probe.npz").read_bytes()
    for flag in ("--write", "--export-echo"):
        assert_refused(["audit", flag, "probe.npz"], f"{flag} must be a new file, 'probe.npz' exists", capsys)
        words, message = (
            ["audit", flag, "no/probe.npz"],
            f"{flag} must be a file that can be written, got 'no/",
        )
        assert_refused(words, message, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["probe.npz"]
    assert (tmp_path / "probe.npz").read_bytes() == before


NAMES = "--read must hold numbers gradient, output, inputs, loss_step, shown; in 'bad.npz' "
AS_WRITTEN = "--read must hold inputs, loss_step and shown as audit --write wrote them"
DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "no gradient": ({"gradient": None}, f"{NAMES}gradient is missing"),
    "words": ({"output": ["a"]}, f"{NAMES}output is missing"),
    "too few": (
        {"gradient": [1.0, 2.0]},
        "--read must hold gradient with a number for each of the 25 rows of inputs, got shape (2,)",
    ),
    "other data": ({"inputs": np.ones((25, 23), np.float32)}, AS_WRITTEN),
    "another shape": ({"inputs": np.float32(3)}, AS_WRITTEN),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_file_that_is_no_result_is_refused(
    result: dict[str, Any], case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, message = DAMAGE[case]
    np.savez("bad.npz", **{name: value for name, value in (result | changed).items() if value is not None})
    assert_refused(["audit", "--read", "bad.npz"], message, capsys)


def test_a_file_that_is_no_archive_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("whole.npz", gradient=np.arange(99.0))
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.npz").write_text("no archive", encoding="utf-8")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.arange(3))
    for name in ("cut.npz", "text.npz", "array.npz"):
        message = f"--read must be an undamaged .npz file of arrays, got '{name}'"
        assert_refused(["audit", "--read", name], message, capsys)
    (tmp_path / "link.npz").symlink_to("whole.npz")
    for name in ("link.npz", "missing.npz"):
        assert_refused(["audit", "--read", name], f"--read must be a .npz file, got '{name}'", capsys)


def test_one_thing_is_done_with_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(["audit"], "--write must be given, or one of --read, --export-echo, --read-loss", capsys)
    message = "--asked must be left out unless --read is given"
    assert_refused(["audit", "--read-loss", "0.5", "--asked", "3"], message, capsys)
    message = "argument --read: not allowed with argument --write"
    assert_refused(["audit", "--write", "a.npz", "--read", "b.npz"], message, capsys)


def test_a_loss_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = succeeds(["audit", "--read-loss", "0.5523"], capsys)
    assert shown.startswith("0.5523 nats fits a width of 10 ")
