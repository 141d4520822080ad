"""A trained model in use."""

from tf_rnn.inference.stepper import Stepper

__all__ = ["Stepper"]
