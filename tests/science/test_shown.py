"""What the width does, on tasks made to show it; each claim against a named baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tf_rnn
from tf_rnn.analysis import ByPosition
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.comparison import Parcel, RunKey
from tf_rnn.comparison.ranking import MARGIN
from tf_rnn.comparison.widths import Mean, lasting_width, state_width
from tf_rnn.comparison.worker import look_run, train_part
from tf_rnn.graph import make_graph
from tf_rnn.setup import Setup
from tf_rnn.tasks import TASKS, Task, make_task
from tf_rnn.training import DivergedError, TrainingResult, Truncation, train

if TYPE_CHECKING:
    from tf_rnn.analysis.lags import LagAnalysis

pytestmark = pytest.mark.slow


def setup_of(task: Task, **options: Any) -> Setup:
    """The task's defaults, and what is given instead."""
    defaults = TASKS[task.name].defaults
    names = ("cell", "state_size", "cell_options", "batch_size", "optimizer", "learning_rate", "clip_norm")
    return Setup(task=task.name, **({name: getattr(defaults, name) for name in names} | options))


def run(
    task: Task,
    num_steps: int,
    tokens: float,
    *,
    state: str = "carry",
    seed: int = 0,
    truncation: Truncation | None = None,
    **options: Any,
) -> TrainingResult:
    graph = make_graph(setup_of(task, **options), task, num_steps, seed)
    with graph.session(threads=1) as session:
        return train(
            graph,
            task,
            tokens=tokens,
            state=state,
            evaluations=2,
            session=session,
            truncation=truncation,
            callbacks=(),
        )


def untrained_lags(task: Task, num_steps: int, seed: int, **options: Any) -> LagAnalysis:
    graph = make_graph(setup_of(task, **options), task, num_steps, seed)
    with graph.session(threads=1) as session:
        return measure_lags(graph, session, task, num_steps)


OPEN_GATES: dict[str, Any] = {"cell": "lstm", "cell_options": {"forget_bias": 4.0}}
TANH: dict[str, Any] = {"cell": "vanilla", "cell_options": {}}
SEEDS = (0, 1)


def test_tanh_forgets_and_an_lstm_with_open_gates_remembers() -> None:
    lag = 60
    task = make_task("memory", lag=lag)
    losses = {
        name: [run(task, lag + 1, 3e6, state="reset", seed=seed, **cell).evaluation.loss for seed in SEEDS]
        for name, cell in (("tanh", TANH), ("lstm", OPEN_GATES))
    }
    memoryless = task.baselines()["memoryless"]
    assert max(losses["lstm"]) < 0.25 * memoryless, losses
    assert max(losses["tanh"]) > 0.5 * memoryless, losses
    assert sum(losses["tanh"]) > 2 * sum(losses["lstm"]), losses
    for seed in SEEDS:
        tanh, lstm = (untrained_lags(task, lag + 1, seed, **cell) for cell in (TANH, OPEN_GATES))
        assert tanh.trend == "vanishes"
        assert 3 < tanh.half_life < 10, tanh.half_life
        assert lstm.trend != "vanishes", (lstm.trend, lstm.decay)


def test_copying_needs_a_graph_as_wide_as_the_delay() -> None:
    task = make_task("copy", delay=12, num_recalled=4)
    memoryless = task.baselines()["memoryless"]
    wide = run(task, 20, 1.2e6, state="reset").evaluation.loss
    assert wide < memoryless / 3, (wide, memoryless)
    # With the state reset a narrower graph cannot: no predictor can.
    narrow = run(task, 10, 6e5, state="reset").evaluation
    floor = task.floor(10)
    assert floor == pytest.approx(memoryless)
    assert narrow.loss > memoryless - 4 * narrow.standard_error, (narrow.loss, memoryless)
    # With the state carried it does markedly worse.
    carried = run(task, 10, 1.2e6, state="carry").evaluation.loss
    assert carried > wide + 0.1 * memoryless, (carried, wide)


def test_adding_needs_a_graph_as_wide_as_the_span() -> None:
    task = make_task("adding", span=30)
    ((_, predicting_one),) = task.baselines().items()
    wide = run(task, 30, 1.8e6, state="reset").evaluation.loss
    assert wide < predicting_one / 50, (wide, predicting_one)
    narrow = run(task, 15, 1.8e6, state="reset").evaluation
    floor = task.floor(15)
    assert floor is not None
    assert narrow.loss > floor - 4 * narrow.standard_error, (narrow.loss, floor)
    assert narrow.loss > predicting_one / 4
    carried = run(task, 15, 1.8e6, state="carry").evaluation.loss
    assert carried > 5 * wide, (carried, wide)


def test_a_network_trained_with_the_state_reset_does_not_run_on_where_memory_must_be_longer() -> None:
    """On the echo task, lags 3 and 8: within 5 or 10 steps the state does not come to all its values."""
    task = make_task("echo")
    optimum = task.optimum()
    assert optimum is not None
    parcel, margin = Parcel.of(setup_of(task), task), MARGIN * optimum
    found = {}
    for num_steps, state in ((5, "reset"), (10, "reset"), (5, "carry"), (10, "carry")):
        key = RunKey(num_steps, state, 0, 0.1)
        trained = train_part(parcel, key, {"tokens": 5e6})
        assert trained.state is not None
        look = look_run(parcel, key, trained.state, 40, 500_000, False)
        found[num_steps, state] = Mean.of([ByPosition(**look["by_position"])])
    for num_steps in (5, 10):
        reset, carried = found[num_steps, "reset"], found[num_steps, "carry"]
        steps, shown, meaning = lasting_width(reset, num_steps, num_steps, margin, "nats", carried)
        assert (steps, shown.split(", ")[0]) == (num_steps, str(num_steps)), meaning
        assert "unexplored states (Buitrago & Gu 2025); train with the state carried, which has 0." in meaning
        assert lasting_width(carried, num_steps, None, margin, "nats", None)[1].startswith("at least ")
    steps, _, meaning = state_width(found[10, "carry"], None, margin, "nats")
    assert steps is not None
    assert 9 <= steps <= 14, "lag 8 and the present step, and little more"
    assert state_width(found[5, "reset"], 5, margin, "nats")[0] == 4, "lag 3 and the present step"


@pytest.mark.parametrize(("num_steps", "seed"), [(5, 0), (10, 1)])
def test_sliding_by_one_learns_more_from_the_same_errors_than_blocks(num_steps: int, seed: int) -> None:
    task = make_task("echo")
    block = run(task, num_steps, 2e6, seed=seed)
    sliding = run(task, num_steps, 2e6, seed=seed, truncation=Truncation("sliding", stride=1))
    assert sliding.tokens == pytest.approx(block.tokens, rel=0.01)
    assert sliding.updates > 4 * block.updates
    difference = block.evaluation.loss - sliding.evaluation.loss
    assert difference > 2 * block.evaluation.standard_error, (block.evaluation, sliding.evaluation)


def test_random_truncation_trains_where_blocks_of_the_same_mean_length_diverge() -> None:
    task = make_task("influence")
    with pytest.raises(DivergedError):
        run(task, 10, 1e5, learning_rate=1e-4)
    found = run(task, 10, 1e5, learning_rate=1e-4, truncation=Truncation("random"), style="random")
    assert found.evaluation.loss < 1e-6, found.evaluation


@pytest.mark.parametrize(("num_steps", "converges"), [(40, False), (41, True)])
def test_influence_changes_sides_at_width_41(num_steps: int, *, converges: bool) -> None:
    loss = run(make_task("influence"), num_steps, 1e5).evaluation.loss
    assert (loss < 1e-3) == converges, loss
    assert (loss > 1e6) != converges, loss


def test_the_width_recommended_for_echo_is_as_good_as_any() -> None:
    """Early on, a graph narrower than the shortest lag is nearly as good; it gets worse with training."""
    narrow = 2
    found = tf_rnn.Experiment("echo").recommend([narrow, 5, 10, 20], seeds=2, verify=True, workers=2)
    assert narrow < min(found.task.lags)
    assert found.standings[narrow].summary.fraction < 1, found.table().markdown()
    assert found.sweep is not None
    summaries = {each.num_steps: each for each in found.sweep.summaries}
    losses = {width: each.loss for width, each in summaries.items()}
    assert found.num_steps in losses, found.reason
    best = min(losses.values())
    assert losses[found.num_steps] <= (1 + MARGIN) * best, (found.reason, losses)
    assert losses[narrow] > (1 + 2 * MARGIN) * best, losses
    assert summaries[narrow].last_loss > 1.2 * best, summaries[narrow]
