"""Comparisons of many widths, and a race that finds the same answer sooner."""

from tf_rnn.comparison.comparing import compare
from tf_rnn.comparison.executors import WorkerDiedError, Workers
from tf_rnn.comparison.local import available_cores
from tf_rnn.comparison.pair import SweepPair, pair_sweeps
from tf_rnn.comparison.parcel import Parcel
from tf_rnn.comparison.plan import Plan
from tf_rnn.comparison.planning import plan_comparison
from tf_rnn.comparison.recommendation import Recommendation
from tf_rnn.comparison.recommending import recommend
from tf_rnn.comparison.results import Results
from tf_rnn.comparison.scheduler import open_workers
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.settings import Comparison, RunKey
from tf_rnn.comparison.summary import Summary, summarise
from tf_rnn.comparison.sweep import Sweep
from tf_rnn.comparison.verdict import Verdict, decide

__all__ = [
    "Comparison",
    "Parcel",
    "Plan",
    "Recommendation",
    "Results",
    "RunKey",
    "Screen",
    "Summary",
    "Sweep",
    "SweepPair",
    "Verdict",
    "WorkerDiedError",
    "Workers",
    "available_cores",
    "compare",
    "decide",
    "open_workers",
    "pair_sweeps",
    "plan_comparison",
    "recommend",
    "summarise",
]
