"""Sessions with given weights, and assigning weights by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.session import assign, session_config, step_operations
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tf_rnn.graph import UnrolledGraph


def session_without(graph: UnrolledGraph, given: Iterable[Any]) -> Any:
    """An open session in which the given variables have no value yet: none is drawn, to be thrown away.

    Args:
        graph: A graph.
        given: Its variables that are assigned next; the others are initialised.
    """
    names = {variable.op.name for variable in given}
    with graph.tf_graph.as_default():
        rest = [variable.initializer for variable in tf.global_variables() if variable.op.name not in names]
    config = session_config(step_operations(graph.cell, graph.options))
    session = tf.Session(graph=graph.tf_graph, config=config)
    session.run(rest)
    return session


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
