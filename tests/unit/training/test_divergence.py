"""A run that diverges says where, keeps its last good checkpoint, and can be resumed."""

from __future__ import annotations

import itertools
import math
import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close, assign

from tf_rnn import cells
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.lags import gradient_norms
from tf_rnn.tasks import Echo
from tf_rnn.training import Callback, DivergedError, History, TrainingState, session_loop, train
from tf_rnn.training.checkpoints import Checkpoints
from tf_rnn.training.divergence import LargestLag
from tf_rnn.training.run_folder import RunFolder, find_start
from tf_rnn.training.state import read_variables
from tf_rnn.training.stepper import Step, Stepper

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.training import CurvePoint, Progress, TrainingResult

# 5 blocks an epoch of 3 rows times 4 steps.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=7)
ADVICE = "limit the gradient's norm with clip_norm, or lower learning_rate"


def make_graph(learning_rate: float = 0.1, **options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"seed": 7, "optimizer": "sgd", "learning_rate": learning_rate}
    return UnrolledGraph(cells.VanillaCell(5, activation="relu"), 4, 3, 2, 2, **(given | options))


@pytest.fixture(scope="module")
def tame() -> UnrolledGraph:
    return make_graph()


@pytest.fixture(scope="module")
def explosive() -> UnrolledGraph:
    """Whose weights are no longer finite after one update."""
    return make_graph(3e38)


def run(graph: UnrolledGraph, callback: Callback | None = None, **options: Any) -> TrainingResult:
    with graph.session(threads=1) as session:
        given = {"session": session, "callbacks": [callback] if callback else ()} | options
        return train(graph, TASK, **given)


def diverged(graph: UnrolledGraph, callback: Callback | None = None, **options: Any) -> DivergedError:
    with pytest.raises(DivergedError) as caught:
        run(graph, callback, **options)
    return caught.value


def test_the_update_and_the_lag_with_the_last_weights(tame: UnrolledGraph, explosive: UnrolledGraph) -> None:
    """On the second block, from the state after the first, at the initial weights."""
    norms, rows = gradient_norms(tame), TASK.rows(3)
    with tame.session(threads=1) as session:
        state = tame.zero_state()
        for start in (0, 4):
            block = rows.steps(start, start + 4)
            fed = tame.feed(block.inputs, block.targets, state)
            values, state = session.run([norms, tame.final_state], fed)
    by_lag = values.mean(axis=1)
    with explosive.session(threads=1) as session:
        found = [step.gradient_norm for step in itertools.islice(session_loop(explosive, TASK, session), 2)]
        expected = session.run(list(explosive.variables))
    assert math.isnan(found[1]), found
    with explosive.session(threads=1) as session:
        error = diverged(explosive, updates=9, evaluations=1, session=session)
        left = session.run(list(explosive.variables))
    np.testing.assert_equal(left, expected, "weights are left as the last update left them")
    assert not all(np.isfinite(values).all() for values in left)
    assert (math.isfinite(error.loss), error.update, error.epoch, error.largest_norm) == (
        False,
        2,
        1,
        found[0],
    )
    assert error.lag is not None
    np.testing.assert_allclose(error.lag, (int(np.argmax(by_lag)), by_lag.max(), by_lag[0], 0), rtol=1e-6)
    at_the_end = diverged(explosive, updates=1)  # no training loss says so, but the validation loss
    assert (math.isfinite(at_the_end.loss), at_the_end.update, at_the_end.largest_norm) == (
        False,
        1,
        found[0],
    )
    clipped = make_graph(3e38, clip_norm=1e-38)
    assert math.isfinite(run(clipped, updates=7).evaluation.loss)
    with clipped.session() as session:
        norm = next(session_loop(clipped, TASK, session)).gradient_norm
    assert norm == found[0], "the norm is that before clipping"


def test_the_update_counts_over_epochs_and_the_norm_is_the_largest(
    tame: UnrolledGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = iter([0.25, 6.5, 2.0, 0.5, 0.125, 0.75, math.nan])
    take = Stepper.__call__

    def with_norm(*arguments: Any, **fed: Any) -> Step:
        step, norm = take(*arguments, **fed), next(norms)
        return step._replace(gradient_norm=norm, loss=math.inf if math.isnan(norm) else step.loss)

    monkeypatch.setattr(Stepper, "__call__", with_norm)
    error = diverged(tame, updates=12)
    assert (error.update, error.epoch, error.largest_norm) == (7, 2, 6.5)


def test_a_gradient_that_is_not_finite_ends_a_run_though_its_loss_is(tame: UnrolledGraph) -> None:
    """States of 1e-30, 1e-18, 1e-6 and 1e6: of dL/dS_{t-k} = 1e12^k U the square is none from lag 2 on."""
    W, b_s, U, b_p = (np.zeros(variable.shape, np.float32) for variable in tame.variables)
    W[-5:], b_s[:], U[:, 0] = 1e12 * np.eye(5), 1e-30, 1e-3
    with tame.session(threads=1) as session:
        assign(session, tame.variables, [W, b_s, U, b_p])
        update = next(session_loop(tame, TASK, session, "reset"))
        assert math.isfinite(update.loss)
        assert update.gradient_norm == math.inf
        assign(session, tame.variables, [W, b_s, U, b_p])
        error = diverged(tame, updates=3, state="reset", session=session)
    assert (error.loss, error.update, error.gradient_norm) == (update.loss, 1, math.inf)
    assert error.lag is not None
    assert error.lag[:2] == (2, math.inf)


def test_weights_that_were_spoilt_before_have_no_lag(tame: UnrolledGraph) -> None:
    with tame.session(threads=1) as session:
        tame.variables[0].load(np.full(tame.variables[0].shape, np.nan), session)
        error = diverged(tame, updates=1, session=session)
    assert (error.update, error.lag) == (0, None)


AT = "at update 12 (epoch 3)"
GREW = f"{AT}, after gradients that grew to a norm of "
WHERE = "; by lag, with the weights after update 10, it was largest at lag "


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((math.nan, 12, 3, 1234.0), f"the loss is nan {GREW}1.23e+03"),
        ((math.nan, 12, 3, 0.0), f"the loss is nan {AT}"),  # none was finite
        ((math.inf, 0, 3, 0.0), "the loss is inf before any update"),
        ((0.0, 12, 3, 2.5, 0.0), f"a weight is no longer finite {GREW}2.5"),
        (
            (math.nan, 12, 3, math.inf, 0.5, LargestLag(0, 2.0, 2.0, 10)),
            f"the loss is nan {GREW}inf{WHERE}0 (2)",
        ),
        (
            (0.5, 12, 3, 4.5, math.inf, LargestLag(7, 3.14159, 0.25, 10)),
            f"the gradient's norm is inf, of a loss of 0.5, {AT}{WHERE}7 (3.14, and 0.25 at lag 0)",
        ),
    ],
)
def test_the_words_of_the_error_also_in_another_process(arguments: tuple[Any, ...], words: str) -> None:
    error = DivergedError(*arguments)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == f"{words}; {ADVICE}"
    assert repr(vars(again)) == repr(vars(error))


# --- what is kept ----------------------------------------------------------------------------------


def saved(folder: Path) -> TrainingState:
    start = find_start(folder, pytest.fail)
    assert start is not None
    return start.state


class Spoiling(Callback):
    """Makes weights of no use after an update, as an outlier among the data might."""

    report_seconds = 0.0

    def __init__(self, graph: UnrolledGraph, update: int, value: float = 1e38) -> None:
        self._graph, self._update, self._value = graph, update, value
        self._session: Any = None

    def on_progress(self, progress: Progress) -> None:
        if progress.updates == self._update:
            variable = self._graph.variables[0]
            variable.load(np.full(variable.shape, self._value), self._session)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        self._session = session


def test_the_last_good_checkpoint_is_resumed_at_a_smaller_rate(tmp_path: Path, tame: UnrolledGraph) -> None:
    """As from a run that was ended there; the new rate and limit are those of the run from then on."""
    error = diverged(tame, Spoiling(tame, 12), epochs=4, out=tmp_path / "run")
    assert (error.update, saved(tmp_path / "run").history.updates) == (13, 10)
    assert error.lag is not None
    assert error.lag.update == 10
    run(tame, updates=10, out=tmp_path / "ended")
    careful = make_graph(0.01, clip_norm=1.0)
    results = [run(careful, epochs=4, resume=tmp_path / name) for name in ("run", "ended")]
    assert [result.updates for result in results] == [20, 20]
    assert_close(list(results[0].weights.values()), list(results[1].weights.values()), 0, "weights")
    kept = saved(tmp_path / "run").config["graph"]
    assert (kept["learning_rate"], kept["clip_norm"]) == (0.01, 1.0)


def test_weights_not_finite_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tame: UnrolledGraph
) -> None:
    """A run that saves all the time ends instead, and the checkpoint before is the last."""
    folder = RunFolder(tmp_path)
    with tame.session(threads=1) as session:

        def save(**counts: Any) -> None:
            variables = read_variables(tame, session)
            folder.save(TrainingState({}, variables, history=History(**counts)), set(variables), [])

        save(updates=1)
        values = session.run(tame.variables[1])
        for spoilt in (math.nan, math.inf):
            values[-1] = spoilt
            tame.variables[1].load(values, session)
            message = f"a weight is no longer finite at update 7 (epoch 2); {ADVICE}"
            with pytest.raises(DivergedError, match=f"^{re.escape(message)}$"):
                save(updates=7, epochs=1, epoch_updates=2)
            assert Checkpoints(tmp_path / "checkpoints", "resume").numbers == [1]
    monkeypatch.setattr(RunFolder, "save_seconds", 0.0)
    monkeypatch.setattr(RunFolder, "save_share", math.inf)
    error = diverged(tame, Spoiling(tame, 12, math.inf), epochs=4, out=tmp_path / "run")
    assert (error.update, error.loss, error.gradient_norm) == (12, 0.0, 0.0)
    assert error.lag is not None
    assert saved(tmp_path / "run").history.updates == 11
