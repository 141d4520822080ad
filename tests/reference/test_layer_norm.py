"""Layer normalisation: what it changes, and what it leaves alone; `test_cells.py` has the equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import (
    NORMED,
    assert_close,
    assert_loss_and_slopes_agree,
    assert_slopes_agree,
    assign,
    make_run,
    new_session,
)

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, VanillaCell, describe_cell, described_cell, make_cell
from tf_rnn.cells.norm import EPSILON, normalized
from tf_rnn.graph import StepGraph
from tf_rnn.inference.stepper import Stepper
from tf_rnn.options import OptionError
from tf_rnn.run_config import options_of_run

pytestmark = pytest.mark.usefixtures("chunks_of_two")
STEPS, BATCH, INPUTS = 5, 3, 5


def run_of(name: str, **options: Any) -> Any:
    return make_run(NORMED[name].make(), STEPS, BATCH, **({"input_size": INPUTS} | options))


def test_every_gate_of_every_row_has_mean_0_and_variance_1() -> None:
    rows = np.random.default_rng(2).normal(3, 5, size=(4, 3 * 7))
    with tf.Graph().as_default(), new_session() as session:
        found = session.run(normalized(tf.constant(rows), 7)).rows.reshape(4, 3, 7)
    variance = rows.reshape(4, 3, 7).var(axis=2)
    assert_close(found.mean(axis=2), np.zeros((4, 3)), 1e-15, "mean")
    assert_close(found.var(axis=2), variance / (variance + EPSILON), 1e-14, "variance")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("normed lstm", {"recompute": 2, "initial_state": "learnt"}),
        ("normed gru", {"recompute": "sqrt", "embedding_size": 3}),
        pytest.param("normed stacked", {"recompute": 2, "input_kind": "real"}, marks=pytest.mark.slow),
        pytest.param(
            "normed lstm",
            {"embedding_size": 4, "readout": "tied", "num_classes": INPUTS},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_gradients_where_steps_are_computed_again_and_with_other_options(
    name: str, options: dict[str, Any]
) -> None:
    run, first = run_of(name, **options), np.arange(BATCH)[:, np.newaxis] == 0
    run.state = tf.nest.map_structure(
        lambda start, part: np.where(first, start, part), run.graph.zero_state(), run.state
    )
    assert_loss_and_slopes_agree(run)


def test_without_inputs_their_gain_has_no_effect_and_all_else_is_learnt() -> None:
    run = run_of("normed lstm", input_kind="none", input_size=0)
    gradients = dict(zip([v.op.name for v in run.graph.variables], run.fetch(gradients_of(run)), strict=True))
    assert np.abs(gradients.pop("lstm/g_x")).max() == 0
    assert min(np.abs(gradient).max() for gradient in gradients.values()) > 1e-4, gradients
    assert_slopes_agree(run)


def gradients_of(run: Any) -> list[Any]:
    return [gradient for gradient, _ in run.graph.gradients]


def test_single_steps_are_the_wide_graph() -> None:
    run = run_of("normed stacked", input_kind="real", optimizer=None)
    with new_session(run.graph.tf_graph) as session:
        stepper = Stepper(StepGraph.of(run.graph, BATCH), session)
        assign(session, run.graph.variables, run.values)
        stepper.state, expected = run.state, session.run(run.graph.predictions, run.fed)
        found = [stepper.step(run.inputs[:, t]) for t in range(STEPS)]
    assert_close(found, expected, 1e-13, "predictions")


def test_the_scale_of_the_weights_does_not_matter() -> None:
    """Weights of 1,000 times the size, as of 100,000 times: the variance of the sums dwarfs 1e-5."""
    run, found = run_of("normed lstm", input_kind="real", optimizer=None), []
    W, *_ = run.graph.cell.variables
    place = [variable is W for variable in run.graph.variables].index(True)
    for factor in (1e3, 1e2):
        run.values[place] = factor * run.values[place]
        found.append(run.fetch(run.graph.losses))
    assert_close(found[1], found[0], 1e-9, "losses")


@pytest.mark.parametrize("cell", [VanillaCell, GRUCell, LSTMCell])
def test_without_it_nothing_is_made_and_nothing_is_described(cell: Any) -> None:
    run = make_run(cell(4), STEPS, BATCH, input_size=INPUTS, optimizer="sgd")
    kinds = {operation.type for operation in run.graph.tf_graph.get_operations()}
    assert "Rsqrt" not in kinds
    assert "layer_norm" not in describe_cell(run.graph.cell)[0]
    description = describe_cell(cell(4, layer_norm=True))
    assert description[0]["layer_norm"] is True
    assert describe_cell(described_cell(description)) == description


def test_a_run_from_before_it_has_none() -> None:
    """So that a resumed run, or one that begins with its weights, is refused another."""
    config: dict[str, Any] = {"task": {"name": "echo", "options": {}}, "graph": {"readout": "linear"}}
    config["training"] = {"truncation": {}, "state": "carry", "evaluations": None, "schedule_width": None}
    config["training"] |= {"seed": 0, "schedule": dict.fromkeys(("name", "decay", "decay_after"))}
    config["training"]["schedule"]["warm_up_updates"] = 0
    for cell, kept in ((GRUCell(3), False), (GRUCell(3, layer_norm=True), True)):
        assert options_of_run(config | {"cell": describe_cell(cell)})["layer_norm"] is kept


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"layer_norm": "yes"}, "layer_norm must be True or False, got 'yes'"),
        (
            {"state_size": 1, "layer_norm": True},
            "state_size must be at least 2 with layer_norm, as one unit is its mean, got 1",
        ),
        (
            {"name": "influence", "layer_norm": True},
            "layer_norm must be left out unless cell is vanilla or gru or lstm",
        ),
    ],
)
def test_refusals(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(OptionError) as error:
        make_cell(**{"name": "gru", "state_size": 4, **options})
    assert str(error.value) == problem
