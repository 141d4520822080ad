"""Which width to use, from the gradients of networks that are trained briefly."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tf_rnn.analysis.advice import Advice, advise, widths_to_price
from tf_rnn.analysis.cost import measure_costs
from tf_rnn.analysis.study import LagStudy, study_lags
from tf_rnn.graph import make_graph
from tf_rnn.options import require_fraction, require_whole
from tf_rnn.training import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task
    from tf_rnn.training.progress import Listener


class Recommendation(NamedTuple):
    """A width, and the measurements behind it.

    Attributes:
        advice: The width, and why.
        studies: The gradient by lag of each network that was trained.
    """

    advice: Advice
    studies: list[LagStudy]


def recommend(
    setup: Setup,
    task: Task,
    num_steps: int,
    *,
    tokens: float,
    seeds: int = 3,
    tolerance: float = 0.1,
    listener: Callable[[], Listener] = Silence,
) -> Recommendation:
    """Trains networks briefly at a large width, and names the width that their gradients ask for.

    The state is carried. The width is the smallest from which on an error that is followed back over
    so many steps misses at most `tolerance` of its gradient over `num_steps` steps.

    Args:
        setup: The networks and their training.
        task: The setup's task, of the package or of the user's own.
        num_steps: The widest graph to think of, at which the networks are trained.
        tokens: How long to train each, in examples times steps.
        seeds: How many to train, from different initial weights; the most demanding one decides.
        tolerance: The share of the gradient that may be cut off, between 0 and 1.
        listener: Makes who is told of the progress, anew for each.

    Raises:
        OptionError: If an option is not allowed, or the data are too short.
        DivergedError: If a loss is not finite.
    """
    require_whole("seeds", seeds)
    require_fraction("tolerance", tolerance)
    studies = [
        study_lags(setup, task, num_steps, tokens=tokens, seed=seed, listener=listener())
        for seed in range(seeds)
    ]
    return Recommendation(priced_advice(setup, task, studies, tolerance), studies)


def priced_advice(setup: Setup, task: Task, studies: Sequence[LagStudy], tolerance: float) -> Advice:
    """Names the width that studies of the gradient ask for, with what a training step costs there.

    Args:
        setup: What was studied.
        task: The setup's task.
        studies: One of each network.
        tolerance: The share of the gradient that may be cut off, between 0 and 1.
    """
    analyses = [study.last for study in studies]
    widths = widths_to_price(analyses, tolerance)
    costs = measure_costs(lambda width: make_graph(setup, task, width, seed=0), task, widths)
    return advise(analyses, costs, tolerance)
