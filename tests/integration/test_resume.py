"""A run that was stopped and resumed is the run that never stopped, to the last bit."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import math
import re
import shutil
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from helpers import assert_close
from model_helpers import spoil, train_epoch

from tf_rnn import cells
from tf_rnn.experiment import resume
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import saved_names
from tf_rnn.options import OPTIMIZERS, SCHEDULES, STYLES, OptionError
from tf_rnn.tasks import Adding, Copy, Echo, Influence, Stream, Text
from tf_rnn.training import Callback, Schedule, Truncation, loop, session_loop, train
from tf_rnn.training.resume_rules import BUDGET, MAY_CHANGE, require_same_run
from tf_rnn.training.run_folder import find_start, saved_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tf_rnn.tasks import Task
    from tf_rnn.training import CurvePoint, Progress, TrainingResult

ROWS = 3
UPDATES = 4


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Nothing is written for TensorBoard."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "TensorBoard", lambda *_: Callback())
        yield


def echo(row: int, **options: Any) -> Echo:
    """Rows of so many steps; two tokens stay over."""
    given: dict[str, Any] = {
        "lags": (1, 3),
        "effects": (0.3, -0.15),
        "length": ROWS * row + 2,
        "valid_length": 3,
    }
    return Echo(**(given | options))


class Case(NamedTuple):
    """What is trained, and how; `row` steps a row make about two updates an epoch."""

    cell: Callable[[], Any]
    row: int = 9
    graph: dict[str, Any] = {}  # noqa: RUF012
    options: dict[str, Any] = {}  # noqa: RUF012
    num_steps: int = 4

    @property
    def task(self) -> Echo:
        return echo(self.row)

    def make(self, num_steps: int | None = None, batch_size: int = ROWS, cell: Any = None) -> UnrolledGraph:
        given = {"seed": 7, "learning_rate": 0.1} | self.graph
        return UnrolledGraph(cell or self.cell(), num_steps or self.num_steps, batch_size, 2, 2, **given)


def stacked() -> Any:
    return cells.StackedCell([cells.VanillaCell(3), cells.VanillaCell(2)])


def truncation(style: str, **options: Any) -> dict[str, Any]:
    return {"truncation": Truncation(style, **options)}


STEP = {"schedule": Schedule("step", decay=0.5, decay_after=1)}
PLATEAU = {"schedule": Schedule("plateau", decay=0.3, warm_up_updates=4)}
WARM_UP = {"schedule": Schedule(warm_up_updates=4)}
COSINE = {"schedule": Schedule("cosine")}
RESET = {"state": "reset"}
DROPOUT = {"dropout": 0.3}

# Stopped by a smaller budget: every optimizer, cell, style and state.
CASES = {
    "block": Case(lambda: cells.LSTMCell(3), 9, {"optimizer": "adam", "clip_norm": 0.1} | DROPOUT, WARM_UP),
    "sliding": Case(
        lambda: cells.GRUCell(3),
        6,
        {"optimizer": "adagrad", "weight_decay": 0.5, "initial_state": "learnt"},
        truncation("sliding", stride=2) | RESET | STEP,
    ),
    "random": Case(
        lambda: cells.VanillaCell(5),
        4,
        {"optimizer": "adam", "embedding_size": 2},
        truncation("random", seed=6) | RESET,
        num_steps=2,
    ),
    "adaptive": Case(
        stacked, 6, {"optimizer": "rmsprop"} | DROPOUT, truncation("adaptive", tolerance=0.3) | PLATEAU
    ),
    "full": Case(
        lambda: cells.VanillaCell(5, layer_norm=True),
        4,
        {"optimizer": "sgd", "dtype": "float64"},
        truncation("full"),
    ),
}


@functools.cache
def graph_of(name: str) -> UnrolledGraph:
    """For all tests that need not make one themselves."""
    return CASES[name].make()


# Interrupted: what is spread over a budget must stay where it is.
INTERRUPTED = {
    "block": Case(lambda: cells.GRUCell(3), graph={"optimizer": "adam"} | DROPOUT, options=RESET | COSINE),
    "sliding": Case(
        lambda: cells.VanillaCell(5),
        5,
        {"optimizer": "momentum"} | DROPOUT,
        truncation("sliding", stride=1) | COSINE | {"evaluations": 3},
    ),
    "random": Case(
        lambda: cells.VanillaCell(5),
        5,
        {"optimizer": "rmsprop"} | DROPOUT,
        truncation("random", seed=5) | PLATEAU | {"evaluations": 3},
        num_steps=2,
    ),
    "adaptive": Case(
        lambda: cells.VanillaCell(5),
        6,
        {"optimizer": "sgd"},
        truncation("adaptive") | RESET | {"evaluations": 3},
    ),
    "growing": Case(
        lambda: cells.VanillaCell(5), 7, {"optimizer": "adam"} | DROPOUT, {"schedule_width": (1, 3, 4)}
    ),
}


# --- running, and comparing ----------------------------------------------------------------------


class Stop(Callback):
    """Records what there is after each update, and interrupts after some."""

    report_seconds = 0.0

    def __init__(self, graph: UnrolledGraph, session: Any, stops: Iterable[int] = ()) -> None:
        self._session, self._names, self._stops = session, saved_names(graph), set(stops)
        self.rates: dict[int, float] = {}
        self.variables: dict[int, dict[str, Any]] = {}

    def on_progress(self, progress: Progress) -> None:
        self.rates[progress.updates] = progress.learning_rate
        self.variables[progress.updates] = self._session.run(self._names)
        if progress.updates in self._stops:
            signal.raise_signal(signal.SIGINT)


class Ran(NamedTuple):
    """What a run gave, and what there was after each of its updates."""

    result: TrainingResult | None
    notes: Stop


def run(case: Case, graph: UnrolledGraph | None = None, stops: Iterable[int] = (), /, **options: Any) -> Ran:
    """In a session of its own with one thread; the result is None if the run was interrupted."""
    graph = graph or case.make()
    with graph.session(threads=1) as session:
        notes = Stop(graph, session, stops)
        given = case.options | {"session": session, "callbacks": [notes]} | options
        try:
            return Ran(train(graph, case.task, **given), notes)
        except KeyboardInterrupt:
            return Ran(None, notes)


def without_seconds(curve: Iterable[CurvePoint]) -> list[str]:
    """As text, in which a nan is equal to a nan and floats are exact."""
    return [str(point._replace(seconds=0.0)) for point in curve]


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) | {"seconds": 0} for line in lines]


def assert_same_variables(found: dict[str, Any], expected: dict[str, Any], what: str = "") -> None:
    """Weights and optimizer's memory."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert_close(found[name], value, 0, f"{what} {name}")


def assert_same_run(found: Ran, expected: Ran) -> None:
    assert found.result is not None
    assert expected.result is not None
    one, other = found.result, expected.result
    assert without_seconds(one.curve) == without_seconds(other.curve)
    assert (one.updates, one.tokens) == (other.updates, other.tokens)
    assert str(one.evaluation) == str(other.evaluation)
    assert type(one.final_state) is type(other.final_state)
    assert_close(one.final_state, other.final_state, 0, "final state")
    assert_close(list(one.weights.values()), list(other.weights.values()), 0, "weights")


def digests(folder: Path) -> dict[str, str]:
    """Every file's name and content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def checkpoint_names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


# --- stopped and resumed --------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_is_stopped_after_every_update_is_the_one_that_never_stopped(
    tmp_path: Path, name: str
) -> None:
    """Within an epoch and exactly at its end; what is restored is compared after every update."""
    case, graph = CASES[name], graph_of(name)
    whole = run(case, graph, updates=UPDATES, out=tmp_path / "whole")
    assert whole.result is not None
    assert sorted(whole.notes.variables) == list(range(1, UPDATES + 1))
    kept = {"out": tmp_path / "parts"}
    for updates in range(1, UPDATES + 1):
        part = run(case, graph, updates=updates, **kept)
        kept = {"resume": tmp_path / "parts"}
        assert list(part.notes.variables) == [updates]
        told = f"{part.notes.rates[updates]}, not {whole.notes.rates[updates]}"
        assert part.notes.rates[updates] == whole.notes.rates[updates], f"rate of update {updates}: {told}"
        expected = whole.notes.variables[updates]
        assert_same_variables(part.notes.variables[updates], expected, f"after update {updates}:")
    assert_same_run(part, whole)
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


@pytest.mark.parametrize("name", INTERRUPTED)
def test_a_run_that_is_interrupted_after_every_update_is_the_one_that_was_not(
    tmp_path: Path, name: str
) -> None:
    """Whole epochs, with evaluations and rates that depend on where in the budget the run is."""
    case = INTERRUPTED[name]
    graph = case.make()
    whole = run(case, graph, epochs=2, out=tmp_path / "whole")
    last = max(whole.notes.variables)
    kept: dict[str, Any] = {"out": tmp_path / "parts", "epochs": 2}
    for updates in range(1, last + 1):
        part = run(case, graph, range(1, last + 1), **kept)
        assert part.result is None
        kept = {"resume": tmp_path / "parts"}  # the budget is the one that it was begun with
        assert list(part.notes.rates.items()) == [(updates, whole.notes.rates[updates])]
        expected = whole.notes.variables[updates]
        assert_same_variables(part.notes.variables[updates], expected, f"after update {updates}:")
    assert_same_run(run(case, graph, **kept), whole)
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


def test_the_cases_cover_what_there_is() -> None:
    cases = [*CASES.values(), *INTERRUPTED.values()]
    options = [case.options for case in cases]
    assert {case.graph["optimizer"] for case in cases} == set(OPTIMIZERS)
    assert {option.get("truncation", Truncation()).style for option in options} == set(STYLES)
    assert {option.get("state", "carry") for option in options} == {"carry", "reset"}
    assert {option.get("schedule", Schedule()).name for option in options} == set(SCHEDULES)
    kinds = {cells.VanillaCell, cells.GRUCell, cells.LSTMCell, cells.StackedCell}
    assert {type(case.cell()) for case in cases} == kinds


def test_another_graph_resumes(tmp_path: Path) -> None:
    """In a `tf.Graph` of its own, made without the seed of the first, which was interrupted."""
    case, graph = CASES["block"], graph_of("block")
    whole = run(case, graph, epochs=2)
    assert run(case, graph, [3], epochs=2, out=tmp_path).result is None
    rest = run(case._replace(graph=case.graph | {"seed": None}), epochs=2, resume=tmp_path)
    assert_same_run(rest, whole)
    assert min(rest.notes.variables) == 4


@pytest.mark.parametrize("patience", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_patience_is_counted_over_a_stop(tmp_path: Path, patience: int) -> None:
    case = Case(lambda: cells.VanillaCell(5), 5, {"optimizer": "sgd", "learning_rate": 4.0})
    graph = case.make()
    whole = run(case, graph, epochs=12, patience=patience)
    assert whole.result is not None
    assert whole.result.updates < 12, "patience never came to its end"
    kept: dict[str, Any] = {"out": tmp_path}
    for stop in range(2, whole.result.updates + 1, 2):
        run(case, graph, [stop], epochs=12, patience=patience, **kept)
        kept = {"resume": tmp_path}
    assert_same_run(run(case, graph, epochs=12, patience=patience, **kept), whole)
    again = run(case, graph, epochs=12, patience=patience, resume=tmp_path)
    assert_same_run(again, whole)
    assert again.notes.variables == {}
    more = run(case, graph, epochs=12, patience=patience + 1, resume=tmp_path)
    assert_same_run(more, run(case, graph, epochs=12, patience=patience + 1))


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    case, graph = CASES["block"], graph_of("block")
    first = run(case, graph, epochs=1, out=tmp_path)
    assert_same_run(run(case, graph, resume=tmp_path), first)  # nothing is left to be done
    other = run(case, case.make(batch_size=2), epochs=1, resume=tmp_path).result
    assert first.result is not None
    assert other is not None
    assert without_seconds(other.curve) == without_seconds(first.result.curve)
    longer = run(case, graph, epochs=3, resume=tmp_path)
    assert_same_run(longer, run(case, graph, epochs=3))
    assert_same_run(run(case, graph, epochs=2, resume=tmp_path), longer)


def test_a_run_that_ended_within_an_epoch_has_an_evaluation_that_a_longer_one_has_not(
    tmp_path: Path,
) -> None:
    case, graph = CASES["block"], graph_of("block")
    first = run(case, graph, updates=3, out=tmp_path)
    assert first.result is not None
    assert [point.updates for point in first.result.curve] == [0, 2, 3]
    assert metrics(tmp_path) == [
        {
            "epoch": point.epoch,
            "step": point.updates,
            "tokens": point.tokens,
            "train_loss": point.train_loss,
            "valid_loss": point.valid_loss,
            "perplexity": math.exp(point.valid_loss),
            "seconds": 0,
        }
        for point in first.result.curve[1:]
    ]
    assert_same_run(run(case, graph, updates=3, resume=tmp_path), first)
    longer = run(case, graph, tokens=ROWS * 4 * 5, resume=tmp_path)  # in other units
    assert_same_run(longer, run(case, graph, updates=5))
    assert [line["step"] for line in metrics(tmp_path)] == [2, 4, 5]


@pytest.mark.parametrize("name", ["adding", "influence"])
def test_other_kinds_of_tasks_are_resumed(tmp_path: Path, name: str) -> None:
    """Real inputs with losses at marked steps; no inputs at all, losses at the last step, no readout."""
    task: Task = Influence(length=13, valid_length=201)
    cell: Any = cells.InfluenceCell(5, 2)
    options: dict[str, Any] = {
        "input_kind": "none",
        "readout": "none",
        "loss_steps": "last",
        "learning_rate": 1e-3,
    }
    if name == "adding":
        task, cell = Adding(span=4, length=30, valid_length=4), cells.GRUCell(3)
        options = {"input_kind": "real", "loss_steps": "marked", "optimizer": "adam"}
    graph = UnrolledGraph(
        cell, 4, 1, task.input_size, task.num_classes, loss="squared_error", seed=1, **options
    )

    def trained(updates: int, **kept: Any) -> TrainingResult:
        with graph.session(threads=1) as session:
            return train(graph, task, updates=updates, session=session, callbacks=(), **kept)

    whole = trained(5)
    kept = {"out": tmp_path}
    for updates in (2, 3, 5):
        part = trained(updates, **kept)
        kept = {"resume": tmp_path}
    assert without_seconds(part.curve) == without_seconds(whole.curve)
    assert_close(part.final_state, whole.final_state, 0, "final state")
    assert_close(list(part.weights.values()), list(whole.weights.values()), 0, "weights")


# --- with other sizes ----------------------------------------------------------------------------

RESIZED = Case(lambda: cells.VanillaCell(5), 13, {"optimizer": "adam"})


@functools.cache
def resized(num_steps: int = 4) -> UnrolledGraph:
    """On one cell, at several widths."""
    return RESIZED.make(num_steps, cell=RESIZED.cell() if num_steps == 4 else resized().cell)


def read(
    graph: UnrolledGraph, session: Any, rows: Any, start: int, state: Any, *, resets: bool = False
) -> Any:
    """The loop of the notes over the blocks of some rows from a step on; returns the last state."""
    width = graph.num_steps
    for place in range(start, rows.targets.shape[1] - width + 1, width):
        inputs, targets = (part[:, place : place + width] for part in rows)
        feed = graph.feed(inputs, targets, graph.zero_state() if resets else state)
        state, _ = session.run([graph.final_state, graph.train_step], feed)
    return state


@pytest.mark.parametrize(
    ("state", "stop", "start", "num_steps"),
    [
        ("reset", 1, 4, 3),
        ("carry", 2, 8, 6),  # the rest of the row is shorter than a block
        pytest.param("carry", 3, 12, 1, marks=pytest.mark.slow),
        ("carry", 4, 4, 7),  # in the second epoch
    ],
)
def test_another_width_continues_at_the_same_step_with_the_same_state(
    tmp_path: Path, state: str, stop: int, start: int, num_steps: int
) -> None:
    case, graph, other = RESIZED._replace(options={"state": state}), resized(), resized(num_steps)
    run(case, graph, updates=stop, out=tmp_path)
    found = run(case, other, epochs=2, resume=tmp_path)
    assert found.result is not None
    with graph.session(threads=1) as session:
        *_, last = itertools.islice(session_loop(graph, case.task, session, state), stop)
        current = last.final_state
        for epoch in range(last.epoch - 1, 2):
            rows = case.task.rows(ROWS, epoch=epoch)
            current = read(other, session, rows, start, current, resets=state == "reset")
            start, current = 0, other.zero_state()
        expected = session.run(saved_names(graph))
        weights = session.run(list(graph.variables))
    assert_close(list(found.result.weights.values()), weights, 0, "weights")
    assert_same_variables(found.notes.variables[found.result.updates], expected)
    assert [point.epoch for point in found.result.curve] == [0, 1, 2]


def test_a_run_whose_width_has_changed_is_resumed_at_the_second_width(tmp_path: Path) -> None:
    case = CASES["block"]
    wide, narrow = graph_of("block"), case.make(3)
    for folder in ("once", "twice"):
        run(case, wide, updates=1, out=tmp_path / folder)
    whole = run(case, narrow, updates=4, resume=tmp_path / "once")
    for updates in (2, 3, 4):
        part = run(case, narrow, updates=updates, resume=tmp_path / "twice")
    assert_same_run(part, whole)
    assert metrics(tmp_path / "twice") == metrics(tmp_path / "once")


class Rest(Echo):
    """The end of the rows, as if they began there."""

    def rows(self, *arguments: Any) -> Stream:
        return Stream(*(part[:, 4:] for part in super().rows(*arguments)))


@pytest.mark.parametrize("style", ["sliding", "adaptive"])
def test_another_style_continues_as_over_a_row_that_begins_there(tmp_path: Path, style: str) -> None:
    case = RESIZED._replace(row=11, options=truncation(style, stride=2))
    graph, other = resized(), resized(3)
    run(case, graph, updates=2, out=tmp_path)
    found = run(case, other, epochs=1, resume=tmp_path)
    assert found.result is not None
    with graph.session(threads=1) as session:
        how = case.options["truncation"]
        _, state, position = train_epoch(graph, case.task, session, how, most=2)
        assert position.start == 4
        rest, *_ = train_epoch(other, Rest(**case.task.options()), session, how, state=state)
        weights = session.run(list(graph.variables))
    assert found.result.updates == 2 + rest > 3
    assert_close(list(found.result.weights.values()), weights, 0, "weights")


def test_another_batch_size_restarts_the_epoch_and_keeps_the_rest(tmp_path: Path) -> None:
    case = Case(lambda: cells.LSTMCell(3), 13, {"optimizer": "adam"})
    cell = case.cell()
    graph, other = case.make(cell=cell), case.make(num_steps=5, batch_size=2, cell=cell)
    run(case, graph, updates=5, out=tmp_path)
    found = run(case, other, epochs=3, resume=tmp_path)
    assert found.result is not None
    with graph.session(threads=1) as session:
        updates = session_loop(graph, case.task, session)
        assert [update.epoch for update in itertools.islice(updates, 5)] == [1, 1, 1, 2, 2]
        for epoch in (1, 2):
            last = read(other, session, case.task.rows(2, epoch=epoch), 0, other.zero_state())
        expected = session.run(list(graph.variables))
        memory = session.run(saved_names(graph))
    assert_close(list(found.result.weights.values()), expected, 0, "weights")
    assert_same_variables(found.notes.variables[max(found.notes.variables)], memory)
    assert_close(found.result.final_state, last, 0, "final state")
    blocks = 20 // 5
    assert found.result.tokens == 5 * 4 * 3 + 2 * blocks * 5 * 2
    assert [(point.epoch, point.updates) for point in found.result.curve] == [
        (0, 0), (1, 3), (2, 5 + blocks), (3, 5 + 2 * blocks),
    ]  # fmt: skip


# --- what must stay ------------------------------------------------------------------------------

KEPT = Case(
    lambda: cells.VanillaCell(5),
    graph={"optimizer": "adam", "clip_norm": 0.5, "embedding_size": 4} | DROPOUT,
    options={
        "schedule": Schedule("step", decay=0.5, decay_after=2),
        "truncation": Truncation("sliding", stride=1),
        "evaluations": 2,
    },
    num_steps=2,
)


@functools.cache
def kept_graph() -> UnrolledGraph:
    return KEPT.make()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped."""
    folder = tmp_path_factory.mktemp("runs") / "kept"
    assert run(KEPT, kept_graph(), updates=2, out=folder).result is not None
    return folder


def refusal(option: str, before: Any, after: Any, folder: Path) -> str:
    words = f"{option} must stay {before!r} to resume the run in {str(folder)!r}, got {after!r}"
    return f"^{re.escape(words)}$"


def places(value: Any, place: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The places of all leaves of a configuration."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [at for name, part in parts for at in places(part, (*place, str(name)))]
    return inner if isinstance(value, dict) or (inner and isinstance(value[0], dict)) else [place]


def with_other(value: Any, place: tuple[str, ...]) -> Any:
    """The same configuration with another value at a place."""
    if not place:
        return "other"
    name: Any = int(place[0]) if isinstance(value, list) else place[0]
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[name] = with_other(copy.get(name) if isinstance(copy, dict) else copy[name], place[1:])
    return copy


def test_everything_must_stay_but_what_may_change(kept: Path) -> None:
    """Every option of the configuration one by one; nested options are named by their last name."""
    config = saved_config(kept)
    all_places = places(config)
    may_change = [place for place in all_places if place in MAY_CHANGE or place[:2] == BUDGET]
    assert {("graph", "num_steps"), ("training", "patience"), ("graph", "seed")} < set(may_change)
    for place in may_change:
        require_same_run(kept, config, with_other(config, place))
    names = {("task", "name"): "task", ("training", "schedule", "name"): "schedule"}
    must_stay = set(all_places) - set(may_change)
    assert {("cell", "0", "state_size"), ("task", "options", "seed")} < must_stay
    for place in must_stay | {("training", "new"), ("graph", "new")}:
        with pytest.raises(OptionError) as caught:
            require_same_run(kept, config, with_other(config, place))
        assert caught.value.option == names.get(place, place[-1]), place
        assert str(caught.value).endswith(f" to resume the run in {str(kept)!r}, got 'other'")
    after = config | {"task": config["task"] | {"fit": {"step": "1 hour", "scales": 3}}}
    before = config | {"task": config["task"] | {"fit": {"scales": 3}}}
    require_same_run(kept, before, after)  # a run of an earlier version
    layers = config | {"cell": [*config["cell"], *config["cell"]]}
    with pytest.raises(OptionError, match=r"^cell must stay None to resume"):
        require_same_run(kept, config, layers)


class Twin(Echo):
    """A task with the options of another."""

    name = "twin"


def test_a_run_that_must_not_be_resumed_is_not_touched(kept: Path) -> None:
    there = digests(kept)
    sgd = KEPT._replace(graph=KEPT.graph | {"optimizer": "sgd"}).make()
    cases: dict[str, tuple[UnrolledGraph, Task, dict[str, Any]]] = {
        refusal("optimizer", "adam", "sgd", kept): (sgd, KEPT.task, {}),
        refusal("state", "carry", "reset", kept): (kept_graph(), KEPT.task, RESET),
        refusal("task", "echo", "twin", kept): (kept_graph(), Twin(**KEPT.task.options()), {}),
        "^input_size must be 10 for the task copy, the graph has 2$": (kept_graph(), Copy(), {}),
    }
    for message, (graph, task, more) in cases.items():
        with pytest.raises(OptionError, match=message):
            train(graph, task, updates=4, resume=kept, callbacks=(), **KEPT.options | more)
    assert digests(kept) == there


def test_a_schedule_over_the_whole_budget_keeps_it(tmp_path: Path) -> None:
    case = CASES["block"]._replace(options=COSINE)
    graph = graph_of("block")
    run(case, graph, [2], epochs=2, out=tmp_path)
    there = digests(tmp_path)
    for budget, before, after in (({"epochs": 3}, 2.0, 3.0), ({"updates": 6}, "epochs", "updates")):
        with pytest.raises(OptionError, match=refusal("budget", before, after, tmp_path)):
            run(case, graph, resume=tmp_path, **budget)
    assert digests(tmp_path) == there
    assert_same_run(run(case, graph, epochs=2, resume=tmp_path), run(case, graph, epochs=2))


# --- folders -------------------------------------------------------------------------------------


def test_a_new_run_needs_a_folder_without_results(kept: Path, tmp_path: Path) -> None:
    there = digests(kept)
    for name in ("config.json", "checkpoints"):
        (tmp_path / name / name).mkdir(parents=True)
    for folder in (kept, tmp_path / "config.json", tmp_path / "checkpoints"):
        message = f"out must be a new folder, {str(folder)!r} holds results already"
        if folder.name == "checkpoints":  # a folder is a run's only by its own config.json
            message = "out must be a new folder, an empty one, or one with results of this package, got "
        with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
            run(KEPT, kept_graph(), updates=4, out=folder)
    assert digests(kept) == there


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    names = ["", "none", "file", "empty"]
    for config in (b"", b"{", b"[]", b"{}", b'{"a": NaN}', b'{"task": "echo"}', b"\xff"):
        names.append(f"config {len(names)}")
        (tmp_path / names[-1]).mkdir()
        (tmp_path / names[-1] / "config.json").write_bytes(config)
    there = digests(tmp_path)
    for name, budget in itertools.product(names, ({}, {"updates": 3})):
        with pytest.raises(OptionError, match=r"^resume must "):
            run(KEPT, kept_graph(), resume=tmp_path / name, **budget)
    with pytest.raises(OptionError, match=r"^out and resume must not be given together; give one of them$"):
        run(KEPT, kept_graph(), out=tmp_path / "new", resume=kept)
    assert digests(tmp_path) == there


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_from_the_beginning(
    tmp_path: Path, kept: Path
) -> None:
    """With the same options."""
    (tmp_path / "config.json").write_bytes((kept / "config.json").read_bytes())
    with pytest.raises(OptionError, match=refusal("state", "carry", "reset", tmp_path)):
        run(KEPT, kept_graph(), resume=tmp_path, updates=2, state="reset")
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    found = run(KEPT, kept_graph(), resume=tmp_path)
    assert_same_run(found, run(KEPT, kept_graph(), updates=2))
    assert metrics(tmp_path) == metrics(kept)
    assert checkpoint_names(tmp_path) != []


def test_a_damaged_checkpoint_is_passed_over_and_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The updates since the one before are made again, to the same end; without any nothing is begun."""
    case, graph = CASES["block"], graph_of("block")
    run(case, graph, updates=3, out=tmp_path)
    names = checkpoint_names(tmp_path)
    spoil(tmp_path / "checkpoints" / names[-1])
    capsys.readouterr()
    for updates in (4, 5):
        assert_same_run(run(case, graph, resume=tmp_path, updates=updates), run(case, graph, updates=updates))
        line = f"{names[-1]} is damaged (the checksum of names.npy is wrong); the one before it is used\n"
        assert capsys.readouterr() == ("", line if updates == 4 else "")
    for name in checkpoint_names(tmp_path):
        spoil(tmp_path / "checkpoints" / name)
    there = digests(tmp_path)
    message = f"resume must have an undamaged checkpoint, {str(tmp_path)!r} has none"
    for budget in ({}, {"updates": 5}):
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            run(case, graph, resume=tmp_path, **budget)
    assert digests(tmp_path) == there


def test_the_configuration_says_all_that_the_run_was_made_of(kept: Path) -> None:
    config = json.loads((kept / "config.json").read_text(encoding="utf-8"))
    assert list(config) == ["cell", "graph", "task", "training"]
    assert config["cell"] == [{"cell": "vanilla"} | KEPT.cell().options()]
    assert config["graph"] == dataclasses.asdict(kept_graph().options)
    assert config["task"] == {"name": "echo", "options": json.loads(json.dumps(KEPT.task.options()))}
    assert config["training"] == {
        "budget": {"kind": "updates", "amount": 2},
        "state": "carry",
        "evaluations": 2,
        "truncation": {"style": "sliding", "stride": 1, "tolerance": 0.1, "seed": 0},
        "schedule": {"name": "step", "decay": 0.5, "decay_after": 2, "warm_up_updates": 0},
        "schedule_width": None,
        "patience": None,
        "seed": 0,
    }


# --- from the folder alone -------------------------------------------------------------------------


def test_resume_needs_nothing_but_the_folder(tmp_path: Path) -> None:
    case, graph = CASES["adaptive"], graph_of("adaptive")
    whole = run(case, graph, updates=5)
    run(case, graph, updates=3, out=tmp_path)
    calls: list[dict[str, Any]] = [{"updates": 5}, {}]  # the second time nothing is left to do
    for options in calls:
        rest = resume(tmp_path, threads=1, callbacks=(), **options)
        assert_same_run(Ran(rest.result, whole.notes), whole)


def test_resume_changes_what_may_change(tmp_path: Path) -> None:
    """As `train` with another graph does."""
    case = Case(lambda: cells.VanillaCell(5), 13, {"optimizer": "sgd"})
    run(case, updates=2, out=tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    graph_options: dict[str, Any] = {"learning_rate": 0.5, "clip_norm": 0.25, "recompute": 2}
    graph_options["precision"] = "mixed_bfloat16"
    changes: dict[str, Any] = {"num_steps": 3, "batch_size": 2} | graph_options
    graph = UnrolledGraph(case.cell(), 3, 2, 2, 2, **case.graph | graph_options)
    expected = run(case, graph, epochs=2, patience=3, resume=tmp_path / "one")
    found = resume(tmp_path / "other", epochs=2, patience=3, threads=1, callbacks=(), **changes)
    assert_same_run(Ran(found.result, expected.notes), expected)
    config = saved_config(tmp_path / "other")
    assert {name: config["graph"][name] for name in changes} == changes
    assert config["training"]["patience"] == 3


def test_a_text_may_be_moved_but_not_changed(tmp_path: Path) -> None:
    """And the run keeps its vocabulary."""
    path, folder = tmp_path / "cats.txt", tmp_path / "run"
    path.write_text("a cat sat on a mat — é. " * 9, encoding="utf-8")
    task = Text(path)
    graph = UnrolledGraph(cells.VanillaCell(3), 4, ROWS, task.input_size, task.num_classes, seed=1)

    def trained(task: Task, **kept: Any) -> TrainingResult:
        with graph.session(threads=1) as session:
            return train(graph, task, session=session, callbacks=(), **kept)

    whole = trained(task, updates=5)
    trained(task, updates=2, out=folder)
    start = find_start(folder)
    assert start is not None
    assert start.state.vocabulary == task.vocabulary
    elsewhere = path.rename(tmp_path / "dogs.txt")
    assert resume(folder, updates=3, data=elsewhere, threads=1, callbacks=()).result.updates == 3
    rest = trained(Text(elsewhere), updates=5, resume=folder)
    assert_close(list(rest.weights.values()), list(whole.weights.values()), 0, "weights")
    elsewhere.write_text("a mat sat on a cat — é. " * 9, encoding="utf-8")
    with pytest.raises(OptionError, match=r"^data must be those that the run was started with"):
        resume(folder, updates=6, data=elsewhere)
    other = Text(elsewhere)
    with pytest.raises(OptionError, match=refusal("data", task.sha256, other.sha256, folder)):
        trained(other, updates=6, resume=folder)


def test_a_task_of_ones_own_must_be_given(tmp_path: Path) -> None:
    twin = Twin(**CASES["block"].task.options())
    train(graph_of("block"), twin, updates=2, out=tmp_path, callbacks=())
    with pytest.raises(OptionError, match=r"^task must be given to resume a run of a task of your own"):
        resume(tmp_path, updates=3)
    assert resume(tmp_path, updates=3, task=twin, callbacks=()).result.updates == 3
