"""Weights as NumPy arrays by name, put into the variables of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.graph.session import assign
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping


def assign_weights(session: Any, variables: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
    """Gives variables their values, without adding an operation to the graph.

    Args:
        session: An open session.
        variables: By name, as `weight_names` gives them.
        weights: Their values by the same names.

    Raises:
        OptionError: For `weights`, if one is missing, is one too many, or has another shape.
    """
    names = {name: list(variable.shape) for name, variable in variables.items()}
    given = {name: list(np.shape(value)) for name, value in weights.items()}
    if names != given:
        raise OptionError("weights", f"must have the names and shapes {names}, got {given}")
    assign(session, list(variables.values()), [weights[name] for name in variables])
