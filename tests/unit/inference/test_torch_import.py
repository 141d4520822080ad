"""Networks of PyTorch as runs of this package: equal predictions, and what is refused by name."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytorch_reference
from model_helpers import made_up_text

import tf_rnn
from tf_rnn.analysis import measure_lags
from tf_rnn.inference.torch_files import read_arrays
from tf_rnn.options import OptionError
from tf_rnn.tasks import Arrays, Task, Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tf_rnn.inference import Model

    Weights = dict[str, np.ndarray]

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
INPUTS, UNITS, TARGETS, EMBEDDED, LENGTH = 3, 5, 2, 4, 40
rng = np.random.default_rng(5)
VALUES = Arrays(rng.normal(size=(LENGTH, INPUTS)), rng.normal(size=(LENGTH, TARGETS)))
CLASSES = Arrays(
    rng.integers(0, INPUTS, LENGTH), rng.integers(0, TARGETS, LENGTH), input_size=3, num_classes=2
)
TASKS = {"values": VALUES, "unit vectors": CLASSES, "embedded": CLASSES}


def drawn(*shape: int) -> np.ndarray:
    """Initial weights as PyTorch draws them."""
    return rng.uniform(-(UNITS**-0.5), UNITS**-0.5, shape).astype(np.float32)


def recurrent(kind: str, inputs: int, layers: int, *, biased: bool = True) -> Weights:
    """The state dict of a recurrent module."""
    found: Weights = {}
    rows = GATES[kind] * UNITS
    for layer in range(layers):
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, UNITS if layer else inputs),
            "weight_hh": (rows, UNITS),
        }
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if biased else {}
        found |= {f"rnn.{part}_l{layer}": drawn(*shape) for part, shape in shapes.items()}
    return found


def state_dict(
    kind: str = "LSTM", inputs: str = "values", layers: int = 1, *, biased: bool = True
) -> Weights:
    size = EMBEDDED if inputs == "embedded" else INPUTS
    found = recurrent(kind, size, layers, biased=biased)
    if inputs == "embedded":
        found["encoder.weight"] = drawn(INPUTS, EMBEDDED)
    found["decoder.weight"] = drawn(TARGETS, UNITS)
    return found | ({"decoder.bias": drawn(TARGETS)} if biased else {})


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def step(kind: str, a: np.ndarray, b: np.ndarray, h: np.ndarray, c: np.ndarray, activation: Any) -> Any:
    """A step as PyTorch's documentation has it, from W_ih x + b_ih and W_hh h + b_hh."""
    if kind == "RNN":
        return activation(a + b), c
    if kind == "GRU":
        (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
        r, z = sigmoid(ar + br), sigmoid(az + bz)
        n = np.tanh(an + r * bn)
        return (1 - z) * n + z * h, c
    i, f, g, o = np.split(a + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def in_numpy(kind: str, weights: Weights, inputs: np.ndarray, activation: Any = np.tanh) -> np.ndarray:
    """Logits of all steps, by the equations of PyTorch's documentation."""
    found = {name: value.astype(float) for name, value in weights.items()}
    values = found["encoder.weight"][inputs] if "encoder.weight" in found else inputs
    if values.ndim == 1:
        values = np.eye(INPUTS)[values]
    for layer in itertools.takewhile(lambda n: f"rnn.weight_ih_l{n}" in found, itertools.count()):
        w, u = (found[f"rnn.weight_{part}_l{layer}"] for part in ("ih", "hh"))
        b, d = (found.get(f"rnn.bias_{part}_l{layer}", np.zeros(len(w))) for part in ("ih", "hh"))
        h, c, outputs = np.zeros(UNITS), np.zeros(UNITS), []
        for x in values:
            h, c = step(kind, w @ x + b, u @ h + d, h, c, activation)
            outputs.append(h)
        values = np.array(outputs)
    return np.asarray(values @ found["decoder.weight"].T + found.get("decoder.bias", 0))


def softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))


def taken(weights: Any, task: Task, folder: Path, **options: Any) -> Model:
    """What the run of weights from PyTorch is loaded as, of a narrow graph."""
    return tf_rnn.load(tf_rnn.from_torch(weights, task, folder, num_steps=2, **options), task=task)


def predictions(model: Model, task: Task) -> np.ndarray:
    """Step by step."""
    return np.concatenate([model.stepper.step(x[np.newaxis]) for x in task.stream("train").inputs])


# Kind, layers, inputs, activation; those of PyTorch itself have two layers with biases and read values.
NETWORKS = [
    ("RNN", 1, "values", "relu"),
    ("GRU", 2, "unit vectors", "tanh"),
    ("LSTM", 1, "embedded", "tanh"),
]


@pytest.mark.parametrize(("kind", "layers", "inputs", "activation"), NETWORKS)
def test_predictions_are_those_of_the_equations(
    kind: str, layers: int, inputs: str, activation: str, tmp_path: Path
) -> None:
    """Without biases, but for the one of relu."""
    task, weights = TASKS[inputs], state_dict(kind, inputs, layers, biased=activation == "relu")
    model = taken(weights, task, tmp_path / "run", activation=activation)
    function = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}[activation]
    logits = in_numpy(kind, weights, task.stream("train").inputs, function)
    expected = logits if inputs == "values" else softmax(logits)
    np.testing.assert_allclose(predictions(model, task), expected, atol=1e-6)


@pytest.mark.parametrize("kind", pytorch_reference.KINDS)
def test_predictions_are_those_of_pytorch(kind: str, tmp_path: Path) -> None:
    """Stored ones: see `pytorch_reference`."""
    with np.load(pytorch_reference.FILE) as stored:
        start = f"{kind}/weights/"
        weights = {name.removeprefix(start): stored[name] for name in stored.files if name.startswith(start)}
        inputs, expected = stored["inputs"], stored[f"{kind}/predictions"]
    targets = np.zeros((2 * len(inputs), pytorch_reference.TARGETS))
    task = Arrays(np.concatenate([inputs, inputs]), targets, valid_fraction=0.5)
    model = taken(weights, task, tmp_path / "run")
    np.testing.assert_allclose(predictions(model, task), expected, atol=1e-6)


def test_a_text_model_is_evaluated_sampled_measured_and_trained_further(tmp_path: Path) -> None:
    """The classes of a network may have any order."""
    path = tmp_path / "text.txt"
    path.write_text(made_up_text(900), encoding="utf-8")
    tokens = tuple(reversed(Text(path).vocabulary))
    task = Text(path, vocabulary=tokens)
    weights = recurrent("GRU", EMBEDDED, 1)
    weights |= {"emb.weight": drawn(len(tokens), EMBEDDED)}
    weights |= {
        "out.weight": np.zeros((len(tokens), UNITS), np.float32),
        "out.bias": np.arange(len(tokens)) * 0.1,
    }
    folder = tf_rnn.from_torch(weights, task, tmp_path / "run", num_steps=2)
    model = tf_rnn.load(folder)
    assert model.tokens == tokens
    logits = np.arange(len(tokens)) * 0.1
    losses = np.log(np.exp(logits).sum()) - logits
    expected = losses[task.stream("valid").targets].mean()
    assert model.evaluator("valid", num_steps=5).loss == pytest.approx(expected, abs=1e-6)
    assert len("".join(model.sample("a", length=5, seed=1))) == 6
    assert len(measure_lags(model.graph, model.session, task, 3).gradient_norm) == 3
    assert tf_rnn.resume(folder, updates=2).new_updates == 2


# --- files -------------------------------------------------------------------------------------------


def safetensors(weights: Weights, kind: str = "F32") -> bytes:
    """A file as the format's documentation has it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, value in weights.items():
        data = value.astype("<f4")
        part = (data.view("<u4") >> 16).astype("<u2").tobytes() if kind == "BF16" else data.tobytes()
        places = [len(content), len(content) + len(part)]
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": places}
        content += part
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def test_files_hold_what_a_dictionary_does(tmp_path: Path) -> None:
    """Of bfloat16, the upper half of the bits."""
    weights = state_dict("GRU")
    np.savez(tmp_path / "a.npz", **{str(name): value for name, value in weights.items()})  # type: ignore[arg-type]
    (tmp_path / "b.safetensors").write_bytes(safetensors(weights))
    (tmp_path / "c.safetensors").write_bytes(safetensors(weights, "BF16"))
    halves = {name: (w.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, w in weights.items()}
    for name, expected in (("a.npz", weights), ("b.safetensors", weights), ("c.safetensors", halves)):
        found = read_arrays(tmp_path / name)
        assert list(found) == list(expected)
        for each, value in expected.items():
            np.testing.assert_array_equal(found[each], value, err_msg=f"{name}: {each}")


def damaged(change: Callable[[dict[str, Any]], None]) -> bytes:
    whole = safetensors(state_dict())
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + whole[8 + length :]


FILES: dict[str, tuple[str, bytes]] = {
    "a header that is too long": ("a.safetensors", (2**60).to_bytes(8, "little") + b"{}"),
    "half a file": ("a.safetensors", safetensors(state_dict())[:-9]),
    "another size": (
        "a.safetensors", damaged(lambda header: header["rnn.bias_ih_l0"].update(shape=[2**40]))
    ),
    "another type": ("a.safetensors", damaged(lambda header: header["rnn.bias_ih_l0"].update(dtype="I64"))),
    "no archive": ("a.npz", b"PK"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_damaged_file_is_refused(case: str, tmp_path: Path) -> None:
    name, content = FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=rf"^weights must be an undamaged \.\w+ file, got '.*{name}'$"):
        tf_rnn.from_torch(tmp_path / name, VALUES, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == [name]


# --- refusals ----------------------------------------------------------------------------------------


def renamed(old: str, new: str) -> Weights:
    return {name.replace(old, new): value for name, value in state_dict(layers=2).items()}


LSTM = state_dict()
KINDS = "nn.RNN, nn.GRU or nn.LSTM"
BACKWARD = "rnn.weight_ih_l0_reverse"
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "bidirectional": (
        LSTM | {BACKWARD: np.ones((20, 3))},
        {},
        f"weights must be of a network that reads forward; '{BACKWARD}' is of a bidirectional one",
    ),
    "projections": (
        LSTM | {"rnn.weight_hr_l0": np.ones((2, 5))},
        {},
        "weights must be of a network without projections (proj_size), got 'rnn.weight_hr_l0'",
    ),
    "a cell alone": (
        renamed("_l0", ""),
        {},
        f"weights must be of {KINDS}, not of a cell alone, got 'rnn.weight_ih'",
    ),
    "two networks": (
        LSTM | {f"b.{name}": value for name, value in recurrent("GRU", 3, 1).items()},
        {},
        f"weights must be those of one {KINDS}, got 'b.rnn', 'rnn'",
    ),
    "no network": ({"a.weight": np.ones((2, 2))}, {}, f"weights must be those of one {KINDS}, got none"),
    "a missing layer": (renamed("_l0", "_l2"), {}, "weights must have all layers from 0 on, got [1, 2]"),
    "a further layer": (
        LSTM | {"norm.weight": np.ones(5)},
        {},
        (
            "weights must be those of a recurrent module, an embedding and a readout for this task, got "
            "'norm.weight', too"
        ),
    ),
    "no readout": (
        recurrent("GRU", 3, 1),
        {},
        "weights must have a readout, an nn.Linear; none of [] has its shape",
    ),
    "another size of inputs": (
        recurrent("GRU", 7, 1) | {"out.weight": np.ones((2, 5))},
        {},
        "weights must have 3 inputs in the first layer for the task arrays, or an embedding; it has 7",
    ),
    "two readouts": (
        recurrent("GRU", 3, 1) | {"a.weight": np.ones((2, 5)), "b.weight": np.ones((2, 5))},
        {},
        "readout must be given, as 'a' and 'b' have its shape, (2, 5)",
    ),
    "another name": (LSTM, {"readout": "head"}, "readout must be one of decoder, got 'head'"),
    "an embedding of values": (
        LSTM | {"emb.weight": np.ones((3, 3))},
        {"embedding": "emb"},
        "embedding must be left out for this task",
    ),
    "an activation of an LSTM": (
        LSTM,
        {"activation": "relu"},
        "activation must be left out for nn.LSTM, got 'relu'",
    ),
    "nan": (
        LSTM | {"decoder.bias": np.full(2, np.nan)},
        {},
        "weights must be finite, those of 'decoder.bias' are not",
    ),
    "whole numbers": (
        LSTM | {"decoder.bias": np.ones(2, int)},
        {},
        "weights must be real numbers, 'decoder.bias' has the type int64",
    ),
    "a pickle": ("model.pt", {}, "weights must be a .npz or .safetensors file, got 'model.pt'"),
    "nothing": ("model.npz", {}, "weights must be a file, there is none at 'model.npz'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_over_is_refused_by_name(case: str, tmp_path: Path) -> None:
    weights, options, message = REFUSED[case]
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        tf_rnn.from_torch(weights, VALUES, tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []
