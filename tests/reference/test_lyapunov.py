"""The largest Lyapunov exponent: networks of which it is known, and what is said where it is above 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assign

from tf_rnn.analysis.lags import LagAnalysis, measure_lags
from tf_rnn.analysis.plots import lag_figure
from tf_rnn.analysis.report import lag_records, lag_table, reference_sentence
from tf_rnn.analysis.tangents import lyapunov_exponent
from tf_rnn.cells import GRUCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])


def still(length: int = 600) -> Arrays:
    """Inputs that are all 0; the targets are noise."""
    targets = np.random.default_rng(1).normal(size=(length, 1))
    return Arrays(np.zeros((length, 1)), targets, valid_inputs=np.zeros((length, 1)), valid_targets=targets)


def driven(length: int = 600) -> Arrays:
    inputs = np.random.default_rng(2).normal(size=(length, 1))
    return Arrays(inputs, inputs, valid_inputs=inputs, valid_targets=inputs)


def graph_of(
    cell: Any, dtype: str = "float64", batch_size: int = 3, initial_state: str = "zero"
) -> UnrolledGraph:
    return UnrolledGraph(
        cell, 4, batch_size, input_size=1, num_classes=1, input_kind="real", loss="squared_error",
        dtype=dtype, optimizer=None, seed=3, initial_state=initial_state,
    )  # fmt: skip


def exponent(
    W_s: NDArray[Any], task: Arrays, *, bias: float = 0.0, initial_state: str = "zero", **options: Any
) -> tuple[float, float]:
    """Of a vanilla network with these recurrent weights."""
    graph = graph_of(VanillaCell(len(W_s), **options), initial_state=initial_state)
    with graph.session() as session:
        values = [np.concatenate([np.ones((1, len(W_s))), W_s]), np.full(len(W_s), bias)]
        assign(session, graph.cell.variables, values)
        return lyapunov_exponent(graph, session, task, "valid")


@pytest.mark.parametrize(
    ("W_s", "radius"),
    [
        (np.diag([0.5, 0.25, 0.125]), 0.5),
        (0.9 * ROTATION, 0.9),  # eigenvalues 0.54 +- 0.72i
        (np.array([[0.75, 5.0], [0.0, 0.25]]), 0.75),  # the largest singular value is 5.06
        (1.25 * ROTATION, 1.25),
    ],
)
def test_of_a_network_at_rest_it_is_the_logarithm_of_the_spectral_radius(
    W_s: NDArray[Any], radius: float
) -> None:
    """tanh at 0 is linear."""
    found, error = exponent(W_s, still())
    assert found == pytest.approx(math.log(radius), abs=1e-12)
    assert error < 1e-12, error


def test_a_learnt_initial_state_is_no_end_of_all_changes() -> None:
    """Nothing that is fed before the first step changes anything; after it, all goes on."""
    found, error = exponent(0.9 * ROTATION, still(), initial_state="learnt")
    assert found == pytest.approx(math.log(0.9), abs=1e-12)
    assert error < 1e-12, error


def test_of_a_linear_network_it_does_not_depend_on_the_data() -> None:
    """ReLUs that are all above 0."""
    W_s = np.array([[0.5, 0.25], [0.125, 0.5]])  # eigenvalues 1/2 +- sqrt(1/32)
    found, error = exponent(W_s, driven(), bias=50.0, activation="relu")
    assert found == pytest.approx(math.log(0.5 + math.sqrt(1 / 32)), abs=1e-12)
    assert error < 1e-12, error


def test_data_that_saturate_the_units_lower_it() -> None:
    W_s = 1.25 * ROTATION
    (at_rest, _), (found, error) = exponent(W_s, still()), exponent(W_s, driven())
    # E ln(1 - tanh^2) of each unit is the same, and the rotation mixes them.
    assert found + 4 * error < at_rest
    assert 0 < error < 0.1, error


def test_a_change_that_is_forgotten_has_no_logarithm() -> None:
    assert exponent(np.eye(2), still(), bias=-1.0, activation="relu") == (-math.inf, 0.0)
    assert exponent(np.zeros((2, 2)), still()) == (-math.inf, 0.0)


def test_of_one_unit_it_is_the_mean_logarithm_of_the_derivative() -> None:
    """S_t = tanh(X_t + S_{t-1} / 2): each step's derivative is (1 - S_t^2) / 2."""
    found, error = exponent(np.array([[0.5]]), driven())
    inputs = driven().rows(3, "valid").inputs[:, :, 0]
    state, logs = np.zeros(3), []
    for vector in inputs.T:
        state = np.tanh(vector + state / 2)
        logs.append(np.log((1 - state**2) / 2))
    counted = np.array(logs)[len(logs) // 5 :]
    assert found == pytest.approx(counted.mean(), abs=1e-12)
    # Neighbouring steps are correlated, so the error is larger than that of as many independent numbers.
    least = counted.std() / math.sqrt(counted.size)
    assert 0.8 * least < error < 4 * least, (error, least)


def test_of_a_stack_all_layers_count() -> None:
    """The lower layer reads nothing of the upper one, so the exponent is the larger of the two."""
    graph = graph_of(StackedCell([VanillaCell(3, recurrent_gain=0.5), VanillaCell(2, recurrent_gain=0.875)]))
    with graph.session() as session:
        found, _ = lyapunov_exponent(graph, session, still(), "valid")
    assert found == pytest.approx(math.log(0.875), abs=1e-3)


def test_one_row_and_few_steps() -> None:
    graph = graph_of(GRUCell(2), batch_size=1)
    with graph.session() as session:
        assert lyapunov_exponent(graph, session, driven(1), "valid")[1] == math.inf
        found, error = lyapunov_exponent(graph, session, driven(11), "valid")
    assert found < 0 < error < math.inf, (found, error)


# --- what is said --------------------------------------------------------------------------------


def chaotic(gain: float, dtype: str = "float32") -> LagAnalysis:
    """20 tanh units with random weights: chaotic for large gains (Sompolinsky et al. 1988)."""
    graph = graph_of(VanillaCell(20), dtype)
    W = np.random.default_rng(4).normal(size=(21, 20)) * gain / np.sqrt(20)
    with graph.session() as session:
        assign(session, graph.cell.variables, [W, np.zeros(20)])
        return measure_lags(graph, session, driven(), 7, reference="infinite")


def test_where_it_is_above_0_no_width_suffices() -> None:
    found = chaotic(4.0)
    assert found.grows, (found.lyapunov, found.lyapunov_error)
    assert found.lyapunov is not None
    assert reference_sentence("trained", found) == (
        "trained: no width suffices: gradients grow without bound (Lyapunov exponent "
        f"{found.lyapunov:.4f} ± {found.lyapunov_error:.4f} per step)"
    )
    for values in (found.relative_bias, found.block_bias, found.cosine, found.mean_bias):
        np.testing.assert_array_equal(values, [np.nan] * 7)
    assert [row[2:] for row in lag_table(found).rows] == [["–"] * 3] * 5
    assert {record["relative_bias"] for record in lag_records("trained", found)} == {None}
    (_, bias) = lag_figure({"trained": found}, (), "").axes
    assert "trained: no width suffices" in [text.get_text() for text in bias.get_legend().get_texts()]


def test_where_it_is_below_0_the_whole_past_is_compared_with() -> None:
    found = chaotic(0.5)
    assert not found.grows
    assert found.lyapunov is not None
    assert found.lyapunov < -0.1
    assert reference_sentence("trained", found).startswith(
        "trained: to keep 90% of the gradient over the whole past"
    )
    assert reference_sentence("trained", found).endswith(f" {found.lyapunov_error:.4f} per step")
    assert 0 < found.relative_bias[-1] < 0.1, found.relative_bias


def analysis(**changes: Any) -> LagAnalysis:
    values: dict[str, Any] = {
        "lags": [0, 1, 2], "gradient_norm": [1.0, 0.5, 0.25], "decay": 0.5, "half_life": 1.0,
        "trend": "vanishes", "bound": None, "truncations": [1, 2, 3], "relative_bias": [0.5, 0.09, 0.004],
        "block_bias": [0.5, 0.3, 0.25], "cosine": [1.0] * 3, "positions": 9, "reference": "infinite",
    }  # fmt: skip
    return LagAnalysis(**values | changes)


SENTENCES: list[tuple[dict[str, Any], str]] = [
    # Blocks of 3 lose 0.25, so blocks of 7.5 lose 0.1.
    (
        {},
        "takes 2 steps followed back, or blocks of about 8 steps; truncation after 3 steps loses 0.40% of it",
    ),
    ({"block_bias": [0.5, 0.1, 0.05]}, "or blocks of 2 steps;"),
    # What is older than the lags may be of any age.
    (
        {"relative_bias": [0.5, 0.09, 0.05]},
        "or blocks of more than 3 steps; truncation after 3 steps loses 5.00%",
    ),
    ({"relative_bias": [0.5, 0.2, 0.15]}, "takes more than 3 steps followed back, or blocks of more than"),
    ({"directions": 50}, "(what is older estimated along 50 random directions, its square ± 20%)"),
    ({"lyapunov": -0.25, "lyapunov_error": 0.0125}, "); Lyapunov exponent -0.2500 ± 0.0125 per step"),
    ({"lyapunov": 0.25, "lyapunov_error": 0.125}, "); Lyapunov exponent 0.2500 ± 0.1250 per step"),
    ({"relative_bias": [math.nan] * 3}, "a: there is no finite gradient over the whole past to compare"),
]


@pytest.mark.parametrize(("changes", "words"), SENTENCES)
def test_the_sentence_on_the_whole_past(changes: dict[str, Any], words: str) -> None:
    assert words in reference_sentence("a", analysis(**changes))


def test_without_that_reference_nothing_is_said() -> None:
    assert reference_sentence("a", analysis(reference="widest")) == ""
