"""The layers of a described network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.cells import CELLS, describe_cell, described_cell
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping


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
