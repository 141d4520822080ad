"""What one prediction owes to each earlier input: against numeric gradients, and against wider graphs."""

from __future__ import annotations

import csv
import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, random_block, random_state, random_values
from references import numeric_gradient

import tf_rnn
from tf_rnn.analysis.at import InputGradients, check_at, input_gradient_norms, measure_at
from tf_rnn.analysis.plots import PER_ROW, at_figure
from tf_rnn.cells import LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Adding, Echo, Influence, Text

if TYPE_CHECKING:
    from pathlib import Path

BATCH, STEPS, INPUTS, CLASSES = 3, 4, 5, 2


def new_graph(cell: Any, input_size: int = INPUTS, **options: Any) -> UnrolledGraph:
    given = {"dtype": "float64", "optimizer": None, "seed": 3} | options
    return UnrolledGraph(cell, STEPS, BATCH, input_size, CLASSES, **given)


def numeric_norms(
    name: str, values: list[Any], vectors: Any, targets: Any, state: Any, **options: Any
) -> np.ndarray:
    """The norms by lag, from differences of the last loss of a graph that reads real vectors."""
    graph = new_graph(CASES[name].make(), vectors.shape[-1], input_kind="real", **options)
    with graph.session() as session:
        assign(session, graph.variables, values)
        run = graph.runner(session, graph.losses[-1])
        gradient = numeric_gradient(lambda: float(run(vectors, targets, state)[0].sum()), vectors)
    return np.asarray(np.linalg.norm(gradient, axis=2).T[::-1])


@pytest.mark.parametrize(("name", "kind"), [("tanh", "real"), ("lstm", "embedding"), ("gru", "one-hot")])
def test_norms_are_those_of_differences(name: str, kind: str) -> None:
    """Of unit vectors and of embeddings, too, as if they were values."""
    kinds: dict[str, dict[str, Any]] = {"real": {"input_kind": "real"}, "embedding": {"embedding_size": 3}}
    options = kinds.get(kind, {})
    graph = new_graph(CASES[name].make(), **options)
    generator = np.random.default_rng(2)
    values = random_values(generator, graph.variables, 0.5)
    inputs, targets = random_block(generator, graph)
    assert inputs is not None
    state = random_state(generator, graph.init_state)
    with graph.session() as session:
        assign(session, graph.variables, values)
        found = session.run(input_gradient_norms(graph), graph.feed(inputs, targets, state))
    assert found.shape == (STEPS, BATCH)
    vectors = inputs if kind == "real" else np.eye(INPUTS)[inputs]
    if kind == "embedding":
        vectors = values[0][inputs]
        values = values[1:]
    expected = numeric_norms(name, values, vectors, targets, state)
    assert_close(found, expected, 1e-8, f"{name}, {kind}")
    assert found.min() > 1e-4, found


@pytest.mark.parametrize(("cell", "at", "reach"), [(VanillaCell, 5, 6), (LSTMCell, 13, 8)])
def test_the_state_is_that_of_all_data_before_and_no_width_truncates(cell: Any, at: int, reach: int) -> None:
    """The gradient is that of a graph over all data from their start, up to twice the width."""
    task = Echo(lags=[2, 5], effects=[0.3, -0.15], length=600, valid_length=90)
    graph = new_graph(cell(3), 2)
    stream = task.stream("valid")
    with graph.session() as session:
        found = measure_at(graph, session, task, STEPS, at)
        whole = graph.forward(num_steps=at + 1, batch_size=1)
        feed = whole.feed(stream.inputs[None, : at + 1], stream.targets[None, : at + 1], whole.zero_state())
        norms, loss = session.run((input_gradient_norms(whole), whole.losses[-1]), feed)
    assert (found.position, found.num_steps, len(found.norms)) == (at, STEPS, reach)
    assert_close(np.array(found.norms), norms[:reach, 0], 1e-13, f"position {at}")
    assert_close(np.array(found.loss), loss[0], 1e-13, f"position {at}")
    shown = [str(each) for each in stream.inputs[at - reach + 1 : at + 1][::-1]]
    assert (found.inputs, found.target) == (shown, str(stream.targets[at]))
    assert found.values is None
    assert list(found.records[1].values()) == [at - 1, 1, shown[1], found.norms[1]]


def test_a_reset_state_is_zero_where_the_width_begins() -> None:
    task = Echo(lags=[2, 5], effects=[0.3, -0.15], length=600, valid_length=90)
    graph = new_graph(LSTMCell(3), 2)
    stream = task.stream("valid").inputs[None, 70:74], task.stream("valid").targets[None, 70:74]
    with graph.session() as session:
        found = measure_at(graph, session, task, STEPS, 73, "reset")
        one = graph.forward(batch_size=1)
        norms = session.run(input_gradient_norms(one), one.feed(*stream, one.zero_state()))
    assert_close(np.array(found.norms), norms[:, 0], 1e-13, "reset")


@pytest.mark.parametrize(
    ("task", "at", "message"),
    [
        (Echo(valid_length=90), 2, "from 3 (num_steps - 1) to 89 (the end of the held-out data), got 2"),
        (Echo(valid_length=90), 90, "from 3 (num_steps - 1) to 89 (the end of the held-out data), got 90"),
        (Adding(span=5), 18, "with a target, the nearest is 19, got 18"),
    ],
)
def test_positions_without_a_prediction_are_refused(task: Any, at: int, message: str) -> None:
    with pytest.raises(OptionError, match=f"^at must be a position {re.escape(message)}$"):
        check_at(task, 4, at)


def test_a_task_without_inputs_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^at must be left out for the task influence, which has no input"):
        check_at(Influence(), 4, 9)


def test_positions_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    experiment, out = tf_rnn.Experiment("echo"), tmp_path / "out"
    for at in (-1, 8, 200_000, 1.5):
        with pytest.raises(OptionError, match=r"^at must be a "):
            experiment.lags(10, at=at, out=out)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_study_writes_what_it_found(tmp_path: Path) -> None:
    experiment = tf_rnn.Experiment("echo", state_size=3, batch_size=7)
    study = experiment.lags(4, tokens=0, at=20, out=tmp_path / "out", callbacks=())
    assert [path.name for path in study.files][-3:] == ["at.csv", "at.png", "run.toml"]
    assert study.at is not None
    assert study.sentences[-1] == study.at.sentence
    with (tmp_path / "out" / "at.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in record.items()} for record in study.at.records]
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "(at.png)" in page
    assert study.at.sentence in page
    assert experiment.lags(4, tokens=0, callbacks=()).at is None


def test_characters_are_shown_with_escapes(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a\tb\x1b c\n" * 60, encoding="utf-8")
    task = Text(path, valid_fraction=0.3)
    graph = UnrolledGraph(VanillaCell(3), 4, 2, task.input_size, task.num_classes, optimizer=None)
    with graph.session() as session:
        found = measure_at(graph, session, task, 4, 10)
    wanted = {"a": "a", "\t": r"\t", "b": "b", "\x1b": r"\x1b", " ": " ", "c": "c", "\n": r"\n"}
    read = task.decode(task.stream("valid").inputs[3:11])
    assert found.inputs == [wanted[character] for character in read[::-1]]


def made_up(count: int, num_steps: int = 3, **changes: Any) -> InputGradients:
    inputs = [character for character, _ in zip(itertools.cycle("ab \\"), range(count), strict=False)]
    values: dict[str, Any] = {"position": 99, "num_steps": num_steps, "target": "c", "loss": 0.5}
    values |= {
        "unit": "nats",
        "norms": [1 / 2**lag for lag in range(count)],
        "inputs": inputs,
        "values": None,
    }
    return InputGradients(**(values | changes))


def test_the_sentence_names_the_largest_and_what_lies_beyond_the_width() -> None:
    assert made_up(4, norms=[1.0, 4.0, 2.0, 1.0]).sentence == (
        "position 99, target 'c', loss 0.5000 nats: the largest gradient is that of the input of 1 step back "
        "('b'); of the norms of the last 4 inputs, 12.5% are beyond the width of 3."
    )
    assert made_up(2, norms=[0.0, 0.0]).sentence.endswith(": no input has a gradient.")


@pytest.mark.parametrize("count", [1, 6, PER_ROW + 3])
def test_the_figure_has_a_bar_for_each_input_and_the_border(count: int) -> None:
    found = made_up(count)
    axes = at_figure(found, "title").axes
    bars = [patch.get_height() for each in axes for patch in each.patches]
    assert bars == found.norms[::-1]
    labels = [label.get_text().split("\n")[0] for each in axes for label in each.get_xticklabels()]
    assert labels == ["␣" if shown == " " else shown for shown in found.inputs[::-1]]
    borders = [line.get_xdata()[0] for each in axes for line in each.lines]
    assert borders == ([2.5] if count > 3 else [])


def test_values_are_a_line_over_the_bars() -> None:
    figure = at_figure(made_up(6, values=[[float(lag)] for lag in range(6)]), "title")
    (line,) = figure.axes[1].lines
    assert line.get_ydata().ravel().tolist() == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
