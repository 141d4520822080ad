"""The loop: run the graph on a block, feed its final state to the next run."""

from tf_rnn.training.budget import Budget
from tf_rnn.training.divergence import DivergedError
from tf_rnn.training.evaluation import Evaluation, Evaluator
from tf_rnn.training.loop import TrainingResult, train
from tf_rnn.training.progress import Listeners, Progress, ProgressLine, Silence
from tf_rnn.training.record import CurvePoint
from tf_rnn.training.schedules import Schedule
from tf_rnn.training.session_loop import Place, Update, session_loop
from tf_rnn.truncation import Truncation

__all__ = [
    "Budget",
    "CurvePoint",
    "DivergedError",
    "Evaluation",
    "Evaluator",
    "Listeners",
    "Place",
    "Progress",
    "ProgressLine",
    "Schedule",
    "Silence",
    "TrainingResult",
    "Truncation",
    "Update",
    "session_loop",
    "train",
]
