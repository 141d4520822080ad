"""Whatever is given to the Python API: it is taken, or OptionError names the option and what is allowed."""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import fractions
import functools
import inspect
import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_helpers import keep_run, made_up_text

from tf_rnn import cells, tasks
from tf_rnn._tensorflow import tf
from tf_rnn.cells import VanillaCell
from tf_rnn.comparison import Comparison
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.inference import load
from tf_rnn.options import BUDGETS, GraphOptions, OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Echo, Text
from tf_rnn.training import Budget, Schedule, Truncation, train
from tf_rnn.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from tf_rnn.inference import Model

STRANGE: tuple[Any, ...] = (
    *(math.nan, math.inf, -math.inf, 1e308, 1e-320, 0.5, -0.0, 2.0),
    *(0, -1, 3, 2**31, 2**63, 10**30, 10**400, -(10**5000)),
    *(True, False, None, 1j, decimal.Decimal("0.5"), fractions.Fraction(1, 2), fractions.Fraction(3)),
    *(np.int64(3), np.uint8(3), np.float32(0.5), np.float64("nan"), np.bool_(True), np.str_("sgd")),
    *(np.array(3), np.array([3]), np.array([1.5, 2]), np.zeros((2, 0)), np.array(["a"]), np.array([None])),
    *("", "x", "3", "nan", "\0", "\ud800", "all", "sqrt", b"3", bytearray(b"3")),
    *([], [3], [[1], [2, 3]], (), (3, 8), {}, {"a": 3}, {3}, range(3), object(), int, len, iter("abc")),
)
VALUES = st.sampled_from(STRANGE) | st.integers() | st.floats() | st.text(max_size=5)

SIZES = {"length": 600, "valid_length": 300}
BLOCK: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}
OF_COMPARISON = {"num_steps": (4,), "state": ("carry",), "seeds": 1, "budget": "tokens", "amount": 9}
# What is made, and what it is good with; each option that its signature tells is tried.
MAKERS: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    **{name: (kind, {"state_size": 3}) for name, kind in cells.CELLS.items()},
    **{
        name: (kind, SIZES)
        for name, kind in tasks.TASKS.items()
        if "length" in inspect.signature(kind).parameters
    },
    "budget": (Budget, {"kind": "epochs", "amount": 1}),
    "schedule": (Schedule, {}),
    "truncation": (Truncation, {}),
    "graph options": (GraphOptions, BLOCK),
    "setup": (Setup, {"task": "echo"}),
    "comparison": (Comparison, {"setup": Setup(task="echo"), **OF_COMPARISON}),
}


# What an option is called elsewhere, and so in errors.
CALLED = {"kind": ("budget",), "amount": BUDGETS, "name": ("schedule",)}


def taken_or_told(
    make: Callable[..., Any], good: Mapping[str, Any], data: st.DataObject, names: Collection[str]
) -> Any:
    """Makes something with one or two strange values: what comes of it, or None where that is told."""
    chosen = data.draw(st.lists(st.sampled_from(sorted(names)), min_size=1, max_size=2, unique=True))
    strange = {name: data.draw(VALUES, name) for name in chosen}
    try:
        return make(**{**good, **strange})
    except OptionError as error:
        told = error
    called = {*names, *itertools.chain(*(CALLED.get(name, ()) for name in names))}
    assert called >= set(told.option.split(" and ")), f"{told.option} is none of {called}: {told}"
    assert re.match("must |could not be ", told.problem), told
    assert "\n" not in str(told), told
    assert len(str(told)) < 1000, told
    return None


def options_of(make: Callable[..., Any], *but: str) -> list[str]:
    return [name for name in inspect.signature(make).parameters if name not in but]


def search_maker(name: str, profile: settings) -> None:
    make, good = MAKERS[name]

    @settings(profile)
    @given(st.data())
    def is_taken_or_told(data: st.DataObject) -> None:
        made = taken_or_told(make, good, data, options_of(make))
        if isinstance(made, tasks.Task | cells.Cell):
            assert make(**json.loads(json.dumps(made.options()))).options() == made.options()

    is_taken_or_told()


@pytest.mark.parametrize("name", MAKERS)
def test_options_are_taken_or_told(name: str) -> None:
    search_maker(name, settings(max_examples=25))


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_many_options_are_taken_or_told(name: str) -> None:
    search_maker(name, settings(settings.get_profile("wide"), max_examples=120))


# --- texts and trained models --------------------------------------------------------------------


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(made_up_text(400), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(text: Path) -> Model:
    return load(keep_run(text.parent / "run", Text(text, 0.2, 0.2), VanillaCell(3)))


@pytest.mark.parametrize("kind", [tasks.Text, tasks.Words])
@given(data=st.data())
def test_texts_are_read_or_told(kind: type[tasks.Language], text: Path, data: st.DataObject) -> None:
    taken_or_told(kind, {"data": text, "valid_fraction": 0.2, "test_fraction": 0.2}, data, options_of(kind))


@given(data=st.data())
def test_runs_are_loaded_or_told(model: Model, text: Path, data: st.DataObject) -> None:
    taken_or_told(load, {"folder": text.parent / "run"}, data, options_of(load))


@settings(max_examples=50)
@given(data=st.data())
def test_samples_are_written_or_told(model: Model, data: st.DataObject) -> None:
    pieces = taken_or_told(model.sample, {"length": 2, "seed": 1}, data, options_of(model.sample))
    if pieces is not None:
        assert all(isinstance(piece, str) for piece in itertools.islice(pieces, 5))


@given(data=st.data())
def test_losses_are_measured_or_told(model: Model, text: Path, data: st.DataObject) -> None:
    names = options_of(model.evaluator.__call__)
    found = taken_or_told(model.evaluator, {"split": "test", "data": text}, data, names)
    assert found is None or math.isfinite(found.loss)


@given(x=VALUES)
def test_steps_are_taken_or_told(model: Model, x: Any) -> None:
    try:
        found = model.stepper.step(x)
    except OptionError as error:
        assert error.option == "x", error  # noqa: PT017 (there need not be one)
    else:
        assert np.isfinite(found).all()


# --- graphs and training -------------------------------------------------------------------------


@settings(max_examples=15)
@given(data=st.data())
@pytest.mark.parametrize("kind", [UnrolledGraph, StepGraph])
def test_graphs_are_made_or_told(kind: Callable[..., Any], data: st.DataObject) -> None:
    of_graph = [field.name for field in dataclasses.fields(GraphOptions)]
    names: Collection[str] = of_graph if kind is UnrolledGraph else set(of_graph) - {"num_steps"}
    good = {name: BLOCK[name] for name in BLOCK if name in names}
    with tf.Graph().as_default():
        taken_or_told(functools.partial(kind, VanillaCell(3)), good, data, names)


@pytest.mark.parametrize("input_kind", ["classes", "real"])
@given(data=st.data())
def test_blocks_are_fed_or_told(fed_graphs: Mapping[str, Any], input_kind: str, data: st.DataObject) -> None:
    """What is fed has the shape and a kind of numbers that a session takes."""
    graph, session = fed_graphs[input_kind]
    shape = (3, 4) if input_kind == "classes" else (3, 4, 5)
    good = {"inputs": np.zeros(shape, int), "targets": np.zeros((3, 4), int), "state": graph.zero_state()}

    def strange(name: str) -> Any:
        dtype = data.draw(
            st.sampled_from(["?", "i1", "i8", "u8", "f2", "f8", "c16", "U1", "S1", "O", "M8[s]"])
        )
        block = np.zeros(np.shape(good[name]) if name != "state" else (3, 3), dtype)
        with contextlib.suppress(Exception):
            block.flat[-1] = data.draw(VALUES)
        return data.draw(st.sampled_from([block, block.tolist(), block[:1], (block,), [block], {"a": block}]))

    name = data.draw(st.sampled_from(sorted(good)))
    try:
        fed = graph.feed(**(good | {name: data.draw(VALUES | st.builds(strange, st.just(name)))}))
    except OptionError as error:
        assert error.option == name, error  # noqa: PT017 (there need not be one)
        return
    with contextlib.suppress(tf.errors.InvalidArgumentError):  # a class that there is not
        session.run(graph.total_loss, fed)


@pytest.fixture(scope="module")
def fed_graphs() -> dict[str, Any]:
    graphs = {}
    for kind in ("classes", "real"):
        with tf.Graph().as_default():
            graph = UnrolledGraph(VanillaCell(3), **BLOCK, input_kind=kind)
            graphs[kind] = (graph, graph.session())
    return graphs


@settings(max_examples=20)
@given(data=st.data())
def test_training_is_done_or_told(trained: tuple[Any, Any, Any], data: st.DataObject) -> None:
    graph, task, session = trained
    names = options_of(train, "graph", "task", "session", "callbacks", "out", "worker")

    def train_a_little(**options: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Stopwatch, "is_spent", property(lambda watch: watch._history.updates >= 2))
            return train(graph, task, session=session, callbacks=(), **options)

    found = taken_or_told(train_a_little, {}, data, names)
    assert found is None or found.updates > 0


@pytest.fixture(scope="module")
def trained() -> tuple[Any, Any, Any]:
    task = Echo(length=600, valid_length=300)
    with tf.Graph().as_default():
        graph = UnrolledGraph(VanillaCell(3), num_steps=4, batch_size=3, input_size=2, num_classes=2)
    return graph, task, graph.session()
