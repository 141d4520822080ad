"""Cells by name, and descriptions of cells for files."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tf_rnn.cells.gru import GRUCell, GRUResetBeforeCell
from tf_rnn.cells.influence import InfluenceCell
from tf_rnn.cells.lstm import LSTMCell
from tf_rnn.cells.stacked import StackedCell
from tf_rnn.cells.vanilla import VanillaCell
from tf_rnn.options import MOST, OptionError, require_choice, require_whole, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

CELLS: dict[str, Any] = {
    cell.name: cell for cell in (VanillaCell, GRUCell, GRUResetBeforeCell, LSTMCell, InfluenceCell)
}


def make_cell(name: str, state_size: int, num_layers: int = 1, **options: Any) -> Any:
    """Makes a cell by name.

    Args:
        name: A key of `CELLS`.
        state_size: Number of units of each layer.
        num_layers: Number of stacked layers.
        **options: The cell's further options.

    Raises:
        OptionError: If an option is not allowed, or the cell does not have it.
    """
    kind = CELLS[require_choice("cell", name, CELLS)]
    _require_known(kind, options)
    count = require_whole("num_layers", num_layers, at_most=MOST)
    layers = [kind(state_size, **options) for _ in range(count)]
    return layers[0] if len(layers) == 1 else StackedCell(layers)


def _require_known(kind: Any, options: Iterable[str]) -> None:
    for option in options:
        if option not in inspect.signature(kind).parameters:
            takers = [name for name, cell in CELLS.items() if option in inspect.signature(cell).parameters]
            known = f"unless cell is {' or '.join(takers)}" if takers else "as no cell has it"
            raise OptionError(option, f"must be left out {known}")


def describe_cell(cell: Any) -> list[dict[str, Any]]:
    """Describes a cell, ready for JSON, so that `described_cell` can make it again.

    Args:
        cell: A cell of `tf_rnn.cells`.

    Returns:
        For each layer, from the inputs upwards, its name under "cell" and its options:
        `{"cell": "lstm", "state_size": 5, "forget_bias": 1.0, ...}`.

    Raises:
        OptionError: If the cell is of another kind.
    """
    layers = getattr(cell, "layers", (cell,))
    for layer in layers:
        if type(layer) not in CELLS.values():
            raise OptionError("cell", f"must be one of tf_rnn.cells to be described, got {layer!r}")
    return [{"cell": layer.name, **layer.options()} for layer in layers]


def described_cell(description: Any) -> Any:
    """Makes the cell of a description, without variables yet.

    Args:
        description: From `describe_cell`, directly or through a file.

    Raises:
        OptionError: If it is not such a description, naming what is wrong with it.
    """
    if not isinstance(description, list) or not description:
        raise OptionError(
            "cell", f"must be described by a list of at least one layer, got {shown(description)}"
        )
    try:
        layers = [_described_layer(layer) for layer in description]
        return layers[0] if len(layers) == 1 else StackedCell(layers)
    except OptionError as error:
        raise OptionError("cell", f"must be described as by describe_cell; {error}") from error


def _described_layer(description: Any) -> Any:
    if not isinstance(description, dict):
        raise OptionError("layer", f"must be a dictionary of a cell's options, got {shown(description)}")
    for key in ("cell", "state_size"):
        if key not in description:
            raise OptionError(key, f"must be given for every layer, got {shown(description)}")
    kind = CELLS[require_choice("cell", description["cell"], CELLS)]
    options = {option: value for option, value in description.items() if option != "cell"}
    _require_known(kind, options)
    return kind(**options)
