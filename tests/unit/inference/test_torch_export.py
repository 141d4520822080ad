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
from tf_rnn.graph.describe import describe
from tf_rnn.inference import export
from tf_rnn.inference.torch_export import no_torch, safetensors, state_dict
from tf_rnn.options import OptionError
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


CELLS: dict[str, Any] = {
    "vanilla": VanillaCell(4),
    "gru": StackedCell([GRUCell(4), GRUCell(4)]),
    "lstm": StackedCell([LSTMCell(3), LSTMCell(3), LSTMCell(3)]),
}


@pytest.mark.parametrize("name", CELLS)
def test_weights_come_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    keep_run(tmp_path / "run", CLASSES, CELLS[name])
    model = tf_rnn.load(tmp_path / "run", task=CLASSES)
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors(state_dict(model.description, model.weights)))
    back = tf_rnn.load(tf_rnn.from_torch(path, CLASSES, tmp_path / "back"), task=CLASSES).weights
    assert list(back) == list(model.weights)
    for weight, value in model.weights.items():
        np.testing.assert_array_equal(back[weight], value, err_msg=weight)


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


WITHOUT: dict[str, tuple[Any, str]] = {
    "two sizes": (
        StackedCell([LSTMCell(4), LSTMCell(3)]),
        "the layers of a module of PyTorch are equal in kind",
    ),
    "two kinds": (
        StackedCell([LSTMCell(4), GRUCell(4)]),
        "the layers of a module of PyTorch are equal in kind",
    ),
    "two activations": (
        StackedCell([VanillaCell(4), VanillaCell(4, "relu")]),
        "the layers of a module of PyTorch are equal in kind",
    ),
    "normalised": (
        LSTMCell(4, layer_norm=True),
        "PyTorch has no layer like the cell 'lstm' with layer normalisation",
    ),
    "reset before": (GRUResetBeforeCell(4), "PyTorch has no layer like the cell 'gru_reset_before'"),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_what_pytorch_has_no_module_for_has_a_reason(case: str) -> None:
    cell, reason = WITHOUT[case]
    assert str(no_torch(describe(UnrolledGraph(cell, 2, 1, 5, 3)))).startswith(reason)


def test_what_pytorch_has_no_module_for_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, reason = WITHOUT["two kinds"]
    (tmp_path / "text.txt").write_text(made_up_text(300), encoding="utf-8")
    keep_run(tmp_path / "run", Text(tmp_path / "text.txt"), StackedCell([LSTMCell(4), GRUCell(4)]))
    shown, _ = succeeds(["export", f"{tmp_path / 'run'}", f"{tmp_path / 'out'}"], capsys)
    assert f"no weights for PyTorch: {reason}" in shown
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert "PyTorch" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_an_export_is_measured_as_its_run(tmp_path: Path) -> None:
    """By its weights for PyTorch alone; without an activation that these do not say, an `nn.RNN` is tanh."""
    keep_run(tmp_path / "run", CLASSES, CELLS["gru"])
    done = export(tf_rnn.load(tmp_path / "run", task=CLASSES), tmp_path / "out")
    assert done.without_torch is None
    assert tmp_path / "out" / "model.safetensors" in done.files
    found = tf_rnn.lags(tmp_path / "out" / "model.safetensors", CLASSES, 3, batch_size=1)
    assert found.as_json() == tf_rnn.lags(tmp_path / "run", CLASSES, 3, batch_size=1).as_json()
    with pytest.raises(OptionError, match=r"^activation must be left out for nn\.GRU, got 'relu'$"):
        tf_rnn.lags(tmp_path / "out" / "model.safetensors", CLASSES, 3, activation="relu")
