"""A part of a training run: from one state on, up to a fraction of the budget.

Runs that are trained in stages have the losses and weights of runs that are trained at once, bit for
bit in a session with one thread.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.training.callbacks import CallbackList
from tf_rnn.training.checkpoints import read_state, write_state
from tf_rnn.training.evaluation import Evaluator
from tf_rnn.training.interrupts import Interrupts
from tf_rnn.training.loop import train_from
from tf_rnn.training.plan import check
from tf_rnn.training.state import TrainingState
from tf_rnn.training.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.callbacks import Callback
    from tf_rnn.training.plan import Plan
    from tf_rnn.training.result import TrainingResult


class Stage(NamedTuple):
    """A part of a training run.

    Attributes:
        result: The run so far.
        state: The state at its end, in the form of a checkpoint, for the next stage.
    """

    result: TrainingResult
    state: bytes


class _LastState:
    """Keeps the last state in memory, where a run folder would write it."""

    save_is_due = False
    state: TrainingState

    def save(self, state: TrainingState, *_: Any, **__: Any) -> None:
        self.state = state


def train_stage(
    graph: UnrolledGraph,
    task: Task,
    plan: Plan,
    session: Any,
    *,
    until: float,
    state: bytes | None = None,
    callbacks: Sequence[Callback] = (),
) -> Stage:
    """Trains up to a fraction of a plan's budget.

    Args:
        graph: The graph, with an optimizer.
        task: The task.
        plan: How to train; the same in all stages of a run.
        session: An open session of the graph.
        until: The fraction of the budget, counted from the start of the run, above 0 and at most 1.
        state: The state at the end of the stage before; None for the start.
        callbacks: Objects that watch the run.

    Raises:
        OptionError: If graph, task and plan do not fit together.
        DivergedError: If a loss, a gradient or a weight is not finite.
    """
    check(graph, task, plan)
    start = TrainingState({}, {}) if state is None else read_state(state)
    if state is not None:
        start.restore("state", graph, session)
    evaluator, last = Evaluator(graph, task, plan.state), _LastState()
    with CallbackList(*callbacks) as watching:
        result = train_from(
            start, graph, task, plan, session, evaluator, watching, last, Interrupts(), Worker(), until
        )
    content = io.BytesIO()
    write_state(content, last.state)
    return Stage(result, content.getvalue())
