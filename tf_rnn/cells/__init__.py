"""One time step: S_t = f(X_t, S_{t-1})."""

from tf_rnn.cells.base import Cell, Weights
from tf_rnn.cells.gru import GRUCell
from tf_rnn.cells.lstm import LSTMCell, LSTMState
from tf_rnn.cells.stacked import StackedCell
from tf_rnn.cells.vanilla import VanillaCell
from tf_rnn.config import require_choice, require_whole

__all__ = [
    "CELLS",
    "Cell",
    "GRUCell",
    "LSTMCell",
    "LSTMState",
    "StackedCell",
    "VanillaCell",
    "Weights",
    "make_cell",
]

CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in (VanillaCell, GRUCell, LSTMCell)}


def make_cell(name: str, state_size: int, num_layers: int = 1) -> Cell | StackedCell:
    """Makes a cell by name.

    Args:
        name: A key of `CELLS`.
        state_size: Number of units of each layer.
        num_layers: Layers upon each other.

    Raises:
        OptionError: If an option is not allowed.
    """
    kind = CELLS[require_choice("cell", name, CELLS)]
    layers = [kind(state_size) for _ in range(require_whole("num_layers", num_layers))]
    return layers[0] if len(layers) == 1 else StackedCell(layers)
