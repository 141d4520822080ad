"""Deep networks: stacked cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.cells.base import Cell
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable


class StackedCell:
    """Layers of cells, each reading the outputs of the one below at the same time step.

        output_0 = X_t;   output_l, S_t^l = cell_l(output_{l-1}, S_{t-1}^l)

    The state is a tuple of the layers' states, from the inputs upwards.

    Args:
        cells: At least one cell, all different objects (the same object twice would share weights).

    Raises:
        OptionError: If there is no cell, one of them is not a cell, or one occurs twice.

    Source: Graves 2013, section 2; Zaremba et al. 2014, figure 1.
    """

    name = "stacked"

    def __init__(self, cells: Iterable[Cell | StackedCell]) -> None:
        cells = tuple(cells)
        if not cells or not all(isinstance(cell, Cell | StackedCell) for cell in cells):
            raise OptionError("cells", f"must be a list of at least one cell, got {shown(list(cells))}")
        self._layers = tuple(layer for cell in cells for layer in cell.layers)
        if len(set(map(id, self._layers))) < len(self._layers):
            raise OptionError("cells", "must be different objects, got the same cell twice")

    def __repr__(self) -> str:
        return f"StackedCell({shown(list(self._layers))})"

    @property
    def layers(self) -> tuple[Cell, ...]:
        """The cells of one layer each, from the inputs upwards."""
        return self._layers

    def split_state(self, state: Any) -> tuple[Any, ...]:
        """The layers' states: the state itself."""
        return tuple(state)

    def join_states(self, states: Iterable[Any]) -> tuple[Any, ...]:
        """The state: the layers' states."""
        return tuple(states)

    @property
    def state_size(self) -> tuple[Any, ...]:
        """The layers' state sizes, from the inputs upwards."""
        return tuple(layer.state_size for layer in self._layers)

    @property
    def output_size(self) -> int:
        """Number of units of the top layer."""
        return self._layers[-1].output_size

    @property
    def built(self) -> bool:
        """Whether the variables exist."""
        return all(layer.built for layer in self._layers)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The layers' variables, from the inputs upwards."""
        return tuple(variable for layer in self._layers for variable in layer.variables)

    @property
    def scope(self) -> str:
        """The variable scope of the lowest layer."""
        return self._layers[0].scope

    def build(
        self,
        input_size: int,
        dtype: Any = "float32",
        seed: int | None = None,
        init_scale: float | None = None,
    ) -> None:
        """Makes the variables of every layer; see `Cell.build`.

        The layers' seeds are named after their cells, "lstm", "lstm_1", ..., as far as names repeat.
        """
        names: list[str] = []
        for layer in self._layers:
            repeated = names.count(layer.name)
            names.append(layer.name)
            seed_name = f"{layer.name}_{repeated}" if repeated else layer.name
            layer.build(input_size, dtype, seed, init_scale, seed_name)
            input_size = layer.output_size

    def zero_state(self, batch_size: int, dtype: Any = "float32") -> tuple[Any, ...]:
        """The layers' zero states, from the inputs upwards."""
        return tuple(layer.zero_state(batch_size, dtype) for layer in self._layers)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, tuple[Any, ...]]:
        """One step: ([batch_size, input_size], S_{t-1}) -> (top output, S_t)."""
        states = []
        for layer, layer_state in zip(self._layers, state, strict=True):
            inputs, layer_state = layer(inputs, layer_state)  # noqa: PLW2901
            states.append(layer_state)
        return inputs, tuple(states)
