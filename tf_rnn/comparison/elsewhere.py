"""What the width is called in other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tf_rnn.tasks import Task

# By the documentation of each: the steps over which errors flow back in training.
FORECASTING = {
    "darts (RNNModel)": "training_length",
    "neuralforecast": "input_size",
    "GluonTS (DeepAR)": "context_length",
    "pytorch-forecasting": "max_encoder_length",
}
GENERAL = {"PyTorch's language model": "bptt", "char-rnn": "seq_length", "Keras": "timesteps"}


def elsewhere(width: int, task: Task) -> str:
    """The width by its names in other libraries, in one sentence."""
    names = FORECASTING | {"Keras": GENERAL["Keras"]} if task.input_kind == "real" else GENERAL
    listed = "; ".join(f"{library} {name}={width}" for library, name in names.items())
    return f"The same width in other libraries: {listed}."
