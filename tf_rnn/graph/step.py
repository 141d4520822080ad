"""The single-step graph."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.cells.products import products_in
from tf_rnn.graph.initial_state import state_placeholder, zero_state
from tf_rnn.graph.network import Network, home_graph
from tf_rnn.graph.session import open_session, step_operations
from tf_rnn.graph.starts import started
from tf_rnn.graph.third_party import calling
from tf_rnn.options import GraphOptions, require_whole, shown
from tf_rnn.options.words import FLOAT32

if TYPE_CHECKING:
    from tf_rnn.graph.unrolled import UnrolledGraph

# What a graph that is only run has of the options.
FORWARD = {"optimizer": None, "dropout": 0.0, "starts": False, "target_weights": False, "precision": FLOAT32}


class StepGraph:
    """G(X_t, S_{t-1}) -> (P_t, S_t), run once for each time step.

    Attributes:
        input: X_t, to feed, int32 [batch_size], or [batch_size, input_size].
        init_state: S_{t-1}, to feed, in the structure of the cell's state; `zero_state()` if not fed.
        prediction: P_t, to fetch, [batch_size, num_classes].
        state: S_t, to fetch.
        tf_graph: The `tf.Graph` that all of this is in.

    Args:
        cell: A cell of `tf_rnn.cells`, or any duck-typed v1 RNN cell; variables are shared with all
            graphs on the same cell.
        batch_size: Examples side by side.
        input_size: Number of input classes, or of real inputs; 0 for none.
        num_classes: Number of classes predicted, or of real outputs.
        **options: As for `UnrolledGraph`; nothing is dropped, products are float32, and a sequence starts
            where `zero_state()` is fed.

    Raises:
        OptionError: (a ValueError) If an option is not allowed, naming it and what is.
    """

    def __init__(self, cell: Any, batch_size: int, input_size: int, num_classes: int, **options: Any) -> None:
        self.options = GraphOptions(
            num_steps=1,
            batch_size=batch_size,
            input_size=input_size,
            num_classes=num_classes,
            **(options | FORWARD),
        )
        self.cell = cell
        self.tf_graph = home_graph(cell)
        with self.tf_graph.as_default(), tf.name_scope("step"), products_in(self.options.precision):
            self.network = Network(cell, self.options)
            reading = self.network.read()
            packed = self.network.encoding.placeholder(batch_size, 1)
            self.input: Any = packed[:, 0]
            self.init_state: Any = state_placeholder(cell, self.options)
            before = started(self.options, self.init_state, reading)
            vectors = self.network.encoding.vectors(reading.embedding, self.input)
            with calling(cell):
                output, self.state = cell(vectors, before)
            self.prediction: Any = self.network.head.predict(reading.head, output)

    def __repr__(self) -> str:
        sizes = f"input_size={self.options.input_size}, num_classes={self.options.num_classes}"
        return f"StepGraph({shown(self.cell)}, batch_size={self.options.batch_size}, {sizes})"

    @classmethod
    def of(cls, graph: UnrolledGraph, batch_size: int = 1) -> StepGraph:
        """The single-step graph of an n-wide graph, on the same variables.

        The same object each time for the same arguments.

        Args:
            graph: A graph of any width.
            batch_size: Examples side by side.
        """
        return graph.cached(_step_graph, cls, require_whole("batch_size", batch_size))

    def zero_state(self) -> Any:
        """What to feed as S_{t-1} where a sequence starts; see `UnrolledGraph.zero_state`."""
        return zero_state(self.init_state, self.options)

    def session(self, threads: int | None = None) -> Any:
        """An ordinary `tf.Session` of `tf_graph`, all variables initialised."""
        return open_session(self.tf_graph, step_operations(self.cell, self.options), threads)


def _step_graph(graph: UnrolledGraph, kind: type[StepGraph], batch_size: int) -> StepGraph:
    options = dataclasses.asdict(graph.options) | {"batch_size": batch_size, "recompute": None}
    del options["num_steps"]
    if options["loss_steps"] != "marked":
        options["loss_steps"] = "all"
    return kind(graph.cell, **options)
