"""One time step: S_t = f(X_t, S_{t-1})."""

import inspect
from typing import Any

from tf_rnn.cells.base import Cell, Weights
from tf_rnn.cells.gru import GRUCell
from tf_rnn.cells.influence import InfluenceCell
from tf_rnn.cells.lstm import LSTMCell, LSTMState
from tf_rnn.cells.stacked import StackedCell
from tf_rnn.cells.vanilla import VanillaCell
from tf_rnn.config import OptionError, require_choice, require_whole

__all__ = [
    "CELLS",
    "Cell",
    "GRUCell",
    "InfluenceCell",
    "LSTMCell",
    "LSTMState",
    "StackedCell",
    "VanillaCell",
    "Weights",
    "make_cell",
]

CELLS: dict[str, Any] = {cell.name: cell for cell in (VanillaCell, GRUCell, LSTMCell, InfluenceCell)}


def make_cell(name: str, state_size: int, num_layers: int = 1, **options: Any) -> Any:
    """Makes a cell by name.

    Args:
        name: A key of `CELLS`.
        state_size: Number of units of each layer.
        num_layers: Layers upon each other.
        **options: The cell's further options.

    Raises:
        OptionError: If an option is not allowed, or not the cell's.
    """
    kind = CELLS[require_choice("cell", name, CELLS)]
    known = inspect.signature(kind).parameters
    for option in options:
        if option not in known:
            takers = [cell for cell in CELLS if option in inspect.signature(CELLS[cell]).parameters]
            raise OptionError(option, f"must be left out unless cell is {' or '.join(takers)}")
    layers = [kind(state_size, **options) for _ in range(require_whole("num_layers", num_layers))]
    return layers[0] if len(layers) == 1 else StackedCell(layers)
