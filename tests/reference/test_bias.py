"""What truncation loses of each gradient and of the mean gradient: against definitions by hand."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close, assign, random_values

from tf_rnn.analysis import contributions as contributions_module
from tf_rnn.analysis.bias import LostGradient, Parts
from tf_rnn.analysis.contributions import sampled_weights
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.analysis.report import lag_table, mean_sentence
from tf_rnn.cells import GRUCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Adding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tf_rnn.analysis.lags import LagAnalysis

LAGS, WEIGHTS = 4, 7


def drawn(positions: int, mean: float = 0.5, examples: int = 1) -> NDArray[Any]:
    """Contributions [positions, examples, lags, weights]: a mean for each lag, and noise."""
    generator = np.random.default_rng(11)
    means = mean * generator.normal(size=(LAGS, WEIGHTS))
    return means + 0.1 * generator.normal(size=(positions, examples, LAGS, WEIGHTS))


def measured(contributions: NDArray[Any]) -> LostGradient:
    """From contributions [positions, lags, weights]."""
    lost = LostGradient(contributions.shape[1])
    for each in contributions:
        lost.add(Parts.of_lags(each))
    return lost


@pytest.mark.parametrize("positions", [4, 9])
def test_of_the_mean_by_hand(positions: int) -> None:
    c = drawn(positions)[:, 0]
    g = np.cumsum(c, axis=1)  # g[t, K - 1]
    whole, blocks = g[:, -1], np.stack([g[:, :n].mean(axis=1) for n in range(1, LAGS + 1)], axis=1)
    even, odd = whole[::2].mean(axis=0), whole[1::2].mean(axis=0)
    square = even @ odd

    def bias(kept: NDArray[Any]) -> list[float]:
        lost = kept - whole[:, np.newaxis]
        products = (lost[::2].mean(axis=0) * lost[1::2].mean(axis=0)).sum(axis=1)
        return [float(np.sqrt(max(0, product) / square)) for product in products]

    variance = sum(
        np.var(one @ other, ddof=1) / len(one) for one, other in ((whole[::2], odd), (whole[1::2], even))
    )
    found = measured(c).of_mean()
    assert_close(found.signal, square / np.sqrt(variance), 1e-9 * found.signal, "signal")
    assert_close(found.bias, bias(g), 1e-13, "bias")
    assert_close(found.block_bias, bias(blocks), 1e-13, "bias in blocks")
    assert found.signal > 5, found.signal


def test_of_the_mean_is_the_bias_without_its_variance() -> None:
    """Noise of ten times the mean, in 4000 positions: of each gradient nearly all that is lost is noise."""
    generator = np.random.default_rng(3)
    noise = generator.normal(size=(4000, 2, 5))
    c = np.array([3.0, 4.0])[:, np.newaxis] / np.sqrt(5) / 7 + noise  # |c_0| : |c_1| = 3 : 4
    lost = measured(c)
    of_mean, of_each = lost.of_mean(), lost.of_each()[0]
    assert of_mean.signal > 10, of_mean.signal
    assert of_mean.bias[0] == pytest.approx(4 / 7, abs=0.05)
    # E|c_1|^2 / E|c_0 + c_1|^2 = (5 + (4/7)^2) / (10 + 1)
    assert of_each[0] == pytest.approx(np.sqrt((5 + (4 / 7) ** 2) / 11), abs=0.02)


def test_a_mean_lost_in_its_noise_is_not_given_as_a_number() -> None:
    found = measured(drawn(100, mean=0)[:, 0]).of_mean()
    assert abs(found.signal) < 3, found.signal
    nothing = [np.nan] * LAGS
    np.testing.assert_array_equal(found[:2], [nothing, nothing])
    np.testing.assert_array_equal(measured(drawn(3)[:, 0]).of_mean()[:2], [nothing, nothing])
    assert np.isnan(measured(drawn(3)[:, 0]).of_mean().signal), "3 positions"


def test_the_mean_does_not_depend_on_how_rows_are_batched() -> None:
    """6 rows at 8 times: as one batch, and as each single row; what is lost of each gradient does."""
    c = drawn(8, examples=6)
    together, alone = measured(c.mean(axis=1)), measured(c.transpose(1, 0, 2, 3).reshape(48, LAGS, WEIGHTS))
    assert_close(together.of_mean()[:2], alone.of_mean()[:2], 1e-13, "of the mean")
    difference = np.abs(together.of_each()[0] - alone.of_each()[0]).max()
    assert difference > 1e-3, difference


TASK = Adding(span=5, length=60, valid_length=60)


def graph_of(batch_size: int) -> UnrolledGraph:
    return UnrolledGraph(
        GRUCell(3), 5, batch_size, input_size=2, num_classes=1, input_kind="real", loss="squared_error",
        loss_steps="marked", dtype="float64", optimizer=None, seed=4,
    )  # fmt: skip


@functools.cache
def of_batches(batch_size: int) -> LagAnalysis:
    graph = graph_of(batch_size)
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(1), graph.variables, 0.9))
        return measure_lags(graph, session, TASK, 5)


def test_measured_of_the_mean_is_the_same_for_every_batch_size() -> None:
    """12 examples in 1 or 3 rows; a row has an even number of them, so that halves are the same."""
    alone, together = of_batches(1), of_batches(3)
    assert (alone.positions, together.positions) == (12, 4)
    assert min(alone.mean_signal, together.mean_signal) > 3, (alone.mean_signal, together.mean_signal)
    assert_close(together.mean_bias, alone.mean_bias, 1e-10, "mean bias")
    assert_close(together.mean_block_bias, alone.mean_block_bias, 1e-10, "mean bias in blocks")
    assert together.relative_bias[0] != pytest.approx(alone.relative_bias[0], rel=1e-3)
    assert max(alone.mean_bias[:-1]) > 0.01, alone.mean_bias


def test_the_table_shows_the_mean_only_where_it_is_clear() -> None:
    clear = of_batches(1)
    assert (len(lag_table(clear).header), mean_sentence(clear)) == (7, "")
    assert lag_table(clear).rows[3][5] == f"{clear.mean_bias[2]:.1%}"
    few = of_batches(4)  # 3 positions
    assert len(lag_table(few).header) == 5
    assert mean_sentence(few) == "The data have too few positions, 3, to measure the mean gradient."


def test_of_many_weights_a_sample_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of_batches(1)
    assert sampled_weights(48, 100) == (None, 1.0)
    monkeypatch.setattr(contributions_module, "MOST_NUMBERS", 3600)
    chosen, scale = sampled_weights(48, 100)  # 36 of 48
    assert chosen is not None
    assert scale**2 == pytest.approx(48 / 36, rel=1e-15)
    assert list(chosen) == sorted(set(chosen) & set(range(48))), chosen
    assert len(chosen) == 36, chosen
    monkeypatch.setattr(contributions_module, "MOST_NUMBERS", 4200)  # 42 of the 45 weights
    part = of_batches.__wrapped__(1)
    assert_close(part.gradient_norm, whole.gradient_norm, 0, "norms")
    assert_close(part.relative_bias, whole.relative_bias, 0.1, "relative bias")
    assert part.relative_bias != whole.relative_bias
