"""Measurements on a network that is trained for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.analysis.lags import LagAnalysis, measure_lags
from tf_rnn.graph import make_graph
from tf_rnn.training import Evaluation, Silence, Truncation, train

if TYPE_CHECKING:
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task
    from tf_rnn.training.progress import Listener


class LagStudy(NamedTuple):
    """The gradient by lag before and after training.

    Attributes:
        untrained: At the initial weights.
        trained: After training; None where there was none.
        evaluation: Held-out data after training; None where there was none.
    """

    untrained: LagAnalysis
    trained: LagAnalysis | None
    evaluation: Evaluation | None

    @property
    def last(self) -> LagAnalysis:
        """After training if there was any, else before."""
        return self.trained or self.untrained


def study_lags(
    setup: Setup,
    task: Task,
    num_steps: int,
    *,
    tokens: float,
    state: str = "carry",
    seed: int = 0,
    listener: Listener | None = None,
    threads: int | None = None,
) -> LagStudy:
    """Trains one network at a width, and measures the gradient over that width before and after.

    Args:
        setup: The network and its training.
        task: The setup's task.
        num_steps: The width to train at, and how far back to look.
        tokens: How long to train, in examples times steps; 0 for not at all.
        state: "carry" or "reset".
        seed: Of the initial weights.
        listener: Told of the progress; None for nobody.
        threads: See `UnrolledGraph.session`.

    Raises:
        OptionError: If an option is not allowed.
        DivergedError: If the loss is not finite.
    """
    graph = make_graph(setup, task, num_steps, seed)
    truncation = Truncation(setup.style, setup.stride, setup.tolerance, seed)
    settings: dict[str, Any] = {
        "state": state,
        "evaluations": 1,
        "truncation": truncation,
        "listener": Silence() if listener is None else listener,
    }
    with graph.session(threads=threads) as session:
        untrained = measure_lags(graph, session, task, num_steps)
        if not tokens:
            return LagStudy(untrained, None, None)
        result = train(graph, task, tokens=tokens, session=session, **settings)
        return LagStudy(untrained, measure_lags(graph, session, task, num_steps), result.evaluation)
