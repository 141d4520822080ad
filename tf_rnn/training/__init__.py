"""Training: the session loop, schedules, evaluation, callbacks, checkpoints."""

from tf_rnn.training.budget import Budget
from tf_rnn.training.callbacks import Callback, CallbackList, Progress
from tf_rnn.training.divergence import DivergedError
from tf_rnn.training.evaluation import Evaluation, Evaluator
from tf_rnn.training.interrupts import SavedInterrupt
from tf_rnn.training.loop import train
from tf_rnn.training.progress import ProgressLine
from tf_rnn.training.result import TrainingResult
from tf_rnn.training.schedules import Schedule
from tf_rnn.training.session_loop import Update, session_loop
from tf_rnn.training.state import CurvePoint, History, StreamPosition, TrainingState
from tf_rnn.training.tracker import Tracker
from tf_rnn.training.worker import Worker
from tf_rnn.truncation import Truncation

__all__ = [
    "Budget",
    "Callback",
    "CallbackList",
    "CurvePoint",
    "DivergedError",
    "Evaluation",
    "Evaluator",
    "History",
    "Progress",
    "ProgressLine",
    "SavedInterrupt",
    "Schedule",
    "StreamPosition",
    "Tracker",
    "TrainingResult",
    "TrainingState",
    "Truncation",
    "Update",
    "Worker",
    "session_loop",
    "train",
]
