"""What the width of a graph does."""

from tf_rnn.analysis.advice import Advice
from tf_rnn.analysis.cost import Cost, measure_costs, peak_bytes
from tf_rnn.analysis.lags import LagAnalysis, measure_lags
from tf_rnn.analysis.recommendation import Recommendation, priced_advice, recommend
from tf_rnn.analysis.study import LagStudy, study_lags

__all__ = [
    "Advice",
    "Cost",
    "LagAnalysis",
    "LagStudy",
    "Recommendation",
    "measure_costs",
    "measure_lags",
    "peak_bytes",
    "priced_advice",
    "recommend",
    "study_lags",
]
