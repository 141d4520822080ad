"""`lags` of a network that was trained elsewhere, in Python and typed: known answers, and what is refused."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_helpers import assert_fails, files, succeeds
from model_helpers import keep_run, made_up_text

import tf_rnn
from tf_rnn._tensorflow import tf
from tf_rnn.cells import VanillaCell
from tf_rnn.options import OptionError
from tf_rnn.tasks import Arrays, Text

LENGTH, STEPS, WINDOW = 400, 30, 4
HALF, TARGET = 0.5, 3.0
ONES = Arrays(np.ones(LENGTH), np.full(LENGTH, TARGET), valid_fraction=0.5)
# h_t = h_{t-1} / 2 + x_t, which tends to 2 where all inputs are 1; states are positive.
WEIGHTS = {
    "rnn.weight_ih_l0": np.ones((1, 1)),
    "rnn.weight_hh_l0": np.full((1, 1), HALF),
    "head.weight": np.ones((1, 1)),
}
FILES = ["config.json", "lags.csv", "lags.json", "lags.png", "report.html", "report.md"]


def ones(length: int = LENGTH) -> dict[str, Any]:
    return {"inputs": np.ones(length, np.float32), "targets": np.full(length, TARGET, np.float32)}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with weights, data, a text and a run."""
    monkeypatch.chdir(tmp_path)
    np.savez("model.npz", **WEIGHTS)  # type: ignore[arg-type]
    np.savez("data.npz", **ones())
    return tmp_path


def test_a_network_that_halves_has_the_lags_of_its_formula() -> None:
    """Of a loss, step t - k has the share (1, h) / 2^k of the gradient: with h at rest a power of 1/2."""
    study = tf_rnn.lags(
        WEIGHTS, ONES, STEPS, window=WINDOW, reference="infinite", activation="relu", batch_size=1
    )
    found, K = study.analysis, np.arange(1, STEPS + 1)
    np.testing.assert_allclose(
        np.array(found.gradient_norm) / found.gradient_norm[0], HALF ** (K - 1), rtol=1e-6
    )
    assert found.decay == pytest.approx(HALF, rel=1e-6)
    np.testing.assert_allclose(found.relative_bias, HALF**K, atol=1e-6)
    np.testing.assert_allclose(found.block_bias, (1 - HALF**K) / K, atol=1e-6)
    assert found.lyapunov == pytest.approx(math.log(HALF), abs=1e-6)
    # k steps after a reset the prediction is 2 - 2 / 2^k.
    excess = (1 + 2 * HALF**K) ** 2 - 1
    np.testing.assert_allclose(np.array(study.context.fresh, float), 1 + excess, rtol=1e-5)
    np.testing.assert_allclose(np.array(study.context.carried, float), np.ones(STEPS), rtol=1e-5)
    (needed,) = np.flatnonzero((excess <= study.margin) & (np.roll(excess, 1) > study.margin)) + 1
    assert study.margin == pytest.approx(0.01 * study.evaluation.loss)
    assert study.needed_context == needed == 9
    *_, context, window = study.sentences
    assert context.startswith("model: it uses 9 steps of context: with these the loss is 1.00")
    assert window == (
        f"a window of 4 cuts off, of the gradient over the whole past, {found.block_bias[3]:.1%} in blocks, "
        f"{found.relative_bias[3]:.1%} if every error is followed back over all of it; with 4 steps of "
        "context the loss is 1.2656 squared error, with all of the past 1.0000 squared error."
    )
    assert f"{found.block_bias[3]:.1%}" == "23.4%"
    assert study.at is None
    assert len(study.figure().axes) == 3


def test_a_state_that_does_not_last_is_named() -> None:
    """h grows by 1 %: right after one step, with all of the past far off."""
    weights = WEIGHTS | {"rnn.weight_hh_l0": np.full((1, 1), 1.01)}
    task = Arrays(np.ones(LENGTH), np.ones(LENGTH), valid_fraction=0.5)
    study = tf_rnn.lags(weights, task, 5, activation="relu", batch_size=1)
    growth = 1.01 ** np.arange(5)
    np.testing.assert_allclose(np.array(study.context.fresh, float), (growth.cumsum() - 1) ** 2, atol=1e-4)
    assert re.match(
        r"model: its state does not last: \d steps? after a reset the loss is [\d.]+ squared error, without "
        r"one [\d.e+]+ squared error; reset it, or train with the state carried\.",
        study.sentences[3],
    ), study.sentences
    # Of what is used beyond what is measured: each step counts as much as any other.
    inputs = np.random.default_rng(1).random(LENGTH)
    sums = Arrays(inputs, np.cumsum(inputs), valid_fraction=0.9)
    held = weights | {"rnn.weight_hh_l0": np.ones((1, 1))}
    study = tf_rnn.lags(held, sums, 5, activation="relu", batch_size=1)
    assert study.sentences[2].startswith(
        "model: it uses more than 5 steps of context: with these the loss is "
    )


def test_every_source_gives_the_same(place: Path) -> None:
    """Arrays, a file of them, the run made of them, its export; in Keras, and in a file of Keras."""
    how: dict[str, Any] = {"num_steps": 2, "batch_size": 1}
    run = tf_rnn.from_torch(WEIGHTS, ONES, "run", activation="relu")
    model = tf_rnn.load(run, task=ONES)
    tf_rnn.inference.export(model, "exported")
    layers = tf.compat.v2.keras.layers
    simple = layers.SimpleRNN(1, activation="relu", return_sequences=True)
    keras = tf.compat.v2.keras.Sequential([tf.compat.v2.keras.Input([None, 1]), simple, layers.Dense(1)])
    keras.set_weights([np.ones((1, 1)), np.full((1, 1), HALF), np.zeros(1), np.ones((1, 1)), np.zeros(1)])
    keras.save("m.keras")
    relu: dict[str, Any] = {"activation": "relu"}
    others: list[Any] = [run, model, "exported", keras]
    sources = [("model.npz", relu), *((source, {}) for source in others)]
    expected = tf_rnn.lags(WEIGHTS, ONES, **how, **relu).as_json()
    for source, more in sources:
        found = tf_rnn.lags(source, ONES, **how, **more).as_json()
        assert found == expected, f"{source}: {found}, not {expected}"
    np.savez("held_out.npz", **ones(LENGTH // 2))
    found = tf_rnn.lags("m.keras", data="held_out.npz", **how).as_json()
    assert {**found, "config": 0} == {**expected, "config": 0}, "all of the arrays are held out"


def test_the_command_writes_what_the_function_finds(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "lags --model model.npz --data data.npz --activation relu --num-steps 10 --window 3 --at 20 --out out"
    )
    shown, _ = succeeds(words.split(), capsys)
    study = tf_rnn.lags("model.npz", None, 10, window=3, at=20, data="data.npz", activation="relu")
    lines = shown.splitlines()
    assert lines[: lines.index("written:")] == study.sentences
    assert sorted(files(place / "out")) == sorted([*FILES, "at.csv", "at.png"])
    stored = json.loads((place / "out" / "lags.json").read_text(encoding="utf-8"))
    assert stored["gradient_norm"] == study.analysis.gradient_norm
    assert (stored["needed_context"], stored["window"], stored["loss"]) == (9, 3, study.evaluation.loss)
    page = (place / "out" / "report.md").read_text(encoding="utf-8")
    for sentence in study.sentences[:-1]:
        assert f"- {sentence}" in page
    assert f"python -m tf_rnn {words}" in page
    assert "\nmodel.npz: vanilla 1, task arrays.\n" in page
    assert "| 3 | 1.5625 squared error | 1.0000 squared error |" in page
    line = assert_fails([*words.replace("--window 3", "--window 2").split()], 2, capsys)
    assert "--out" in line


def test_a_run_knows_its_text(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("text", "other"):
        Path(f"{name}.txt").write_text(made_up_text(900, seed=len(name)), encoding="utf-8")
    keep_run(place / "run", Text("text.txt"), VanillaCell(3))
    found = {}
    for data in ([], ["--data", "other.txt"]):
        out = f"out{len(data)}"
        succeeds(["lags", "--model", "run", *data, "--num-steps", "2", "--out", out], capsys)
        found[out] = json.loads((place / out / "lags.json").read_text(encoding="utf-8"))
    model = tf_rnn.load("run")
    assert found["out0"]["loss"] == pytest.approx(model.evaluator().loss, rel=1e-6)
    assert found["out0"]["config"]["data_sha256"] != found["out2"]["config"]["data_sha256"]
    assert found["out0"]["loss"] != found["out2"]["loss"]


MODEL = "--model model.npz --activation relu"
GIVEN = f"{MODEL} --data data.npz"
KINDS = "must be a .keras, .npz, .safetensors file, the folder of a run or of an export"
REFUSED = {
    "no data": (MODEL, "--task must be given for a model from elsewhere (echo, autoregression, memory, "),
    "training": (f"{GIVEN} --tokens 5", "--tokens must be left out where --model is given, as it is"),
    "a network": (f"{GIVEN} --cell lstm", "--cell must be left out where --model is given, as it is"),
    "a seed": (f"{GIVEN} --seed 3", "--seed must be left out where --model is given, as it is"),
    "a window without a model": ("--window 5", "--window must be left out unless --model is given"),
    "a window that is too wide": (
        f"{GIVEN} --num-steps 5 --window 6",
        "--window must be at most --num-steps (5), got 6",
    ),
    "data that are too short": (
        f"{GIVEN} --num-steps 500",
        "--num-steps must be at most 400 (the 400 tokens of split 'valid'",
    ),
    "arrays of a task": (f"{GIVEN} --task text", "--task must be left out where --data is an .npz file"),
    "no model": ("--model none.keras --data data.npz", f"--model {KINDS}; there is none at 'none.keras'"),
    "another file": ("--model text.txt --data data.npz", f"--model {KINDS}; got 'text.txt'"),
    "another folder": ("--model folder --data data.npz", f"--model {KINDS}; got 'folder'"),
    "no arrays": (f"{MODEL} --data none.npz", "--data must be a file, there is none at 'none.npz'"),
    "other arrays": (
        f"{MODEL} --data model.npz",
        "--data must have inputs and targets, and beside them only valid_inputs, valid_targets, ",
    ),
    "no archive": (f"{MODEL} --data text.npz", "--data must be an undamaged .npz file, got 'text.npz'"),
    "another task": (
        f"{MODEL} --task text --data text.txt",
        "--model must have a readout, an nn.Linear; none of ['head'] has its shape",
    ),
    "an option of another task": (
        f"{MODEL} --task text --data text.txt --delay 3",
        "--delay must be left out unless --task is copy",
    ),
    "an activation of what says its own": (
        "--model folder --data data.npz --activation relu",
        "--activation must be left out unless --model is the weights of an nn.RNN",
    ),
    "a task of a run": ("--model run --task words", "--task must be text, as the model was "),
    "an option of a run": ("--model run --delay 3", "--delay must be left out, as the model knows its task"),
    "a position": (f"{GIVEN} --num-steps 5 --at 400", "--at must be a position from 4 (--num-steps - 1)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_refused_before_anything_is_written(
    case: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, message = REFUSED[case]
    for name in ("text.txt", "text.npz"):
        Path(name).write_text("abcde" * 30, encoding="utf-8")
    Path("folder").mkdir()
    if "run" in words.split():
        keep_run(place / "run", Text("text.txt"), VanillaCell(3))
    before = sorted(place.rglob("*"))
    line = assert_fails(["lags", *words.split(), "--out", "out"], 2, capsys)
    assert line.startswith(f"tf_rnn lags: error: {message}"), line
    assert sorted(place.rglob("*")) == before


def test_in_python_unknown_options_and_second_data_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^lags\(\) got an unexpected keyword argument 'widths'$"):
        tf_rnn.lags(WEIGHTS, ONES, widths=3)
    with pytest.raises(OptionError, match=r"^data must be left out where task is a Task$"):
        tf_rnn.lags(WEIGHTS, ONES, data="data.npz")
    with pytest.raises(
        OptionError, match=r"^model must be a Keras model or the path of a \.keras file, got 3$"
    ):
        tf_rnn.lags(3, ONES)
