"""Many widths, one table."""

from tf_rnn.comparison.results import Results
from tf_rnn.comparison.settings import Comparison, RunKey
from tf_rnn.comparison.summary import Summary, summarise
from tf_rnn.comparison.sweep import WorkerDiedError, available_cores, sweep
from tf_rnn.comparison.verdict import Verdict, decide

__all__ = [
    "Comparison",
    "Results",
    "RunKey",
    "Summary",
    "Verdict",
    "WorkerDiedError",
    "available_cores",
    "decide",
    "summarise",
    "sweep",
]
