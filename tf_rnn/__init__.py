"""Unrolled recurrent networks as lists of tensors, and how wide to unroll them.

Everything that needs TensorFlow is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_rnn import cells as cells
    from tf_rnn import tasks as tasks
    from tf_rnn.graph import StepGraph as StepGraph
    from tf_rnn.graph import UnrolledGraph as UnrolledGraph
    from tf_rnn.graph import unroll as unroll
    from tf_rnn.inference import Model as Model
    from tf_rnn.inference import Stepper as Stepper
    from tf_rnn.inference import load as load
    from tf_rnn.options import OptionError as OptionError
    from tf_rnn.training import Callback as Callback
    from tf_rnn.training import DivergedError as DivergedError
    from tf_rnn.training import Schedule as Schedule
    from tf_rnn.training import Truncation as Truncation
    from tf_rnn.training import train as train
    from tf_rnn.training.resume import resume as resume

_MODULES = ("cells", "tasks")
_NAMES = {
    "Callback": "training",
    "DivergedError": "training",
    "Model": "inference",
    "OptionError": "options",
    "Schedule": "training",
    "StepGraph": "graph",
    "Stepper": "inference",
    "Truncation": "training",
    "UnrolledGraph": "graph",
    "load": "inference",
    "resume": "training.resume",
    "train": "training",
    "unroll": "graph",
}

__all__ = [
    "Callback",
    "DivergedError",
    "Model",
    "OptionError",
    "Schedule",
    "StepGraph",
    "Stepper",
    "Truncation",
    "UnrolledGraph",
    "cells",
    "load",
    "resume",
    "tasks",
    "train",
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
