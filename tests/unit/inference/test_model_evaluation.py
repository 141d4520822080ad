"""The loss of a trained model is that of a loop of single steps, however the data are cut."""

from __future__ import annotations

import dataclasses
import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assign
from hypothesis import given
from hypothesis import strategies as st
from model_helpers import NaiveNetwork, keep_run, made_up_text, random_weights, weights_by_name, write_splits
from sequence_helpers import Sequences

from tf_rnn.cells import GRUCell, InfluenceCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.inference import ModelEvaluator, load
from tf_rnn.inference.evaluation import LEAD, lay_out
from tf_rnn.options import OptionError
from tf_rnn.tasks import Adding, Copy, Echo, Influence, Memory, Stream, Text, Words
from tf_rnn.training.evaluation import stacked_losses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.inference import Model
    from tf_rnn.tasks import Task
    from tf_rnn.training import Evaluation

# The width of the training changes nothing here.
keep_narrow = partial(keep_run, num_steps=2)
# Rounding errors of a loss of a few nats.
TOLERANCES = {"float64": 1e-12, "float32": 1e-6}
SIZES = {"train": 401, "valid": 101, "test": 83, "all": 587}


def assert_loss(found: Evaluation, losses: NDArray[Any], tolerance: float, what: Any = "") -> None:
    """The evaluation is that of these losses; nan marks a token without one."""
    counted = losses[~np.isnan(losses)]
    assert found.tokens == len(counted), f"{what}: {found.tokens} tokens, not {len(counted)}"
    expected = (float(counted.mean()), float(counted.std()) / math.sqrt(len(counted)))
    for one, other in zip((found.loss, found.standard_error), expected, strict=True):
        assert abs(one - other) <= tolerance, f"{what}: {one!r}, not {other!r} of {expected}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_splits(tmp_path_factory.mktemp("texts") / "splits")


@dataclasses.dataclass
class Trained:
    """A model trained on the texts of `data`, and the same network in NumPy."""

    task: Text
    model: Model
    naive: NaiveNetwork
    tolerance: float


NETWORKS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "vanilla float32": (lambda: VanillaCell(5), {}),
    "stacked, embedded, tied": (
        lambda: StackedCell([LSTMCell(4), GRUCell(5)]),
        {
            "dtype": "float64",
            "embedding_size": 5,
            "readout": "tied",
            "dropout": 0.5,
            "initial_state": "learnt",
        },
    ),
}


def trained_on(data: Path, folder: Path, cell: Any, weights: Any = None, **options: Any) -> Trained:
    task = Text(data)
    model = load(keep_narrow(folder, task, cell, weights, **options))
    return Trained(task, model, NaiveNetwork(model), TOLERANCES[options.get("dtype", "float32")])


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    make_cell, options = NETWORKS[request.param]
    return trained_on(data, tmp_path_factory.mktemp("runs") / "out", make_cell(), **options)


@pytest.fixture(scope="module")
def vanilla(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One float64 model for what does not depend on the cell."""
    return trained_on(data, tmp_path_factory.mktemp("runs") / "out", VanillaCell(5), dtype="float64")


def test_the_loss_is_that_of_a_loop_of_single_steps_for_any_width(trained: Trained) -> None:
    """101 is a multiple of none of these widths but 1, nor of the context."""
    stream, evaluator = trained.task.stream("valid"), trained.model.evaluator
    for num_steps in (1, 3):
        found, losses = evaluator(num_steps=num_steps), trained.naive.losses(stream)
        assert_loss(found, losses, trained.tolerance, f"num_steps {num_steps}")
    found, losses = evaluator(num_steps=3, context=13), trained.naive.losses(stream, 13)
    assert_loss(found, losses, trained.tolerance, "in contexts")


@pytest.mark.parametrize("initial_state", [pytest.param("zero", marks=pytest.mark.slow), "learnt"])
def test_sequences_that_start_within_the_data(tmp_path: Path, initial_state: str) -> None:
    """Whatever the width and however many rows; a reset every so many steps comes on top."""
    task = Sequences(valid_length=701)
    run = keep_narrow(
        tmp_path / "out", task, LSTMCell(4), starts=True, dtype="float64", initial_state=initial_state
    )
    model, stream = load(run, task=task), task.stream("valid")
    naive = NaiveNetwork(model)
    losses = naive.losses(stream)
    assert np.abs(naive.losses(Stream(*stream)) - losses).max() > 0.1, "starts make no difference"
    for num_steps, batch_size in ((3, 1), (10, 2)):
        found = model.evaluator(num_steps=num_steps, batch_size=batch_size)
        assert_loss(found, losses, 1e-12, f"{num_steps} steps, {batch_size} rows")
    assert_loss(model.evaluator(num_steps=3, context=13), naive.losses(stream, 13), 1e-12, "in contexts")


@pytest.mark.parametrize("split", SIZES)
def test_every_token_of_every_split_is_counted(vanilla: Trained, split: str) -> None:
    """A short text in one row, however many are allowed."""
    stream, evaluator = vanilla.task.stream(split), vanilla.model.evaluator
    assert len(stream.targets) == SIZES[split], f"{len(stream.targets)} tokens, not {SIZES[split]}"
    found = evaluator(split, num_steps=3)
    assert_loss(found, vanilla.naive.losses(stream), 1e-12, split)
    if split == "all":
        assert evaluator(split, batch_size=50, num_steps=3) == found


def test_a_text_of_one_token(vanilla: Trained, tmp_path: Path) -> None:
    """Shorter than the default width."""
    other = write_splits(tmp_path / "other", valid=2)
    found = vanilla.model.evaluator(data=other)
    task = Text(other, vocabulary=vanilla.model.tokens)
    assert_loss(found, vanilla.naive.losses(task.stream("valid")), 1e-12)
    assert (found.tokens, found.standard_error) == (1, 0.0)


@pytest.fixture(scope="module")
def long_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,277 validation tokens, so that three rows are each at least as long as their lead."""
    return write_splits(tmp_path_factory.mktemp("texts") / "long", valid=1278)


def scaled(scale: float) -> Callable[[UnrolledGraph], list[NDArray[Any]]]:
    return lambda graph: random_weights(graph, 5, scale)


@pytest.fixture(scope="module")
def mindful(long_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A cell that writes little, and forgets almost nothing in 500 steps."""

    def weights(graph: UnrolledGraph) -> list[NDArray[Any]]:
        values = random_weights(graph, 5)
        write, forget, *_ = np.split(weights_by_name(graph, values)["layer_0/b"], 4)
        write[:], forget[:] = -5.0, 9.0
        return values

    folder = tmp_path_factory.mktemp("runs") / "out"
    options = {"dtype": "float64", "initial_state": "learnt"}
    return trained_on(long_data, folder, LSTMCell(4), weights, **options)


@pytest.mark.parametrize(("batch_size", "num_steps"), [(2, 4), (5000, 9)])
def test_parallel_rows_have_a_lead_but_the_first(mindful: Trained, batch_size: int, num_steps: int) -> None:
    """As in a loop that starts from zero `lead` tokens before each row, even if that matters."""
    stream, evaluator = mindful.task.stream("valid"), mindful.model.evaluator
    layout = lay_out(len(stream.targets), batch_size, num_steps, 1, None)
    whole, rows = mindful.naive.losses(stream), []
    for start in range(0, len(whole), layout.length):
        early = max(0, start - layout.lead)
        piece = slice(early, start + layout.length)
        losses = mindful.naive.losses(Stream(stream.inputs[piece], stream.targets[piece]))
        rows.append(losses[start - early :])
    assert len(rows) == layout.rows > 1
    found = evaluator._measured(stacked_losses, stream, layout, min(num_steps, layout.length))
    expected = np.concatenate(rows)
    np.testing.assert_allclose(found.ravel()[: len(expected)], expected, rtol=0, atol=1e-12)
    assert (expected == whole)[: layout.length].all(), "the first row has a lead"
    assert np.abs(expected - whole).max() > 1e-3, "the lead makes no difference"
    assert_loss(evaluator(batch_size=batch_size, num_steps=num_steps), expected, 1e-12)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 3_000), st.integers(1, 700))
def test_rows_hold_every_token_once(length: int, batch_size: int, num_steps: int, period: int) -> None:
    length = math.ceil(length / period) * period  # a stream consists of whole examples
    layout = lay_out(length, batch_size, num_steps, period, None)
    assert layout.rows == layout.at_a_time <= batch_size
    assert (layout.rows - 1) * layout.length < length <= layout.rows * layout.length
    assert layout.length % period == 0
    width = min(num_steps, layout.length)
    assert layout.lead % width == 0
    if layout.rows == 1:
        assert layout.lead == 0
    else:
        assert layout.lead <= layout.length, "the second row would start before the text"
        assert layout.lead > min(LEAD, layout.length) - width, f"{layout.lead} tokens are read before a row"
        assert layout.length >= LEAD


@pytest.mark.parametrize(("context", "num_steps"), [(1, 50), (13, 3), (101, 3), (5000, 3)])
def test_the_state_is_reset_every_context_tokens(vanilla: Trained, context: int, num_steps: int) -> None:
    """Of 101 tokens: the last context of 13 is shorter, and 101 of 1 do not run in parallel at once."""
    losses = vanilla.naive.losses(vanilla.task.stream("valid"), context)
    found = vanilla.model.evaluator(context=context, num_steps=num_steps)
    assert_loss(found, losses, 1e-12, f"context {context}")


TASKS: dict[str, tuple[Task, Callable[[], Any], int]] = {
    "echo": (Echo(length=60, valid_length=53), lambda: VanillaCell(3), 53),
    "copy": (Copy(3, 2, 2, length=70, valid_length=77), lambda: VanillaCell(3), 77),
    "marked": (Memory(4, 3, length=60, valid_length=55), lambda: VanillaCell(4), 11),
    "real, marked": (Adding(7, length=63, valid_length=77), lambda: LSTMCell(3), 11),
}


@pytest.mark.parametrize("name", TASKS)
def test_other_tasks(name: str, tmp_path: Path) -> None:
    """Examples longer than one token, losses at some steps only, real inputs."""
    task, make_cell, tokens = TASKS[name]
    model = load(keep_narrow(tmp_path / "out", task, make_cell(), dtype="float64"))
    losses = NaiveNetwork(model).losses(task.stream("valid"))
    in_contexts = NaiveNetwork(model).losses(task.stream("valid"), 9)
    # Real values are float32 in the data, so exact in both.
    for found in (model.evaluator(num_steps=1), model.evaluator(num_steps=3, batch_size=4)):
        assert_loss(found, losses, 1e-12)
        assert found.tokens == tokens
    assert_loss(model.evaluator(num_steps=3, context=9), in_contexts, 1e-12, "in contexts")


def test_parallel_rows_of_whole_examples(tmp_path: Path) -> None:
    """1,106 tokens in three rows, with a cell that forgets."""
    task = Copy(3, 2, 2, length=70, valid_length=1106)
    model = load(keep_narrow(tmp_path / "out", task, VanillaCell(4), scaled(0.3), dtype="float64"))
    assert lay_out(1106, 9, 10, task.period, None).rows == 3
    losses = NaiveNetwork(model).losses(task.stream("valid"))
    assert_loss(model.evaluator(batch_size=9, num_steps=10), losses, 1e-12)


def test_a_task_without_inputs_and_without_data(tmp_path: Path) -> None:
    """S_t = A S_{t-1} + theta v; the first 200 tokens are a warm-up and do not count. It has two splits."""
    task = Influence(length=50, valid_length=251)
    options: dict[str, Any] = {"batch_size": 1, "dtype": "float64"}
    folder = keep_narrow(tmp_path / "out", task, InfluenceCell(), lambda _: [np.array(0.3)], **options)
    model = load(folder)
    assert model.weights == {"cell/theta": 0.3}, "a cell without layers"
    found = model.evaluator(num_steps=7)
    chain = (np.eye(23) + np.eye(23, k=1)) / 2
    signs = np.where(np.arange(23) < 10, 1.0, -1.0)
    state, losses = np.zeros(23), []
    for _ in range(251):
        state = chain @ state + 0.3 * signs
        losses.append((state[0] - 1) ** 2)
    assert_loss(found, np.array(losses[200:]), 1e-10)
    with pytest.raises(OptionError, match=r"^split must be one of train, valid; got 'test'$"):
        model.evaluator("test")
    with pytest.raises(OptionError, match=r"^data must be left out for the task influence, got 'a\.txt'$"):
        model.evaluator(data="a.txt")


def test_another_text_in_the_same_vocabulary(vanilla: Trained, tmp_path: Path) -> None:
    """A file instead of a directory; classes do not depend on the letters in it."""
    path = tmp_path / "other.txt"
    path.write_text(made_up_text(211, 9, "abc"), encoding="utf-8")
    whole = vanilla.task.encode(path.read_text(encoding="utf-8"))
    # Of 211 characters 5 % each, rounded, are held out.
    for split, indices in (("all", whole), ("valid", whole[-22:-11])):
        losses = vanilla.naive.losses(Stream(indices[:-1], indices[1:]))
        assert_loss(vanilla.model.evaluator(split, str(path), num_steps=3), losses, 1e-12, split)


def test_a_directory_instead_of_a_file_with_fractions_which_may_not_change(tmp_path: Path) -> None:
    path = tmp_path / "all.txt"
    path.write_text(made_up_text(400), encoding="utf-8")
    task = Text(path, valid_fraction=0.2, test_fraction=0.1)
    model = load(keep_narrow(tmp_path / "out", task, VanillaCell(3), dtype="float64"))
    naive = NaiveNetwork(model)
    before = model.evaluator(num_steps=3)
    assert_loss(before, naive.losses(task.stream("valid")), 1e-12)
    other = write_splits(tmp_path / "splits")
    losses = naive.losses(Text(other, vocabulary=task.vocabulary).stream("test"))
    assert_loss(model.evaluator("test", other, num_steps=3), losses, 1e-12)
    path.write_text(made_up_text(400, seed=1), encoding="utf-8")
    message = "data must be given: the text that the model was trained on has changed"
    with pytest.raises(OptionError, match=f"^{message}$"):
        model.evaluator()
    assert model.evaluator("valid", path, num_steps=3) != before


def test_unknown_characters_are_refused_unknown_words_become_unk(vanilla: Trained, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text(made_up_text(100) + "Q", encoding="utf-8")
    message = f"of the vocabulary, got 'Q' at position 100 of the file {str(path)!r}"
    with pytest.raises(OptionError, match=f"^data must hold only the 6 characters {re.escape(message)}$"):
        vanilla.model.evaluator("all", path)
    known, strange, as_unknown = (tmp_path / f"{name}.txt" for name in ("known", "strange", "as_unknown"))
    for text, line in ((known, "a b c a b a"), (strange, "a z b q a"), (as_unknown, "a <unk> b <unk> a")):
        text.write_text(f"{line}\n" * 30, encoding="utf-8")
    task = Words(known, vocabulary_size=4)
    model = load(keep_narrow(tmp_path / "out", task, VanillaCell(3), dtype="float64"))
    one, same = (model.evaluator("all", text, num_steps=3) for text in (strange, as_unknown))
    assert one == same


def test_a_diverged_network_is_evaluated_without_warnings(vanilla: Trained) -> None:
    """The losses are finite, their squares are not."""
    model = vanilla.model

    def open_session(graph: UnrolledGraph) -> Any:
        session = graph.session()
        shapes = [tuple(variable.shape) for variable in graph.variables]
        values = [np.linspace(-1e300, 1e300, math.prod(shape)).reshape(shape) for shape in shapes]
        assign(session, graph.variables, values)
        return session

    found = ModelEvaluator(model.graph, open_session, model.config["task"], model.tokens)(num_steps=3)
    assert 1e298 < found.loss < math.inf
    assert found.standard_error == math.inf
