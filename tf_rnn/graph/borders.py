"""What happens between two steps to the state, and to the gradient that flows back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tf_rnn.graph.reweighting import Reweighting
    from tf_rnn.graph.starts import Starts


class Border(Protocol):
    """A change of all states on their way to the next step."""

    def on_state(self, t: int, state: Any, start: Any) -> Any:
        """Maps t and S_t (or one layer's part of it) to the state that step t + 1 starts from.

        Args:
            t: From -1, the initial state, to n - 1, after which there is no step.
            state: S_t.
            start: The state before a sequence, without rows; None for zero.
        """

    def on_state_gradient(self, t: int, gradient: Any) -> Any:
        """The derivative of `on_state`: maps t and dL/dS_t, as step t + 1 gives it, to what step t gets."""


class Borders:
    """Changes one after another; with none of them states pass unchanged, and no operation is made.

    Attributes:
        starts: The last change; None where no sequence starts within a row, nor from a learnt state.

    Args:
        reweighting: The first change, or None.
        starts: See above.
    """

    def __init__(self, reweighting: Reweighting | None, starts: Starts | None) -> None:
        self.starts = starts
        self._changes: list[Border] = [change for change in (reweighting, starts) if change]

    def on_state(self, t: int, state: Any, start: Any = None) -> Any:
        """See `Border.on_state`."""
        for change in self._changes:
            state = change.on_state(t, state, start)
        return state

    def on_state_gradient(self, t: int, gradient: Any) -> Any:
        """See `Border.on_state_gradient`."""
        for change in reversed(self._changes):
            gradient = change.on_state_gradient(t, gradient)
        return gradient
