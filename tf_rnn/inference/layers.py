"""The layers of a described network, and what other libraries have none of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.cells import CELLS, describe_cell, described_cell
from tf_rnn.graph.describe import described_options
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Container, Mapping


def described_layers(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of each layer, defaults included, from the inputs upwards.

    Args:
        description: From `describe`, directly or through a file.

    Raises:
        OptionError: For `model`, if a layer is a third-party cell, of which a file has only the name; for
            `cell`, if the description is malformed.
    """
    cell = description.get("cell")
    for layer in cell if isinstance(cell, list) else ():
        name = layer.get("cell") if isinstance(layer, dict) else None
        if isinstance(name, str) and name not in CELLS:
            raise OptionError(
                "model",
                f"must have cells of tf_rnn ({', '.join(CELLS)}) to be loaded or exported, "
                f"got the third-party cell {shown(name)}",
            )
    return describe_cell(described_cell(cell))


def no_equivalent(description: Mapping[str, Any], library: str, cells: Container[str]) -> str | None:
    """The reason why a network has no equivalent in a library, in words; None if it has one.

    Its layers are the usual ones, from a state of zero, between an input and a readout.

    Args:
        description: From `describe`.
        library: Its name.
        cells: The names of our cells that it has layers for.
    """
    options = described_options(description)
    for layer in described_layers(description):
        if layer["cell"] not in cells:
            return f"{library} has no layer like the cell {layer['cell']!r}"
        if "layer_norm" in layer:
            return f"{library} has no layer like the cell {layer['cell']!r} with layer normalisation"
    for option in ("input_kind", "readout"):
        if getattr(options, option) == "none":
            return f"a model of {library} has an input and a readout, {option} is 'none'"
    if options.initial_state != "zero":
        return f"layers of {library} start from a state of zero, initial_state is {options.initial_state!r}"
    return None
