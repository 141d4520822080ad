"""What no machine can hold is refused before TensorFlow tries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from helpers import Summing

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph, memory
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}
KEEPS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "embedding": (lambda: GRUCell(6), {"embedding_size": 9}),
    "tied": (lambda: LSTMCell(5), {"num_classes": 5, "embedding_size": 5, "readout": "tied"}),
    "layers": (lambda: StackedCell([LSTMCell(4), GRUCell(3)]), {"dtype": "float64"}),
}


@pytest.mark.parametrize("case", KEEPS)
def test_what_is_reckoned_is_what_is_made(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with room for the variables' matrices and a block's targets, and one with a byte less."""
    make, options = KEEPS[case]
    with tf.Graph().as_default():
        graph = UnrolledGraph(make(), **(BLOCK | options))
    matrices = [variable for variable in graph.variables if len(variable.shape) == 2]
    numbers = sum(matrix.shape.num_elements() for matrix in matrices) + 3 * 4
    size = 8 if options.get("dtype") == "float64" else 4
    monkeypatch.setattr(memory, "memory_of_machine", lambda: size * numbers)
    with tf.Graph().as_default():
        UnrolledGraph(make(), **(BLOCK | options))
    monkeypatch.setattr(memory, "memory_of_machine", lambda: size * numbers - 1)
    with tf.Graph().as_default(), pytest.raises(OptionError, match=r"must be smaller: the weights that it "):
        UnrolledGraph(make(), **(BLOCK | options))


HUGE = 2**31 - 1


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        (VanillaCell(2**30), {}, "state_size must be smaller: the weights that it makes would take 4.61e"),
        (LSTMCell(3), {"input_size": HUGE, "embedding_size": HUGE}, "embedding_size must be smaller"),
        (GRUCell(10), {"num_classes": HUGE}, "num_classes must be smaller"),
        (Summing(), {"num_steps": 9999, "batch_size": HUGE}, "batch_size must be smaller: the numbers"),
    ],
)
def test_the_option_that_takes_most_is_named(
    cell: Any, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 8e9)
    with tf.Graph().as_default(), pytest.raises(OptionError, match=f"^{re.escape(message)}") as refused:
        UnrolledGraph(cell, **(BLOCK | options))
    assert str(refused.value).endswith(", and the machine has 8 GB")


def test_the_memory_of_this_machine() -> None:
    assert 1e8 < memory.memory_of_machine() < 1e15
