"""The width that a loss of the echo task gives away, where gradients are out of reach."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tf_rnn.audit.words import listed, steps_word
from tf_rnn.options import require_not_negative, require_positive
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from collections.abc import Callable

# Widths that are looked at.
WIDEST = 200
# Three standard errors of a loss over the 200,000 held-out tokens of the task.
NOISE = 0.003
# How far above the floor training ends: at most 0.0005 nats for each step of the width, which is what
# `compare` finds on this task, up to 0.015.
SHORTFALL, LARGEST_SHORTFALL = 0.0005, 0.015


@dataclasses.dataclass(frozen=True)
class EchoWidths:
    """Widths that a loss of the echo task fits.

    Attributes:
        loss: The loss, in nats.
        narrowest: The smallest width that can reach it if the state starts from zero in each block; None if
            no width can.
        fits: Widths whose floor is as far below it as training usually ends.
        sentence: What follows from it.
    """

    loss: float
    narrowest: int | None
    fits: list[int]
    sentence: str


def width_of(loss: float, task: Echo | None = None, noise: float = NOISE) -> EchoWidths:
    """Says how wide a loop really is, by the loss at which it ends on the echo task.

    If the state is reset at the start of each block of n steps, no network can have a lower expected loss
    than `task.floor(n)`. If it is carried, it can.

    Args:
        loss: Held-out loss in nats, of predictions after training has converged.
        task: The task; None for `tf_rnn.tasks.Echo()`.
        noise: How far the measured loss may be from the expected one.

    Raises:
        OptionError: The loss is not above 0, or `noise` is below 0.
    """
    loss, noise = require_positive("loss", loss), require_not_negative("noise", noise)
    task = Echo() if task is None else task
    floors = {width: task.floor(width) for width in range(1, WIDEST + 1)}
    narrowest = next((width for width, floor in floors.items() if floor <= loss + noise), None)
    fits = [
        width for width, floor in floors.items() if width == narrowest or _fits(loss, floor, width, noise)
    ]
    if loss > floors[1] + noise:
        fits = []
    return EchoWidths(loss, narrowest, fits, _sentence(loss, narrowest, fits, task, noise))


def _fits(loss: float, floor: float, width: int, noise: float) -> bool:
    return floor - noise <= loss <= floor + noise + min(SHORTFALL * width, LARGEST_SHORTFALL)


def _sentence(loss: float, narrowest: int | None, fits: list[int], task: Echo, noise: float) -> str:
    if loss < task.optimum() - noise:
        return (
            f"{loss:.4f} nats is below the lowest possible loss, {task.optimum():.4f}: it is not the mean "
            "held-out loss of this task in nats"
        )
    if narrowest is None:
        return (
            f"{loss:.4f} nats is below what {steps_word(WIDEST)} with the state reset can reach, "
            f"{task.floor(WIDEST):.4f}: the state is carried, or the blocks are wider"
        )
    if not fits:
        return (
            f"{loss:.4f} nats is above what a width of 1 can reach, {task.floor(1):.4f}: nothing is learnt "
            "yet, or it is not the mean loss in nats"
        )
    return f"{_said(loss, narrowest, fits, task.floor)}. {DOUBTS}"


DOUBTS = (
    "This holds for a state that is reset; one that is carried may be below the floor of its width. Blocks "
    "that are wider may end here, too, if they are not trained to the end"
)


def _said(loss: float, narrowest: int, fits: list[int], floor: Callable[[int], float]) -> str:
    first, last = fits[0], fits[-1]
    widths = listed(fits, "or") if len(fits) <= 3 else f"{first} to {last}"
    widths = widths if last < WIDEST else f"{first} or more"
    said = f"{loss:.4f} nats fits a width of {widths} (lowest possible with {first}: {floor(first):.4f})"
    if narrowest > 1:
        said += f"; with {narrowest - 1} it could not be below {floor(narrowest - 1):.4f}"
    return said
