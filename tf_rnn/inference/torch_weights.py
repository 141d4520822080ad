"""The network of a PyTorch state dict: one `nn.RNN`, `nn.GRU` or `nn.LSTM`, an embedding, a readout.

PyTorch keeps the weights of layer k of a recurrent module under

    weight_ih_lk [gates * state_size, input_size]    bias_ih_lk [gates * state_size]
    weight_hh_lk [gates * state_size, state_size]    bias_hh_lk [gates * state_size]

with 1 gate for `nn.RNN`, 3 (r, z, n) for `nn.GRU`, and 4 (i, f, g, o) for `nn.LSTM`. The equations are those
of `VanillaCell`, `GRUCell` and `LSTMCell`, which have one bias where the sum of both is all that counts.

Source: the documentation of torch.nn.RNN, GRU and LSTM.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.inference.foreign import ForeignNetwork
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tf_rnn.tasks import Task

    Arrays = Mapping[str, np.ndarray]

PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
LAYER = re.compile(
    r"(?P<module>.*?)(?P<part>(?:weight|bias)_(?:ih|hh|hr))(?:_l(?P<layer>\d+))?(?P<reverse>_reverse)?"
)
CELLS = {1: "vanilla", 3: "gru", 4: "lstm"}
READOUT, EMBEDDING = "readout", "embedding"


def network_of(
    arrays: Arrays, task: Task, names: Mapping[str, str | None], activation: str = "tanh"
) -> ForeignNetwork:
    """The network that has these weights.

    Args:
        arrays: The state dict.
        task: What it is trained on, which determines the sizes of inputs and predictions.
        names: The names of the modules of "embedding" and "readout"; None for one that is found by its shape.
        activation: That of `nn.RNN`; "tanh" for others.

    Raises:
        OptionError: For `weights`, if it is another network; for `embedding` or `readout`, if there is no
            module of this name, or several may be meant; for `activation`.
    """
    layers, others = _layers(arrays)
    cell, state_size, input_size = _sizes(layers)
    if cell != "vanilla" and activation != "tanh":
        raise OptionError("activation", f"must be left out for nn.{cell.upper()}, got {activation!r}")
    modules = _modules(others)
    found = _named(modules, names)
    shapes = {EMBEDDING: (task.input_size, input_size), READOUT: (task.num_classes, state_size)}
    wanted = ([EMBEDDING] if task.input_kind == "classes" else []) + (
        [READOUT] if task.readout == "linear" else []
    )
    for role in (role for role in wanted if role not in found):
        rest = {name: parts for name, parts in modules.items() if name not in found.values()}
        if (name := _by_shape(role, rest, shapes[role])) is not None:
            found[role] = name
    _require_all(modules, found, wanted)
    embedding = _embedding(modules, found, shapes[EMBEDDING])
    if embedding is None and input_size != task.input_size:
        raise OptionError(
            "weights",
            f"must have {task.input_size} inputs in the first layer for the task {task.name}, or an "
            f"embedding; it has {input_size}",
        )
    weights = {} if embedding is None else {"embedding/E": embedding}
    for number, parts in enumerate(layers):
        weights |= {f"layer_{number}/{name}": value for name, value in CONVERTERS[cell](parts).items()}
    weights |= _readout(modules, found, shapes[READOUT])
    described = {"cell": cell, "state_size": state_size}
    described |= {"activation": activation} if cell == "vanilla" else {}
    return ForeignNetwork([described] * len(layers), None if embedding is None else input_size, weights)


# --- the recurrent module --------------------------------------------------------------------------------


def _layers(arrays: Arrays) -> tuple[list[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The parts of each layer of the one recurrent module, and the arrays of others."""
    found: dict[int, dict[str, np.ndarray]] = {}
    modules, others = set(), {}
    for name, array in arrays.items():
        match = LAYER.fullmatch(name)
        if match is None:
            others[name] = array
            continue
        _require_plain(name, match)
        modules.add(match["module"])
        found.setdefault(int(match["layer"]), {})[match["part"]] = array
    if len(modules) != 1:
        names = ", ".join(repr(name.rstrip(".")) for name in sorted(modules)) or "none"
        raise OptionError("weights", f"must be those of one nn.RNN, nn.GRU or nn.LSTM, got {names}")
    if sorted(found) != list(range(len(found))):
        raise OptionError("weights", f"must have all layers from 0 on, got {sorted(found)}")
    return [_complete(number, found[number]) for number in sorted(found)], others


def _require_plain(name: str, match: re.Match[str]) -> None:
    if match["reverse"]:
        raise OptionError(
            "weights", f"must be of a network that reads forward; {name!r} is of a bidirectional one"
        )
    if match["part"].endswith("hr"):
        raise OptionError("weights", f"must be of a network without projections (proj_size), got {name!r}")
    if match["layer"] is None:
        raise OptionError(
            "weights", f"must be of nn.RNN, nn.GRU or nn.LSTM, not of a cell alone, got {name!r}"
        )


def _complete(number: int, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All four parts of a layer; biases that it lacks are zero."""
    for part in PARTS[:2]:
        if part not in parts or parts[part].ndim != 2:
            raise OptionError("weights", f"must have a matrix {part}_l{number}")
    rows = len(parts["weight_hh"])
    parts = {part: np.zeros(rows, parts["weight_hh"].dtype) for part in PARTS[2:]} | parts
    shapes = {part: np.shape(array) for part, array in parts.items()}
    if len(parts["weight_ih"]) != rows or shapes["bias_ih"] != (rows,) or shapes["bias_hh"] != (rows,):
        raise OptionError("weights", f"must have {rows} rows in all parts of layer {number}, got {shapes}")
    return parts


def _sizes(layers: list[dict[str, np.ndarray]]) -> tuple[str, int, int]:
    """Cell, state size and the size of what the first layer reads."""
    rows, state_size = layers[0]["weight_hh"].shape
    cell = CELLS.get(rows // state_size) if state_size and rows % state_size == 0 else None
    if cell is None:
        raise OptionError(
            "weights", f"must have 1, 3 or 4 gates in weight_hh_l0, got {rows} rows and {state_size} columns"
        )
    for number, parts in enumerate(layers):
        inputs = state_size if number else layers[0]["weight_ih"].shape[1]
        if parts["weight_hh"].shape != (rows, state_size) or parts["weight_ih"].shape[1] != inputs:
            raise OptionError(
                "weights", f"must have {state_size} units in every layer, layer {number} differs"
            )
    return cell, state_size, layers[0]["weight_ih"].shape[1]


def _vanilla(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"W": _kernel(parts), "b_s": parts["bias_ih"] + parts["bias_hh"]}


def _gru(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The recurrent bias of the candidate is multiplied by the reset gate, and stays apart."""
    gates = 2 * parts["weight_hh"].shape[1]
    inner = parts["bias_hh"].copy()
    inner[gates:] = 0
    return {"W": _kernel(parts), "b": parts["bias_ih"] + inner, "b_n": parts["bias_hh"][gates:]}


def _lstm(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """From the order i, f, g, o to i, f, o, g."""
    d = parts["weight_hh"].shape[1]
    order = np.r_[: 2 * d, 3 * d : 4 * d, 2 * d : 3 * d]
    return {"W": _kernel(parts)[:, order], "b": (parts["bias_ih"] + parts["bias_hh"])[order]}


def _kernel(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([parts["weight_ih"].T, parts["weight_hh"].T])


CONVERTERS: dict[str, Any] = {"vanilla": _vanilla, "gru": _gru, "lstm": _lstm}


# --- embedding and readout -------------------------------------------------------------------------------


def _modules(others: Arrays) -> dict[str, dict[str, np.ndarray]]:
    """Weight and bias of the other modules, by the modules' names."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in others.items():
        module, _, part = name.rpartition(".")
        if (part, array.ndim) not in {("weight", 2), ("bias", 1)}:
            raise _not_needed(name)
        found.setdefault(module, {})[part] = array
    return found


def _named(modules: Mapping[str, Any], names: Mapping[str, str | None]) -> dict[str, str]:
    """The modules whose names are given, by their roles."""
    found = {role: name for role, name in names.items() if name is not None}
    for role, name in found.items():
        if name not in modules:
            raise OptionError(role, f"must be one of {', '.join(modules) or 'no modules'}, got {name!r}")
    return found


def _by_shape(
    role: str, modules: Mapping[str, Mapping[str, np.ndarray]], shape: tuple[int, int]
) -> str | None:
    """The one module with a weight of this shape; a readout's may have a bias, an embedding's has none."""
    fits = [name for name, parts in modules.items() if "weight" in parts and parts["weight"].shape == shape]
    if role == EMBEDDING:
        fits = [name for name in fits if "bias" not in modules[name]]
    elif len(fits) > 1:
        fits = [name for name in fits if "bias" in modules[name]] or fits
    if len(fits) > 1:
        raise OptionError(role, f"must be given, as {' and '.join(map(repr, fits))} have its shape, {shape}")
    return fits[0] if fits else None


def _require_all(modules: Mapping[str, Any], found: Mapping[str, str], wanted: list[str]) -> None:
    """Raises OptionError if a readout is missing, or a module is of no use."""
    if READOUT in wanted and READOUT not in found:
        raise OptionError(
            "weights", f"must have a readout, an nn.Linear; none of {list(modules)} has its shape"
        )
    for name in modules:
        if name not in found.values():
            raise _not_needed(f"{name}.weight")
    for role in found:
        if role not in wanted:
            raise OptionError(role, "must be left out for this task")


def _embedding(
    modules: Mapping[str, Mapping[str, np.ndarray]], found: Mapping[str, str], shape: tuple[int, int]
) -> np.ndarray | None:
    return _shaped(EMBEDDING, modules[found[EMBEDDING]], shape) if EMBEDDING in found else None


def _readout(
    modules: Mapping[str, Mapping[str, np.ndarray]], found: Mapping[str, str], shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    if READOUT not in found:
        return {}
    parts = modules[found[READOUT]]
    kernel = _shaped(READOUT, parts, shape)
    bias = parts.get("bias", np.zeros(len(kernel), kernel.dtype))
    return {"readout/U": kernel.T, "readout/b_p": bias}


def _shaped(role: str, parts: Mapping[str, np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    if "weight" not in parts or parts["weight"].shape != shape:
        got = parts["weight"].shape if "weight" in parts else "none"
        raise OptionError(role, f"must have a weight of the shape {shape}, got {got}")
    return parts["weight"]


def _not_needed(name: str) -> OptionError:
    return OptionError(
        "weights",
        f"must be those of a recurrent module, an embedding and a readout for this task, got {name!r}, too",
    )
