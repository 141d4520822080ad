"""Weights for PyTorch: what real PyTorch computes with them, and the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytorch_exports
from command_helpers import succeeds
from helpers import assert_close
from model_helpers import keep_run, made_up_text
from references import softmax

import tf_rnn
from tf_rnn.cells import GRUCell, GRUResetBeforeCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.describe import describe, described_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.opening import open_model
from tf_rnn.inference.torch_export import no_torch, safetensors, state_dict
from tf_rnn.tasks import Arrays, Text

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = Arrays(np.arange(90) % 5, np.arange(90) % 3, input_size=5, num_classes=3)


@pytest.mark.parametrize("name", pytorch_exports.NETWORKS)
def test_pytorch_predicts_the_same(name: str, tmp_path: Path) -> None:
    """Stored logits of real PyTorch, from this very file: see `pytorch_exports`."""
    predictions = pytorch_exports.exported(name, tmp_path / "out")
    with np.load(pytorch_exports.FILE) as stored:
        logits, weights = (stored[f"{name}/{part}"] for part in ("logits", "weights"))
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == weights.tobytes()
    is_real = pytorch_exports.NETWORKS[name].options.get("input_kind") == "real"
    assert_close(predictions, logits if is_real else softmax(logits), 1e-6, name)
    assert np.ptp(predictions, axis=0).min() > 1e-3, "nothing to compare"


def described(cell: Any) -> dict[str, Any]:
    return describe(UnrolledGraph(cell, 1, 1, 5, 3, optimizer=None))


CELLS: dict[str, Any] = {
    "vanilla": VanillaCell(4),
    "gru": StackedCell([GRUCell(4), GRUCell(4)]),
    "lstm": StackedCell([LSTMCell(3), LSTMCell(3)]),
}


@pytest.mark.parametrize("name", CELLS)
def test_weights_come_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    """As a file that `open_model` takes, too. Where no activation is given, an `nn.RNN` is tanh."""
    description = described(CELLS[name])
    shapes = {each: v.shape for each, v in weight_names(described_graph(description)).items()}
    weights = {each: pytorch_exports.weight(each, shape) for each, shape in shapes.items()}
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(state_dict(description, weights)))
    back = tf_rnn.load(tf_rnn.from_torch(path, CLASSES, tmp_path / "back", num_steps=2), task=CLASSES)
    opened, _ = open_model(path, CLASSES) if name == "vanilla" else (back, CLASSES)
    for found in (back, opened):
        assert found.description["cell"] == description["cell"]
        assert list(found.weights) == list(weights)
        for weight, value in weights.items():
            np.testing.assert_array_equal(found.weights[weight], value, err_msg=weight)


def test_the_file_is_laid_out_as_the_format_says() -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "é": np.full(1, 0.1)}
    content = safetensors(arrays)
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length]) == {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]},
        "é": {"dtype": "F64", "shape": [1], "data_offsets": [24, 32]},
    }
    values = np.array([0, 3, 1, 4, 2, 5], "<f4").tobytes() + np.array([0.1], "<f8").tobytes()
    assert content[8 + length :] == values


UNEQUAL = "the layers of a module of PyTorch are equal in kind"
WITHOUT: dict[str, tuple[Any, str]] = {
    "two sizes": (StackedCell([LSTMCell(4), LSTMCell(3)]), UNEQUAL),
    "two kinds": (StackedCell([LSTMCell(4), GRUCell(4)]), UNEQUAL),
    "two activations": (StackedCell([VanillaCell(4), VanillaCell(4, "relu")]), UNEQUAL),
    "normalised": (
        LSTMCell(4, layer_norm=True), "PyTorch has no layer like the cell 'lstm' with layer normalisation"
    ),
    "reset before": (GRUResetBeforeCell(4), "PyTorch has no layer like the cell 'gru_reset_before'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WITHOUT)
def test_what_pytorch_has_no_module_for_has_a_reason(case: str) -> None:
    cell, reason = WITHOUT[case]
    assert str(no_torch(described(cell))).startswith(reason)


def test_what_pytorch_has_no_module_for_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, reason = WITHOUT["normalised"]
    (tmp_path / "text.txt").write_text(made_up_text(300), encoding="utf-8")
    keep_run(tmp_path / "run", Text(tmp_path / "text.txt"), LSTMCell(4, layer_norm=True), num_steps=2)
    shown, _ = succeeds(["export", f"{tmp_path / 'run'}", f"{tmp_path / 'out'}"], capsys)
    assert f"no weights for PyTorch: {reason}" in shown
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert "PyTorch" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
