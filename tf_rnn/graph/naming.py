"""Names of saved variables, independent of the `tf.Graph` and the scope that they were made in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.graph.optimizers import shared_optimizer
from tf_rnn.graph.third_party import step_scope

if TYPE_CHECKING:
    from tf_rnn.graph.unrolled import UnrolledGraph


def weight_names(graph: UnrolledGraph) -> dict[str, Any]:
    """The network's variables: `embedding/E`, `layer_0/W`, ..., `readout/U`, `initial_state/state_0`, ...

    Those of a third-party cell are `cell/...`, by their own names. Names depend on neither the width nor
    the batch size nor the scope.
    """
    network = graph.network
    parts = {"embedding": network.encoding.variables}
    if network.is_layered:
        parts |= {f"layer_{number}": layer.variables for number, layer in enumerate(graph.cell.layers)}
    parts["readout"] = network.head.readout.variables
    parts["initial_state"] = network.initial_state.variables if network.initial_state else ()
    names = {f"{part}/{_last(variable)}": variable for part in parts for variable in parts[part]}
    return names if network.is_layered else names | _third_party(graph)


def _last(variable: Any) -> str:
    return str(variable.op.name.rsplit("/", 1)[-1])


def _third_party(graph: UnrolledGraph) -> dict[str, Any]:
    """Variables that are trained, or that the cell lists where there is no training to find them."""
    network = {id(variable) for variable in graph.network.variables}
    own = [variable for variable in graph.variables if id(variable) not in network]
    found = own or getattr(graph.cell, "variables", [])
    scope = f"{step_scope(graph.network.scope)}/"
    return {f"cell/{variable.op.name.removeprefix(scope)}": variable for variable in found}


def saved_names(graph: UnrolledGraph) -> dict[str, Any]:
    """All that training changes: the network's variables and the optimizer's memory, by name."""
    weights = weight_names(graph)
    if graph.options.optimizer is None:
        return weights
    with graph.tf_graph.as_default():
        optimizer = shared_optimizer(graph.options.optimizer, graph.network.scope)
        return weights | optimizer.memory(weights)
