"""Using a trained model: load, step, evaluate, forecast, sample, export."""

from tf_rnn.inference.evaluation import ModelEvaluator
from tf_rnn.inference.exporting import export
from tf_rnn.inference.forecasting import Forecast
from tf_rnn.inference.in_units import series_errors
from tf_rnn.inference.keras_foreign import from_keras
from tf_rnn.inference.keras_import import import_keras
from tf_rnn.inference.load import Model, load
from tf_rnn.inference.opening import open_model
from tf_rnn.inference.sampling import sample
from tf_rnn.inference.stepper import Stepper
from tf_rnn.inference.torch_import import from_torch

__all__ = [
    "Forecast",
    "Model",
    "ModelEvaluator",
    "Stepper",
    "export",
    "from_keras",
    "from_torch",
    "import_keras",
    "load",
    "open_model",
    "sample",
    "series_errors",
]
