"""What the width of a graph does."""

from tf_rnn.analysis.cost import Cost, measure_costs, peak_bytes

__all__ = ["Cost", "measure_costs", "peak_bytes"]
