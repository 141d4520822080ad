"""Names for what is saved of a graph, the same in whatever `tf.Graph` and scope it was built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.graph.optimizers import shared_optimizer

if TYPE_CHECKING:
    from tf_rnn.graph.unrolled import UnrolledGraph


def weight_names(graph: UnrolledGraph) -> dict[str, Any]:
    """The network's variables: `embedding/E`, `layer_0/W`, ..., `readout/U`; of a foreign cell by their own.

    They depend on neither the width nor the batch size nor the scope.
    """
    network = graph.network
    if not network.is_layered:
        # Its own it may tell itself, where there is no training that has found them.
        own = () if graph.gradients else getattr(graph.cell, "variables", ())
        variables = (*graph.variables, *own)
        return {variable.op.name: variable for variable in variables}
    parts = {"embedding": network.encoding.variables}
    parts |= {f"layer_{number}": layer.variables for number, layer in enumerate(graph.cell.layers)}
    parts["readout"] = network.readout.variables
    return {
        f"{part}/{variable.op.name.rsplit('/', 1)[-1]}": variable
        for part, variables in parts.items()
        for variable in variables
    }


def saved_names(graph: UnrolledGraph) -> dict[str, Any]:
    """All that training changes: the network's variables and the optimizer's memory, by name."""
    weights = weight_names(graph)
    if graph.options.optimizer is None:
        return weights
    with graph.tf_graph.as_default():
        optimizer = shared_optimizer(graph.options.optimizer, graph.network.scope)
        return weights | optimizer.memory(weights)
