"""The session loop of the notes, without evaluation, progress and checkpoints."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.options import STATES, require_choice
from tf_rnn.training.epoch import Epoch
from tf_rnn.training.probe import GradientProbe
from tf_rnn.training.state import StreamPosition
from tf_rnn.training.stepper import Stepper
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task


class Update(NamedTuple):
    """One training step.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Mean loss per time step, before the update.
        gradient_norm: Norm of the gradient, before clipping.
        final_state: The state for the next window.
        tokens: Rows times time steps whose loss counted for the first time.
    """

    epoch: int
    loss: float
    gradient_norm: float
    final_state: Any
    tokens: int


def session_loop(
    graph: UnrolledGraph,
    task: Task,
    session: Any,
    state: str = "carry",
    truncation: Truncation | None = None,
) -> Iterator[Update]:
    """Runs the training step on window after window, epoch after epoch, without end.

    Args:
        graph: A graph with an optimizer.
        task: The task, whose split "train" is read.
        session: An open session of the graph.
        state: "carry" or "reset".
        truncation: The truncation style; None for blocks.

    Yields:
        An `Update` after each run.

    Raises:
        OptionError: If an option is not allowed, or the data are not finite.
    """
    require_choice("state", state, STATES)
    stepper, probe, zero_state = Stepper(session), GradientProbe(graph, session), graph.zero_state()
    for number in itertools.count():
        epoch = Epoch(graph, task, truncation or Truncation(), probe, StreamPosition(number))
        current = zero_state
        while window := epoch.next_window(current):
            step = stepper(window, epoch.rows, current)
            current = step.state if state == "carry" else zero_state
            yield Update(number + 1, *step, int(window.new_steps * graph.batch_size))
