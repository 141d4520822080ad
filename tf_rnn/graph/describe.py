"""Descriptions of graphs for files, and graphs from them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.cells import describe_cell, described_cell
from tf_rnn.graph.unrolled import UnrolledGraph
from tf_rnn.options import GraphOptions, OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Callable


def describe(graph: UnrolledGraph) -> dict[str, Any]:
    """Describes a graph, ready for JSON, so that `described_graph` can make it again.

    Args:
        graph: On a cell of `tf_rnn.cells`.

    Returns:
        Under "cell" what `describe_cell` gives, under "graph" the `GraphOptions` by name. The values
        of variables are not included.

    Raises:
        OptionError: If the cell is a third-party one.
    """
    options = dataclasses.asdict(graph.options)
    return {"cell": describe_cell(graph.cell), "graph": {name: _plain(options[name]) for name in options}}


def _plain(value: Any) -> Any:
    """A NumPy number as a Python number."""
    return value.item() if isinstance(value, np.generic) else value


def described_options(description: Any) -> GraphOptions:
    """The options in a description, with defaults for those that are missing.

    Raises:
        OptionError: If it is not a description, if an option is unknown or not allowed, or if one
            without a default is missing.
    """
    options = _part(description, "graph")
    if not isinstance(options, dict):
        raise OptionError("graph", f"must be described by a dictionary of its options, got {shown(options)}")
    fields = {field.name: field for field in dataclasses.fields(GraphOptions)}
    for name in options:
        if name not in fields:
            raise OptionError("graph", f"must be described by options that graphs have, got {shown(name)}")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in options:
            raise OptionError("graph", f"must be described with its {name}, got {sorted(options)}")
    return GraphOptions(**options)


def described_graph(
    description: Any, reduce_gradients: Callable[..., list[Any]] | None = None, **changes: Any
) -> UnrolledGraph:
    """Makes the graph of a description, on a new cell, in a `tf.Graph` of its own.

    Args:
        description: From `describe`, directly or through a file.
        reduce_gradients: See `UnrolledGraph`.
        **changes: Options that differ from the description: another `num_steps` or `batch_size`, say,
            or `optimizer=None` and `dropout=0.0` for a graph without a training step.

    Raises:
        OptionError: If it is not a description, or an option is not allowed.
    """
    options = dataclasses.replace(described_options(description), **changes)
    cell = described_cell(_part(description, "cell"))
    with tf.Graph().as_default():
        return UnrolledGraph(cell, reduce_gradients=reduce_gradients, **dataclasses.asdict(options))


def _part(description: Any, name: str) -> Any:
    if not isinstance(description, dict) or name not in description:
        raise OptionError(
            "description", f"must be a dictionary with the key {name!r}, got {shown(description)}"
        )
    return description[name]
