"""Assigning weights by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.graph.session import assign
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping


def assign_weights(session: Any, variables: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
    """Assigns values to variables, without adding an operation to the graph.

    Args:
        session: An open session.
        variables: Variables by name, from `weight_names`.
        weights: Values by the same names.

    Raises:
        OptionError: For `weights`, if a name is missing or unknown, or a shape differs.
    """
    expected = {name: list(variable.shape) for name, variable in variables.items()}
    given = {name: list(np.shape(value)) for name, value in weights.items()}
    if expected != given:
        raise OptionError("weights", f"must have the names and shapes {expected}, got {given}")
    assign(session, list(variables.values()), [weights[name] for name in variables])
