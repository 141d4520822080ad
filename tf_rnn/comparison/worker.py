"""The work of a worker process: a training run, a look at a trained network, or the measurement of all costs.

The functions import TensorFlow themselves, so that the process which distributes the work never loads it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.comparison.channel import ChannelCallback, Measurement, raise_if_cancelled
from tf_rnn.comparison.curves import best_point
from tf_rnn.files import plain
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.comparison.channel import Channel
    from tf_rnn.comparison.parcel import Parcel
    from tf_rnn.comparison.settings import RunKey

# The points of a learning curve: doublings, and one more near the end; a race stops at some of them.
EVALUATED_AT = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
# Workers share the cores, and results must not depend on how many there are.
THREADS = 1
# What the record of a run keeps of a gradient by lag.
GRADIENT_KEYS = ("relative_bias", "block_bias", "half_life")


class Part(NamedTuple):
    """A run that was trained up to a fraction of its budget.

    Attributes:
        record: What it learnt, ready for JSON.
        state: The state at its end, from which it can be trained further; None if it diverged.
    """

    record: dict[str, Any]
    state: bytes | None


def train_part(
    parcel: Parcel,
    key: RunKey,
    amount: dict[str, float],
    channel: Channel | None = None,
    until: float = 1.0,
    state: bytes | None = None,
) -> Part:
    """Trains one graph up to a fraction of its budget.

    Args:
        parcel: The setup and the task.
        key: Which run.
        amount: How long to train, by the name of the unit; see `Comparison.budget`.
        channel: Where to report progress.
        until: The fraction of the budget, counted from the start of the run.
        state: The state that a former part ended with; None for the start.

    Returns:
        What it learnt, ready for JSON, and the state at the end.

    Raises:
        OptionError: If the task is not available here.
        CancelledRunError: If the run was cancelled.
    """
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.training import Budget, DivergedError, Schedule, Truncation  # noqa: PLC0415
    from tf_rnn.training.plan import Plan  # noqa: PLC0415
    from tf_rnn.training.stage import train_stage  # noqa: PLC0415

    raise_if_cancelled(channel)
    setup, task = parcel.open()
    setup = dataclasses.replace(setup, learning_rate=key.learning_rate)
    graph = make_graph(setup, task, key.num_steps, key.seed)
    truncation = Truncation(setup.style, setup.stride, setup.tolerance, key.seed)
    (budget,) = amount.items()
    plan = Plan(Budget(*budget), key.state, EVALUATED_AT, truncation, Schedule(), None, key.seed)
    record: dict[str, Any] = key._asdict()
    try:
        with graph.session(threads=THREADS) as session:
            watching = [ChannelCallback(key, channel)]
            stage = train_stage(graph, task, plan, session, until=until, state=state, callbacks=watching)
    except DivergedError as error:
        return Part(record | {"loss": None, "error": str(error)}, None)
    result = stage.result
    curve = [plain(point._asdict()) for point in result.curve]
    record |= {
        "loss": best_point(curve)["valid_loss"],
        "error": None,
        "standard_error": result.evaluation.standard_error,
        "train_loss": result.curve[-1].train_loss,
        "dependency_scores": {str(lag): score for lag, score in result.evaluation.dependency_scores.items()},
        "updates": result.updates,
        "tokens": result.tokens,
        "seconds": result.seconds,
        "curve": curve,
    }
    return Part(record, stage.state)


def look_run(
    parcel: Parcel,
    key: RunKey,
    state: bytes,
    longest: int,
    most: int,
    with_gradient: bool,
    channel: Channel | None = None,
) -> dict[str, Any]:
    """Measures how far back a trained network looks.

    Args:
        parcel: The setup and the task.
        key: The run that trained it.
        state: The state that it ended with.
        longest: How many steps to look back; fewer where the data are too short.
        most: About how many tokens to read for the losses by position.
        with_gradient: Whether to measure the gradient, too.
        channel: Where to look whether the work was cancelled.

    Returns:
        What the record of the run gains, ready for JSON: `by_position`, a `ByPosition`, and `gradient`,
        some of a `LagAnalysis`; that is None if the gradient is too large for a floating-point number.

    Raises:
        OptionError: If the task is not available here.
    """
    from tf_rnn.analysis import measure_lags, measure_positions  # noqa: PLC0415
    from tf_rnn.analysis.lags import check_lags  # noqa: PLC0415
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.training.checkpoints import read_state  # noqa: PLC0415

    raise_if_cancelled(channel)
    setup, task = parcel.open()
    graph = make_graph(setup, task, key.num_steps, key.seed)
    with graph.session(threads=THREADS) as session:
        read_state(state).restore("state", graph, session)
        positions = measure_positions(graph, session, task, longest, most)
        found: dict[str, Any] = {"by_position": dataclasses.asdict(positions)}
        if not with_gradient:
            return found
        num_steps = longest
        while num_steps > key.num_steps:
            try:
                check_lags(setup, task, num_steps)
                break
            except OptionError:
                num_steps = max(num_steps // 2, key.num_steps)
        try:
            gradient = dataclasses.asdict(measure_lags(graph, session, task, num_steps))
        except OverflowError:
            return found | {"gradient": None}
    return found | {"gradient": plain({name: gradient[name] for name in GRADIENT_KEYS})}


def cost_runs(parcel: Parcel, widths: Sequence[int], channel: Channel | None = None) -> list[dict[str, Any]]:
    """Measures the costs of several widths; see `tf_rnn.analysis.setup_costs`.

    Args:
        parcel: The setup and the task.
        widths: At least one.
        channel: Where to report, and to look whether the work was cancelled.
    """
    from tf_rnn.analysis import setup_costs  # noqa: PLC0415

    order = sorted(set(widths))

    def before_build(width: int) -> None:
        raise_if_cancelled(channel)
        if channel is not None:
            number = order.index(width) + 1
            channel.send(Measurement(), number / len(order), f"width {width}, {number} of {len(order)}")

    return setup_costs(*parcel.open(), widths, before_build)
