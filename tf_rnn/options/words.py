"""The words that options allow, and the limits of sizes.

They are listed here so that they can be checked before TensorFlow is loaded. What the words mean is in the
registries (`CELLS`, `OPTIMIZERS`, `STYLES`, ...).
"""

from __future__ import annotations

import math

FLOAT32, MIXED_BFLOAT16 = "float32", "mixed_bfloat16"
TASKS = (
    "echo",
    "autoregression",
    "memory",
    "copy",
    "adding",
    "influence",
    "text",
    "words",
    "series",
    "labels",
)
CELLS = ("vanilla", "gru", "gru_reset_before", "lstm", "influence")
INPUT_KINDS = ("classes", "real", "none")
LOSSES = ("cross_entropy", "squared_error", "pinball")
LOSS_STEPS = ("all", "last", "marked")
READOUTS = ("linear", "tied", "none")
ACTIVATIONS = ("tanh", "relu")
RECURRENT_INITS = ("orthogonal", "glorot", "identity")
REDUCTIONS = ("mean", "sum")
OPTIMIZERS = ("sgd", "momentum", "adagrad", "adam", "rmsprop")
DTYPES = (FLOAT32, "float64")
PRECISIONS = (FLOAT32, MIXED_BFLOAT16)
STYLES = ("block", "sliding", "random", "adaptive", "full")
SCHEDULES = ("constant", "step", "cosine", "plateau")
SCHEDULES_THAT_WAIT = ("step", "plateau")
# Schedules that depend on the total budget, which a resumed run may then not change.
SCHEDULES_OVER_BUDGET = ("cosine",)
STATES = ("carry", "reset")
INITIAL_STATES = ("zero", "learnt")
CHECKPOINTS_TO_USE = ("best", "last")
DIFFERENCES = ("auto", "on", "off")
LABEL_AT = ("every", "end")
CALENDAR = ("hour", "weekday", "month")
REFERENCES = ("widest", "infinite")
SPLITS = ("train", "valid", "test", "all")
TASK_TYPES = ("worker",)
BUDGETS = ("tokens", "updates", "seconds", "epochs")

# Most layers, seeds and threads; a larger number is a slip of the hand.
MOST = 10_000
# TensorFlow counts in 32 bits.
LARGEST_SIZE = 2**31 - 1
# A longer graph would take minutes to build and gigabytes to hold, whatever its cell.
LARGEST_WIDTH = 10_000
# A probe of so many steps takes thousands of runs.
LARGEST_PROBE = 500
LARGEST_NUMBERS = {"float32": 3.4028234663852886e38, "float64": math.inf}
