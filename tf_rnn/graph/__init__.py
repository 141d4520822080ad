"""n time steps: the graph, its losses and its gradients."""

from tf_rnn.graph.describe import describe, described_graph, described_options
from tf_rnn.graph.make import make_graph, remake_graph
from tf_rnn.graph.step import StepGraph
from tf_rnn.graph.unroll import unroll
from tf_rnn.graph.unrolled import UnrolledGraph

__all__ = [
    "StepGraph",
    "UnrolledGraph",
    "describe",
    "described_graph",
    "described_options",
    "make_graph",
    "remake_graph",
    "unroll",
]
