"""Many widths, one table."""

from tf_rnn.comparison.executors import WorkerDiedError, Workers
from tf_rnn.comparison.local import available_cores
from tf_rnn.comparison.results import Results
from tf_rnn.comparison.scheduler import open_workers
from tf_rnn.comparison.settings import Comparison, RunKey
from tf_rnn.comparison.summary import Summary, summarise
from tf_rnn.comparison.sweep import require_no_failures, study_seeds, sweep
from tf_rnn.comparison.verdict import Verdict, decide

__all__ = [
    "Comparison",
    "Results",
    "RunKey",
    "Summary",
    "Verdict",
    "WorkerDiedError",
    "Workers",
    "available_cores",
    "decide",
    "open_workers",
    "require_no_failures",
    "study_seeds",
    "summarise",
    "sweep",
]
