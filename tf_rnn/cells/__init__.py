"""One time step: S_t = f(X_t, S_{t-1})."""

from tf_rnn.cells.base import Cell, Weights
from tf_rnn.cells.gru import GRUCell, GRUResetBeforeCell
from tf_rnn.cells.influence import InfluenceCell
from tf_rnn.cells.lstm import LSTMCell, LSTMGates, LSTMState
from tf_rnn.cells.registry import CELLS, describe_cell, described_cell, make_cell
from tf_rnn.cells.stacked import StackedCell
from tf_rnn.cells.vanilla import VanillaCell

__all__ = [
    "CELLS",
    "Cell",
    "GRUCell",
    "GRUResetBeforeCell",
    "InfluenceCell",
    "LSTMCell",
    "LSTMGates",
    "LSTMState",
    "StackedCell",
    "VanillaCell",
    "Weights",
    "describe_cell",
    "described_cell",
    "make_cell",
]
