"""One time step: S_t = f(X_t, S_{t-1})."""

from tf_rnn.cells.base import Cell, Weights
from tf_rnn.cells.gru import GRUCell
from tf_rnn.cells.lstm import LSTMCell, LSTMState
from tf_rnn.cells.stacked import StackedCell
from tf_rnn.cells.vanilla import VanillaCell

__all__ = [
    "CELLS",
    "Cell",
    "GRUCell",
    "LSTMCell",
    "LSTMState",
    "StackedCell",
    "VanillaCell",
    "Weights",
]

CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in (VanillaCell, GRUCell, LSTMCell)}
