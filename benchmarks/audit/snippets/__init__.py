"""Short training loops, a module for each library, as its users write them.

Each runs on 20 steps of a `tf_rnn.audit.Probe` and is meant to truncate after `WIDTH` steps. It returns the
gradient of the recurrent weight and the output of the step that has the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tf_rnn.audit import Probe

LENGTH, WIDTH, STRIDE = 20, 5, 2


class Snippet(NamedTuple):
    """A loop.

    Attributes:
        title: What it does, or the mistake that it makes.
        loop: The loop.
        is_right: Whether it makes no mistake.
        loss_scale: The derivative of its loss with respect to the output.
        asked_stride: The steps between updates that are meant, if it slides.
        shown: The code that the report shows; None for the loop.
    """

    title: str
    loop: Callable[[Probe], tuple[Any, Any]]
    is_right: bool = False
    loss_scale: float = 1.0
    asked_stride: int | None = None
    shown: Any = None


class Library(NamedTuple):
    """A library.

    Attributes:
        title: Its name.
        package: The package that must be installed.
        module: The module with its snippets, a list `SNIPPETS`.
    """

    title: str
    package: str
    module: str


LIBRARIES = (
    Library("PyTorch", "torch", f"{__name__}.pytorch"),
    Library("PyTorch Lightning", "lightning", f"{__name__}.lightning"),
    Library("Keras", "keras", f"{__name__}.keras_layers"),
    Library("JAX", "jax", f"{__name__}.jax_scan"),
    Library("TensorFlow, version 1 API", "tensorflow", f"{__name__}.version1"),
)


def blocks(probe: Probe) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs and weights of the loss in blocks, [1, WIDTH, 1] each."""
    for start in range(0, probe.num_steps, WIDTH):
        steps = slice(start, start + WIDTH)
        yield probe.inputs[None, steps, None], probe.weights[None, steps, None]


def at_loss(probe: Probe, outputs: Any) -> float:
    """The output of the step that has the loss, of those of all steps in any shape."""
    return float(np.concatenate([np.ravel(output) for output in outputs])[probe.step - 1])
