"""Third-party cells: each object has weights of its own, the same ones in every graph on it.

A cell of `tf_rnn.cells` keeps its variables. Other cells look theirs up by name at each call, so that
two of them would share what has the same name. Here every cell object has a variable scope of its own in
which it is called, and a `tf.Graph` that it stays in.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLLECTION = "tf_rnn/third_party_cells"
# By the cell's id: weak references to the cell and to its tf.Graph, as neither is ours to keep alive.
_HOMES: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}


def require_cell(cell: Any) -> None:
    """Raises OptionError for what is no cell, saying what to give instead."""
    if isinstance(cell, type):
        problem = f"must be a cell, got the class {cell.__name__}; make one, such as LSTMCell(64)"
    elif isinstance(cell, str):
        problem = (
            f"must be a cell, such as tf_rnn.cells.LSTMCell(64), got {shown(cell)}; Experiment takes names"
        )
    elif isinstance(cell, list | tuple):
        problem = f"must be one cell, got {shown(cell)}; tf_rnn.cells.StackedCell makes one of several"
    elif type(cell).__module__.partition(".")[0] == "keras":
        problem = f"must be a cell for graphs, got {type(cell).__name__} of Keras; tf_rnn.cells has its like"
    elif not (callable(cell) and hasattr(cell, "zero_state")):
        problem = f"must be a cell of tf_rnn.cells or another RNN cell of TensorFlow 1, got {shown(cell)}"
    else:
        return
    raise OptionError("cell", problem)


def home_of(cell: Any) -> Any:
    """The `tf.Graph` that a third-party cell was first used in; None if it was in none, or it is gone."""
    known = _HOMES.get(id(cell))
    if known is None or known[0]() is not cell:
        return None
    return known[1]()


def network_scope(cell: Any) -> str:
    """The variable scope of a third-party cell's network: "cell" for a `tf.Graph`'s first, then "cell_1", ...

    Raises:
        OptionError: If the cell has its weights in another `tf.Graph`.
    """
    graph = tf.get_default_graph()
    home = home_of(cell)
    if home is not None and home is not graph:
        raise OptionError(
            "cell", "must be used in the tf.Graph of its first use; make a new cell for this one"
        )
    known: list[Any] = tf.get_collection_ref(_COLLECTION)
    if not any(one is cell for one in known):
        known.append(cell)
        _remember(cell, graph)
    number = [one is cell for one in known].index(True)
    return f"cell_{number}" if number else "cell"


def _remember(cell: Any, graph: Any) -> None:
    key = id(cell)
    try:
        reference = weakref.ref(cell, lambda _: _HOMES.pop(key, None))
    except TypeError as error:
        raise OptionError(
            "cell", f"must be an object that can be weakly referenced, got {shown(cell)}"
        ) from error
    _HOMES[key] = (reference, weakref.ref(graph))


def step_scope(scope: str) -> str:
    """The variable scope that a third-party cell is called in, within its network's scope."""
    return f"{scope}/step"


@contextlib.contextmanager
def calling(cell: Any) -> Iterator[None]:
    """Makes calls of a cell within the block use the cell's own variables, making them at the first call."""
    with contextlib.ExitStack() as stack:
        if not hasattr(cell, "layers"):
            scope = tf.VariableScope(tf.AUTO_REUSE, name=step_scope(network_scope(cell)))
            stack.enter_context(tf.variable_scope(scope, auxiliary_name_scope=False))
        yield
