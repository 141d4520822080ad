"""What the width of a graph does: gradient by lag, bias of truncation, cost of a training step."""

from tf_rnn.analysis.at import InputGradients, measure_at
from tf_rnn.analysis.cost import Cost, measure_costs, peak_bytes, setup_costs
from tf_rnn.analysis.lags import LagAnalysis, measure_lags
from tf_rnn.analysis.of_model import ModelStudy, study_model
from tf_rnn.analysis.plots import at_figure
from tf_rnn.analysis.positions import ByPosition, measure_positions
from tf_rnn.analysis.study import LagStudy, study_lags

__all__ = [
    "ByPosition",
    "Cost",
    "InputGradients",
    "LagAnalysis",
    "LagStudy",
    "ModelStudy",
    "at_figure",
    "measure_at",
    "measure_costs",
    "measure_lags",
    "measure_positions",
    "peak_bytes",
    "setup_costs",
    "study_lags",
    "study_model",
]
