"""The ONNX model, run by another runtime, against our own graphs."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from command_helpers import succeeds
from helpers import CASES, assert_close
from test_export import REAL, STEPS, WITHOUT_KERAS, Example, as_model, make_example

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.inference.exporting import export
from tf_rnn.inference.onnx_model import onnx_model
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from pathlib import Path

KINDS: dict[str, dict[str, Any]] = {
    "classes": {"input_size": 5},
    "embedded": {"input_size": 5, "embedding_size": 2},
    "real": {"input_size": 5, **REAL},
}
TOLERANCE = 1e-5  # single precision, in another order of sums


def session_of(model: Any) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def fed(example: Example) -> tuple[np.ndarray, list[np.ndarray]]:
    """Inputs and state in the types of the ONNX model."""
    assert example.inputs is not None
    whole = example.inputs.dtype.kind == "i"
    inputs = example.inputs.astype(np.int64 if whole else np.float32)
    return inputs, [array.astype(np.float32) for array in tf.nest.flatten(example.state)]


@pytest.mark.parametrize(("cell", "kind"), [*zip(CASES, itertools.cycle(KINDS), strict=False)])
def test_a_sequence_at_once_and_step_by_step(cell: str, kind: str) -> None:
    example = make_example(CASES[cell].make(), **KINDS[kind])
    session = session_of(onnx_model(example.description, example.weights))
    inputs, state = fed(example)
    names = [each.name for each in session.get_inputs()]
    assert [each.name for each in session.get_outputs()] == [
        "prediction",
        *(f"next_{name}" for name in names[1:]),
    ]
    prediction, *last = session.run(None, dict(zip(names, [inputs, *state], strict=True)))
    assert_close(prediction, example.predictions, TOLERANCE, "predictions")
    assert_close(last, example.last_state, TOLERANCE, "the last state")

    steps = []
    for t in range(STEPS):
        one, *state = session.run(None, dict(zip(names, [inputs[:, t : t + 1], *state], strict=True)))
        steps.append(one)
    assert_close(np.concatenate(steps, axis=1), example.predictions, TOLERANCE, "step by step")


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_a_tied_readout_and_any_batch_size(loss: str) -> None:
    sizes: dict[str, Any] = {"input_size": 5, "embedding_size": 4, "num_classes": 5}
    example = make_example(LSTMCell(4), batch_size=7, **sizes, readout="tied", loss=loss)
    session = session_of(onnx_model(example.description, example.weights))
    inputs, (hidden, cell) = fed(example)
    rows = slice(2, 6)
    feed = {"input": inputs[rows], "state_0_hidden": hidden[rows], "state_0_cell": cell[rows]}
    assert_close(session.run(["prediction"], feed)[0], example.predictions[rows], TOLERANCE)


def test_shapes_are_declared() -> None:
    example = make_example(StackedCell([GRUCell(6), LSTMCell(4)]), **KINDS["real"])
    graph = onnx_model(example.description, example.weights).graph
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    states = {"state_0": 6, "state_1_hidden": 4, "state_1_cell": 4}
    assert shapes == {
        "input": ["batch_size", "num_steps", 5],
        "prediction": ["batch_size", "num_steps", 3],
        **{name: ["batch_size", size] for name, size in states.items()},
        **{f"next_{name}": ["batch_size", size] for name, size in states.items()},
    }


@pytest.mark.parametrize("kind", ["embedded", "real"])
def test_the_file_is_written_and_the_readme_runs_it(tmp_path: Path, kind: str) -> None:
    """Four steps of zeros, as the graph itself predicts."""
    example = make_example(GRUCell(6), **KINDS[kind])
    export(as_model(example), tmp_path / "out", onnx=True)
    model = onnx.load(tmp_path / "out" / "model.onnx")
    inputs = np.zeros_like(fed(example)[0])
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    program = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[-1]
    names: dict[str, Any] = {}
    with contextlib.chdir(tmp_path / "out"), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(program, "README.md", "exec"), names)
    zero = np.zeros([len(inputs), 6], np.float32)
    expected = session_of(model).run(None, {"input": inputs, "state_0": zero})[0][:, -1]
    assert_close(names["prediction"][:, -1], expected, TOLERANCE, text)


@pytest.mark.parametrize("name", list(WITHOUT_KERAS))
def test_what_has_no_equivalent_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    cell, options, reason = WITHOUT_KERAS[name]
    example = make_example(cell, **options)
    with pytest.raises(
        OptionError, match=f"^onnx must be off for this network: .*{reason.replace('Keras', 'ONNX')}"
    ):
        export(as_model(example), tmp_path / "out", onnx=True)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = make_example(VanillaCell(3), **KINDS["real"])
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OptionError, match=r'^onnx needs the package onnx: pip install "tf-rnn\[onnx\]"$'):
        export(as_model(example), tmp_path / "out", onnx=True)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    example = make_example(VanillaCell(3), **KINDS["real"])
    monkeypatch.setattr("tf_rnn.inference.load", lambda *_: as_model(example))
    printed, _ = succeeds(["export", str(tmp_path / "run"), str(tmp_path / "out"), "--onnx"], capsys)
    assert str(tmp_path / "out" / "model.onnx") in printed
