"""Who makes a run's updates: this process alone, or several together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tf_rnn.training.session_loop import Place, Update, session_epochs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.checkpoints import Snapshot
    from tf_rnn.training.loop import Plan


class StoppedWaitingError(KeyboardInterrupt):
    """A run was told to stop while it waited for others: what it has done up to then can be saved."""


@runtime_checkable
class Crew(Protocol):
    """What `train` asks of whoever makes its updates."""

    def check(self, graph: UnrolledGraph, plan: Plan) -> None:
        """Raises OptionError unless it can train this graph in this way."""

    def config(self) -> dict[str, Any]:
        """What is to be noted of it in the run's configuration."""

    def accept(self, kept: Snapshot | None) -> Snapshot | None:
        """What a run goes on from, as the crew can go on from it."""

    def sizes(self, tokens_per_update: int, updates_per_epoch: int) -> tuple[int, int]:
        """The same two for this crew, given those of this process alone."""

    def epochs(
        self,
        graph: UnrolledGraph,
        task: Task,
        session: Any,
        plan: Plan,
        place: Place,
        controls: Mapping[str, Callable[[], Any]],
        is_stopped: Callable[[], bool],
    ) -> Iterator[Iterator[Update]]:
        """For each epoch an iterator over its updates; see `session_epochs`.

        `is_stopped` says whether the run has been told to stop.
        """

    def catch_up(self, place: Place, final_state: Any) -> tuple[Place, Any]:
        """Brings the session's variables to where the updates are, and says what goes on from there."""


class Alone:
    """This process alone: the session loop."""

    def check(self, graph: UnrolledGraph, plan: Plan) -> None:
        """Whatever can be trained it can train."""

    def config(self) -> dict[str, Any]:
        """There is nothing to note."""
        return {}

    def accept(self, kept: Snapshot | None) -> Snapshot | None:
        """Where several workers have not kept step, the epoch begins anew."""
        return kept.at_start_of_epoch() if kept and kept.place.positions else kept

    def sizes(self, tokens_per_update: int, updates_per_epoch: int) -> tuple[int, int]:
        """As they are."""
        return tokens_per_update, updates_per_epoch

    def epochs(
        self,
        graph: UnrolledGraph,
        task: Task,
        session: Any,
        plan: Plan,
        place: Place,
        controls: Mapping[str, Callable[[], Any]],
        is_stopped: Callable[[], bool],
    ) -> Iterator[Iterator[Update]]:
        """The session loop."""
        return session_epochs(graph, task, session, plan.state, plan.truncation, place, controls)

    def catch_up(self, place: Place, final_state: Any) -> tuple[Place, Any]:
        """The updates are made in the session itself."""
        return place, final_state
