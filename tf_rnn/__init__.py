"""Unrolled recurrent networks as lists of tensors, and how long to unroll them.

Sub-packages are loaded when they are first used, TensorFlow with the first of them that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_rnn import analysis as analysis
    from tf_rnn import audit as audit
    from tf_rnn import cells as cells
    from tf_rnn import comparison as comparison
    from tf_rnn import graph as graph
    from tf_rnn import inference as inference
    from tf_rnn import parallel as parallel
    from tf_rnn import tasks as tasks
    from tf_rnn import training as training
    from tf_rnn import training_run as training_run
    from tf_rnn.experiment import Experiment as Experiment
    from tf_rnn.experiment import lags as lags
    from tf_rnn.experiment import resume as resume
    from tf_rnn.graph import StepGraph as StepGraph
    from tf_rnn.graph import UnrolledGraph as UnrolledGraph
    from tf_rnn.graph import unroll as unroll
    from tf_rnn.inference import Model as Model
    from tf_rnn.inference import Stepper as Stepper
    from tf_rnn.inference import from_keras as from_keras
    from tf_rnn.inference import from_torch as from_torch
    from tf_rnn.inference import load as load
    from tf_rnn.options import OptionError as OptionError
    from tf_rnn.setup import Setup as Setup
    from tf_rnn.training import DivergedError as DivergedError
    from tf_rnn.training import Schedule as Schedule
    from tf_rnn.training import Truncation as Truncation
    from tf_rnn.training import train as train

__version__ = "0.1.0"

_MODULES = (
    *("analysis", "audit", "cells", "comparison", "graph", "inference", "parallel", "tasks", "training"),
    "training_run",
)
_NAMES = {
    "DivergedError": "training",
    "Experiment": "experiment",
    "Model": "inference",
    "OptionError": "options",
    "Schedule": "training",
    "Setup": "setup",
    "StepGraph": "graph",
    "Stepper": "inference",
    "Truncation": "training",
    "UnrolledGraph": "graph",
    "from_keras": "inference",
    "from_torch": "inference",
    "lags": "experiment",
    "load": "inference",
    "resume": "experiment",
    "train": "training",
    "unroll": "graph",
}

__all__ = [
    "DivergedError",
    "Experiment",
    "Model",
    "OptionError",
    "Schedule",
    "Setup",
    "StepGraph",
    "Stepper",
    "Truncation",
    "UnrolledGraph",
    "analysis",
    "audit",
    "cells",
    "comparison",
    "from_keras",
    "from_torch",
    "graph",
    "inference",
    "lags",
    "load",
    "parallel",
    "resume",
    "tasks",
    "train",
    "training",
    "unroll",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tf_rnn.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"tf_rnn.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'tf_rnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
