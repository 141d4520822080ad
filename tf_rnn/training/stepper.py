"""Training steps: the one place where training runs the session."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream
    from tf_rnn.truncation import Window


class Step(NamedTuple):
    """The result of a training step.

    Attributes:
        loss: Mean loss per time step, before the update.
        gradient_norm: Norm of the gradient, before clipping.
        state: The state for the next window, in the structure of the cell's state.
    """

    loss: float
    gradient_norm: float
    state: Any


class Stepper:
    """Takes training steps in a session; each kind of window is prepared once.

    Args:
        session: An open session of the graphs.
        feeds: Names of the graphs' tensors that each step is given: "learning_rate", "dropout_seed".
        loss: The loss of a graph, as `total_loss`; with several workers, the mean over all rows.
    """

    def __init__(
        self,
        session: Any,
        feeds: tuple[str, ...] = (),
        loss: Callable[[UnrolledGraph], Any] = operator.attrgetter("total_loss"),
    ) -> None:
        self._session, self._feeds, self._loss = session, feeds, loss
        self._prepared: dict[tuple[int, int], Callable[..., Any]] = {}

    def __call__(self, window: Window, rows: Stream, state: Any, **fed: Any) -> Step:
        """Takes a training step.

        Args:
            window: What to train on.
            rows: The rows that it reads.
            state: The state at its start.
            **fed: Values by name; those that are not among `feeds` are left out.
        """
        run = self._prepared.get((id(window.graph), id(window.next_state))) or self._prepare(window)
        block = rows.steps(window.start, window.start + window.graph.num_steps)
        values = [block.inputs, block.targets, state, *window.more, *(fed[name] for name in self._feeds)]
        loss, norm, next_state, _ = run(*values, starts=block.starts, target_weights=block.target_weights)
        return Step(float(loss) * window.loss_scale, float(norm), next_state)

    def _prepare(self, window: Window) -> Callable[..., Any]:
        graph: UnrolledGraph = window.graph
        fetches = (self._loss(graph), graph.gradient_norm, window.next_state, graph.train_step)
        run = graph.runner(self._session, *fetches, feeding=[getattr(graph, name) for name in self._feeds])
        self._prepared[id(graph), id(window.next_state)] = run
        return run
