"""The loop: run the graph on a block, feed its final state to the next run."""

from tf_rnn.training.budget import Budget
from tf_rnn.training.evaluation import Evaluation, Evaluator
from tf_rnn.training.loop import TrainingResult, session_loop, train
from tf_rnn.training.meter import CurvePoint, DivergedError
from tf_rnn.training.progress import Progress, ProgressLine, Silence
from tf_rnn.training.windows import Truncation

__all__ = [
    "Budget",
    "CurvePoint",
    "DivergedError",
    "Evaluation",
    "Evaluator",
    "Progress",
    "ProgressLine",
    "Silence",
    "TrainingResult",
    "Truncation",
    "session_loop",
    "train",
]
