"""The work of a worker process: a training run, a study of gradients, or the measurement of all costs.

The functions import TensorFlow themselves, so that the process which distributes the work never loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.channel import ChannelCallback, raise_if_cancelled
from tf_rnn.files import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.analysis.study import LagStudy
    from tf_rnn.comparison.channel import Channel
    from tf_rnn.comparison.parcel import Parcel
    from tf_rnn.comparison.settings import RunKey

EVALUATIONS = 5
# Workers share the cores, and results must not depend on how many there are.
THREADS = 1


def train_run(
    parcel: Parcel, key: RunKey, amount: dict[str, float], channel: Channel | None = None
) -> dict[str, Any]:
    """Trains one graph.

    Args:
        parcel: The setup and the task.
        key: Which run.
        amount: How long to train, by the name of the unit; see `Comparison.budget`.
        channel: Where to report progress.

    Returns:
        What it learnt, ready for JSON.

    Raises:
        OptionError: If the task is not available here.
        CancelledRunError: If the run was cancelled.
    """
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.training import DivergedError, Truncation, train  # noqa: PLC0415

    raise_if_cancelled(channel)
    setup, task = parcel.open()
    graph = make_graph(setup, task, key.num_steps, key.seed)
    limit: dict[str, Any] = amount
    record: dict[str, Any] = key._asdict()
    try:
        with graph.session(threads=THREADS) as session:
            result = train(
                graph,
                task,
                **limit,
                state=key.state,
                evaluations=EVALUATIONS,
                truncation=Truncation(setup.style, setup.stride, setup.tolerance, key.seed),
                seed=key.seed,
                session=session,
                callbacks=[ChannelCallback(key, channel)],
            )
    except DivergedError as error:
        return record | {"loss": None, "error": str(error)}
    return record | {
        "loss": result.evaluation.loss,
        "error": None,
        "standard_error": result.evaluation.standard_error,
        "train_loss": result.curve[-1].train_loss,
        "dependency_scores": {str(lag): score for lag, score in result.evaluation.dependency_scores.items()},
        "updates": result.updates,
        "tokens": result.tokens,
        "seconds": result.seconds,
        "curve": [plain(point._asdict()) for point in result.curve],
    }


def study_run(parcel: Parcel, key: RunKey, tokens: float, channel: Channel | None = None) -> LagStudy:
    """Trains one network and measures its gradient by lag.

    Args:
        parcel: The setup and the task.
        key: The width to train at and to look back over, the state, the seed.
        tokens: How long to train, in examples times steps.
        channel: Where to report progress.

    Raises:
        OptionError: If the task is not available here.
        DivergedError: If the loss is not finite.
        CancelledRunError: If the run was cancelled.
    """
    from tf_rnn.analysis.study import study_lags  # noqa: PLC0415

    raise_if_cancelled(channel)
    setup, task = parcel.open()
    return study_lags(
        setup,
        task,
        key.num_steps,
        tokens=tokens,
        state=key.state,
        seed=key.seed,
        callbacks=(ChannelCallback(key, channel),),
        threads=THREADS,
    )


def cost_runs(parcel: Parcel, widths: Sequence[int], channel: Channel | None = None) -> list[dict[str, Any]]:
    """Measures the costs of several widths; see `tf_rnn.analysis.setup_costs`.

    Args:
        parcel: The setup and the task.
        widths: At least one.
        channel: Where to look whether the work was cancelled.
    """
    from tf_rnn.analysis import setup_costs  # noqa: PLC0415

    return setup_costs(*parcel.open(), widths, lambda: raise_if_cancelled(channel))
