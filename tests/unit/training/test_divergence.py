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

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.training import CurvePoint, Progress, TrainingResult

# 5 blocks an epoch of 3 rows times 4 steps.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=62, valid_length=7)
ADVICE = "limit the gradient's norm with clip_norm, or lower learning_rate"


def make_graph(learning_rate: float = 0.1, **options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"seed": 7, "optimizer": "sgd", "learning_rate": learning_rate}
    return UnrolledGraph(cells.VanillaCell(5, activation="relu"), 4, 3, 2, 2, **(given | options))


def explosive() -> UnrolledGraph:
    """Whose weights are no use after one update."""
    return make_graph(3e38)


def diverged(graph: UnrolledGraph, **options: Any) -> DivergedError:
    with pytest.raises(DivergedError) as caught, graph.session(threads=1) as session:
        train(graph, TASK, session=session, callbacks=(), **options)
    return caught.value


def test_the_gradient_by_lag_is_that_of_the_last_good_weights_where_it_happened() -> None:
    """By hand: on the second block, from the state after the first, at the initial weights."""
    graph = make_graph()
    norms, rows = gradient_norms(graph), TASK.rows(3)
    with graph.session(threads=1) as session:
        state = graph.zero_state()
        for start in (0, 4):
            block = rows.inputs[:, start : start + 4], rows.targets[:, start : start + 4]
            values, state = session.run([norms, graph.final_state], graph.feed(*block, state))
    by_lag = values.mean(axis=1)
    error = diverged(explosive(), updates=9)
    assert error.update == 2
    assert error.lag is not None
    expected = (int(np.argmax(by_lag)), by_lag.max(), by_lag[0], 0)
    np.testing.assert_allclose(error.lag, expected, rtol=1e-6)
    assert f"; by lag, with the weights after update 0, it was largest at lag {error.lag.lag} (" in str(error)


def test_a_gradient_that_is_not_finite_ends_a_run_though_its_loss_is() -> None:
    """States of 1e-30, 1e-18, 1e-6 and 1e6: of dL/dS_{t-k} = 1e12^k U the square is none from lag 2 on."""
    graph = make_graph()
    W, b_s, U, b_p = (np.zeros(variable.shape, np.float32) for variable in graph.variables)
    W[-5:], b_s[:], U[:, 0] = 1e12 * np.eye(5), 1e-30, 1e-3
    with graph.session(threads=1) as session:
        assign(session, graph.variables, [W, b_s, U, b_p])
        update = next(session_loop(graph, TASK, session, "reset"))
        assert math.isfinite(update.loss)
        assert update.gradient_norm == math.inf
        assign(session, graph.variables, [W, b_s, U, b_p])
        with pytest.raises(DivergedError) as caught:
            train(graph, TASK, updates=3, state="reset", session=session, callbacks=())
    error = caught.value
    assert (error.loss, error.update, error.gradient_norm) == (update.loss, 1, math.inf)
    assert error.lag is not None
    assert error.lag[:2] == (2, math.inf)
    assert str(error) == (
        f"the gradient's norm is inf, of a loss of {update.loss:.4g}, at update 1 (epoch 1); "
        f"by lag, with the weights after update 0, it was largest at lag 2 (inf, and "
        f"{error.lag.norm_at_0:.3g} at lag 0); {ADVICE}"
    )


def test_weights_are_left_as_the_last_update_left_them() -> None:
    """An open session belongs to whoever opened it."""
    graph, twin = explosive(), explosive()
    with twin.session(threads=1) as session:
        list(itertools.islice(session_loop(twin, TASK, session), 2))
        expected = session.run(list(twin.variables))
    with graph.session(threads=1) as session:
        with pytest.raises(DivergedError):
            train(graph, TASK, updates=9, session=session, callbacks=())
        found = session.run(list(graph.variables))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not all(np.isfinite(values).all() for values in found)


def test_weights_that_were_spoilt_before_tell_nothing() -> None:
    graph = make_graph()
    with graph.session(threads=1) as session:
        graph.variables[0].load(np.full(graph.variables[0].shape, np.nan), session)
        with pytest.raises(DivergedError) as caught:
            train(graph, TASK, updates=1, session=session, callbacks=())
    assert caught.value.lag is None
    assert str(caught.value) == f"the loss is nan before any update; {ADVICE}"


def test_the_error_passes_from_process_to_process() -> None:
    error = DivergedError(0.5, 12, 3, 4.5, math.inf, LargestLag(7, math.inf, 0.25, 10))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.loss, again.update, again.epoch, again.largest_norm) == (0.5, 12, 3, 4.5)
    assert (again.gradient_norm, again.lag) == (math.inf, error.lag)


# --- what is kept ----------------------------------------------------------------------------------


def saved(folder: Path) -> int:
    start = find_start(folder, pytest.fail)
    assert start is not None
    return start.state.history.updates


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


def run(graph: UnrolledGraph, listener: Callback | None = None, **options: Any) -> TrainingResult:
    with graph.session(threads=1) as session:
        return train(graph, TASK, session=session, callbacks=[listener] if listener else (), **options)


def test_the_last_good_checkpoint_stays_and_is_resumed_at_a_smaller_rate(tmp_path: Path) -> None:
    """As from one of a run that was ended there; the new rate and limit are those of the run from then on."""
    graph = make_graph()
    with pytest.raises(DivergedError) as caught:
        run(graph, Spoiling(graph, 12), epochs=4, out=tmp_path / "run")
    assert (caught.value.update, saved(tmp_path / "run")) == (13, 10)
    assert caught.value.lag is not None
    assert caught.value.lag.update == 10
    run(make_graph(), updates=10, out=tmp_path / "ended")
    results = [
        run(make_graph(0.01, clip_norm=1.0), epochs=4, resume=tmp_path / name) for name in ("run", "ended")
    ]
    assert [result.updates for result in results] == [20, 20]
    assert_close(list(results[0].weights.values()), list(results[1].weights.values()), 0, "weights")
    start = find_start(tmp_path / "run", pytest.fail)
    assert start is not None
    kept = start.state.config["graph"]
    assert (kept["learning_rate"], kept["clip_norm"]) == (0.01, 1.0)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    graph = make_graph()
    folder = RunFolder(tmp_path)
    with graph.session(threads=1) as session:

        def save(**counts: Any) -> None:
            variables = read_variables(graph, session)
            folder.save(TrainingState({}, variables, history=History(**counts)), set(variables), [])

        save(updates=1)
        checkpoints = Checkpoints(tmp_path / "checkpoints", "resume")
        assert checkpoints.numbers == [1]
        values = session.run(graph.variables[1])
        for spoilt in (math.nan, math.inf):
            values[-1] = spoilt
            graph.variables[1].load(values, session)
            message = f"a weight is no longer finite at update 7 (epoch 2); {ADVICE}"
            with pytest.raises(DivergedError, match=f"^{re.escape(message)}$"):
                save(updates=7, epochs=1, epoch_updates=2)
            assert checkpoints.numbers == [1]


def test_a_run_that_saves_all_the_time_keeps_no_weights_that_are_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends instead, and the checkpoint before is the last."""
    monkeypatch.setattr(RunFolder, "save_seconds", 0.0)
    monkeypatch.setattr(RunFolder, "save_share", math.inf)
    graph = make_graph()
    with pytest.raises(DivergedError) as caught:
        run(graph, Spoiling(graph, 12, math.inf), epochs=4, out=tmp_path)
    words = "a weight is no longer finite at update 12 (epoch 3), after gradients that grew to "
    assert str(caught.value).startswith(words), str(caught.value)
    assert caught.value.lag is not None
    assert saved(tmp_path) == 11


def test_the_words_name_the_lag_where_it_is_known() -> None:
    error = DivergedError(math.nan, 12, 3, 1234.0).with_lag(LargestLag(7, 3.14159, 0.25, 10))
    assert str(error) == (
        "the loss is nan at update 12 (epoch 3), after gradients that grew to a norm of 1.23e+03; by lag, "
        f"with the weights after update 10, it was largest at lag 7 (3.14, and 0.25 at lag 0); {ADVICE}"
    )
