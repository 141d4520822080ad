"""The harness that measures tf_rnn beside other libraries: what it counts, checks, says and writes."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks import compare_libraries, cores, growth, overhead
from benchmarks.side_by_side import race as racing
from benchmarks.side_by_side.configurations import CONFIGURATIONS, Configuration, growth_configuration
from benchmarks.side_by_side.equality import TOLERANCE, inequality, largest_difference
from benchmarks.side_by_side.floor import floor_milliseconds, training_operations
from benchmarks.side_by_side.growth_report import growth_report, growth_table, verdicts, write_growth
from benchmarks.side_by_side.machine import Machine, this_machine
from benchmarks.side_by_side.peers import FAMILIES, PEERS, REFERENCE, Peer
from benchmarks.side_by_side.problem import BLOCKS, make_problem
from benchmarks.side_by_side.processes import PeerError, Process
from benchmarks.side_by_side.report import report, write_results
from benchmarks.side_by_side.results import FAILED, MEASURED, SKIPPED, UNEQUAL, Measured, Measurement
from benchmarks.side_by_side.tables import configuration_table, notes, summary_table
from benchmarks.side_by_side.widths import Growth, Point
from benchmarks.side_by_side.worker import CHECKED_STEPS, serve_peer

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
MACHINE = Machine("Some Processor", 2, 8_000_000_000, "3.11.7", "Linux", {"tensorflow": "2.21.0"})

TINY = Configuration(
    name="T",
    title="tiny",
    cell="lstm",
    num_layers=2,
    state_size=4,
    num_classes=7,
    batch_size=5,
    num_steps=3,
    optimizer="adam",
    learning_rate=0.01,
    steps=2,
)


def peer(family: str, **changes: Any) -> Peer:
    return next(one for one in PEERS if one.family == family)._replace(**changes)


# What is trained


def test_the_configurations_are_those_of_the_measurements_that_set_the_targets() -> None:
    def sizes(one: Configuration) -> tuple[Any, ...]:
        return (one.cell, one.num_layers, one.state_size, one.num_classes, one.batch_size, one.num_steps)

    assert {name: sizes(one) for name, one in CONFIGURATIONS.items()} == {
        "A": ("lstm", 2, 200, 10_000, 20, 20),
        "B": ("lstm", 2, 256, 65, 50, 50),
        "C": ("vanilla", 1, 16, 2, 200, 10),
        "D": ("lstm", 2, 256, 65, 50, 200),
        "E": ("lstm", 1, 1024, 1000, 64, 35),
        "F": ("gru", 2, 256, 65, 50, 50),
        "M": ("lstm", 2, 650, 10_000, 20, 35),
    }
    assert {name: (one.optimizer, one.clip_norm) for name, one in CONFIGURATIONS.items()} == {
        "A": ("sgd", 5.0),
        "B": ("adam", None),
        "C": ("adagrad", None),
        "D": ("adam", None),
        "E": ("sgd", 5.0),
        "F": ("adam", None),
        "M": ("sgd", 5.0),
    }
    assert all(name == one.name for name, one in CONFIGURATIONS.items())
    assert [one.num_steps for one in map(growth_configuration, (1, 1000))] == [1, 1000]
    assert growth_configuration(7).state_size == 128


@pytest.mark.parametrize(("name", "milliseconds"), [("A", 12.7), ("B", 32.0), ("D", 128.0), ("E", 253.0)])
def test_the_floor_at_500_gflops_is_what_was_computed_by_hand(name: str, milliseconds: float) -> None:
    assert floor_milliseconds(CONFIGURATIONS[name], 500e9) == pytest.approx(milliseconds, rel=0.005)


@pytest.mark.parametrize(("cell", "gates"), [("vanilla", 1), ("gru", 3), ("lstm", 4)])
def test_operations_are_those_of_the_products_counted_one_by_one(cell: str, gates: int) -> None:
    one = dataclasses.replace(TINY, cell=cell)
    rows, d, classes = 5 * 3, 4, 7
    products = [
        (rows, d, gates * d),  # embedded inputs of the lower layer
        (rows, d, gates * d),  # its state
        (rows, d, gates * d),  # what the upper layer reads
        (rows, d, gates * d),  # its state
        (rows, d, classes),  # readout
    ]
    forward = sum(2 * m * k * n for m, k, n in products)
    assert training_operations(one) == 3 * forward
    assert training_operations(dataclasses.replace(one, is_embedded=False)) == 3 * (
        forward - 2 * rows * d * gates * d
    )


@pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
@pytest.mark.parametrize("is_embedded", [True, False])
def test_a_problem_is_the_same_whenever_it_is_made(cell: str, is_embedded: bool) -> None:
    configuration = dataclasses.replace(TINY, cell=cell, is_embedded=is_embedded)
    one, other = make_problem(configuration), make_problem(configuration)
    assert (one.weights.embedding is not None) == is_embedded
    for mine, others in zip(one.weights.layers, other.weights.layers, strict=True):
        np.testing.assert_array_equal(mine.recurrent_kernel, others.recurrent_kernel)
        assert (mine.candidate_bias is not None) == (cell == "gru")
    assert len(one.blocks) == BLOCKS
    for block, other_block in zip(one.blocks, other.blocks, strict=True):
        np.testing.assert_array_equal(block.inputs, other_block.inputs)
        assert block.inputs.shape == block.targets.shape == (5, 3)
    first, second = one.blocks[:2]
    np.testing.assert_array_equal(first.inputs[:, 1:], first.targets[:, :-1])
    np.testing.assert_array_equal(first.targets[:, -1], second.inputs[:, 0])


def test_the_echo_configuration_reads_the_echo_task() -> None:
    (block, *_) = make_problem(CONFIGURATIONS["C"]).blocks
    assert block.inputs.shape == block.targets.shape == (200, 10)
    assert set(np.unique(block.targets)) == {0, 1}


# Equal work


def test_equal_losses_are_equal_work() -> None:
    losses = [4.1, 4.0, 3.9]
    assert inequality([loss + 0.9 * TOLERANCE for loss in losses], losses) is None
    assert largest_difference([4.1, 4.0, 3.8], losses) == pytest.approx(0.1)


@pytest.mark.parametrize("wrong", [3.9 + 1.5 * TOLERANCE, math.nan, math.inf])
def test_another_loss_is_other_work(wrong: float) -> None:
    problem = inequality([4.1, 4.0, wrong], [4.1, 4.0, 3.9])
    assert problem == f"loss after 2 training steps {wrong:.5f}, should be 3.90000"


LIBRARIES: dict[str, tuple[str, dict[str, Any]]] = {
    "tf_rnn": ("unrolled_graph", {}),
    "tf_rnn, session.run": ("unrolled_graph", {"prepared": False}),
    "naive": ("version1", {"unroll": "naive", "threads": "default"}),
    "static_rnn": ("version1", {"unroll": "static_rnn", "threads": "intra 1"}),
    "dynamic_rnn": ("version1", {"unroll": "dynamic_rnn", "threads": "one thread"}),
    "keras": ("keras_layers", {"way": "function"}),
    "keras, train_on_batch": ("keras_layers", {"way": "train_on_batch"}),
    "torch": ("pytorch", {"threads": 1, "compiled": False}),
    "jax, scan": ("jax_arrays", {"how": "scan"}),
    "jax, scan a layer": ("jax_arrays", {"how": "scan a layer"}),
    "jax, unrolled": ("jax_arrays", {"how": "unrolled"}),
}
# Of these, one training will do: the cells and the optimizers are those of the way before.
OTHER_WAYS = {"tf_rnn, session.run", "keras, train_on_batch", "jax, scan a layer", "jax, unrolled"}
TRAININGS = {
    "lstm": TINY,
    "gru": dataclasses.replace(TINY, cell="gru", num_layers=1),
    "clipped": dataclasses.replace(
        TINY, num_layers=1, optimizer="sgd", learning_rate=0.2, clip_norm=0.5, reduction="sum"
    ),
    "one-hot": dataclasses.replace(
        TINY, cell="vanilla", num_layers=1, is_embedded=False, optimizer="adagrad", learning_rate=0.1
    ),
}


def losses_of(module: str, configuration: Configuration, **options: Any) -> list[float]:
    problem = make_problem(configuration)
    step = importlib.import_module(f"benchmarks.side_by_side.peers.{module}").make(problem, **options)
    blocks = problem.endless_blocks()
    return [float(step(*next(blocks))) for _ in range(CHECKED_STEPS + 1)]


@functools.cache
def reference(training: str) -> list[float]:
    return losses_of("version1", TRAININGS[training], **REFERENCE.options)


def is_installed(library: str) -> bool:
    """Peers are optional; those that are not there are named by the command, not tested."""
    package = library.split(",", maxsplit=1)[0]
    return package not in {"torch", "jax"} or importlib.util.find_spec(package) is not None


EQUAL_WORK = [
    (library, training)
    for library in filter(is_installed, LIBRARIES)
    for training in TRAININGS
    if training == "clipped" or library not in OTHER_WAYS
]


@pytest.mark.parametrize(("library", "training"), EQUAL_WORK)
def test_a_library_does_equal_work(library: str, training: str) -> None:
    """The true loss, too: a clip that acts, and rows that are looked up more than once."""
    module, options = LIBRARIES[library]
    losses = losses_of(module, TRAININGS[training], **options)
    assert losses == pytest.approx(reference(training), abs=1e-5)
    assert losses[0] != pytest.approx(losses[-1], abs=1e-3)


def test_the_peers_are_those_that_are_tested() -> None:
    tested = {module for module, _ in LIBRARIES.values()}
    assert {one.module.rsplit(".", maxsplit=1)[-1] for one in PEERS} == tested
    assert len({one.name for one in PEERS}) == len(PEERS)


# Processes. This module is a peer, too: `make` is what the worker looks for.

RIGHT = (3.0, 2.9, 2.8, 2.7, 2.6, 2.5)
FIRST_STEPS = CHECKED_STEPS + 1


def make(_problem: Any, *, kind: str = "right") -> Callable[[Any, Any], float]:
    if kind == "error":
        raise ValueError("this went wrong\nand a lot is to be said about it")
    if kind == "death":
        print("last words", file=sys.stderr, flush=True)
        os._exit(3)
    count = 0

    def step(_inputs: Any, _targets: Any) -> float:
        nonlocal count
        count += 1
        time.sleep(60.0 if kind == "slow" else 0.001)
        if kind == "nan" and count > FIRST_STEPS:
            return math.nan
        loss = RIGHT[min(count, FIRST_STEPS) - 1]
        return loss + 0.5 if kind == "wrong" and count == 3 else loss

    return step


def fake(kind: str, family: str = "torch", package: str = "numpy") -> Peer:
    return Peer(family, kind, package, __name__, {"kind": kind})


def serve_fake_peak(connection: Any, _notes: str) -> None:
    connection.send({"small": 1e9, "large": 2e9})
    while connection.recv() != "end":
        connection.send({"small": 1.5e9, "large": 3e9})


FAKES = (
    fake("right", "tf_rnn"),
    fake("wrong"),
    fake("error"),
    fake("death"),
    fake("nan"),
    fake("right", "jax", "no_such_package"),
)


@pytest.fixture(name="fakes")
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "REFERENCE", fake("right"))
    monkeypatch.setattr(racing, "serve_peak", serve_fake_peak)
    monkeypatch.setattr(compare_libraries, "PEERS", FAKES)
    monkeypatch.setitem(CONFIGURATIONS, "T", TINY)


@pytest.mark.usefixtures("fakes")
def test_the_command_measures_ranks_and_says_what_it_could_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", "T", "--rounds", "2", "--steps", "3", "--out", str(tmp_path)]
    assert compare_libraries.main(words) == 0
    shown = capsys.readouterr()
    expected = [
        "not equal work: torch, wrong: loss after 2 training steps 3.30000, should be 2.80000",
        "failed: torch, error: ValueError: this went wrong",
        "failed: torch, death: the process ended with status 3: last words",
        "failed: torch, nan: the loss is no number any more",
        "skipped: jax, right: no_such_package is not installed",
    ]
    for line in expected:
        assert line in shown.out
        assert f"- {line}" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "results.json", "steps.png"}
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["configurations"]["T"]
    assert [one["status"] for one in found["peers"]] == [MEASURED, UNEQUAL, FAILED, FAILED, FAILED, SKIPPED]
    own, wrong, *_ = found["peers"]
    assert len(own["turns"]) == len(wrong["turns"]) == 2
    assert min(own["turns"]) >= 1.0
    assert (own["ratio"], wrong["ratio"]) == (1.0, None)
    assert own["loss_difference"] == 0.0
    assert found["operations_per_second"] == {"small": 1.5e9, "large": 3e9}


def test_a_peer_that_takes_too_long_is_given_up() -> None:
    started = time.monotonic()
    with (
        Process(serve_peer, fake("slow"), TINY, limit=1.0) as process,
        pytest.raises(PeerError, match="no answer within 1 seconds"),
    ):
        process.receive()
    assert time.monotonic() - started < 30


# Tables, reports


def measured(family: str, milliseconds: float, **changes: Any) -> Measured:
    one = next(one for one in PEERS if one.family == family)
    turns = [milliseconds * factor for factor in (0.9, 1.0, 1.3)]
    return Measured(
        one,
        build_seconds=0.5,
        first_run_seconds=0.25,
        turns=turns,
        loss_difference=2e-6,
        memory_bytes=123_000_000,
        **changes,
    )


@pytest.fixture(name="measurement")
def _measurement() -> Measurement:
    peers = [
        measured("tf_rnn", 20.0),
        measured("static_rnn", 40.0),
        measured("torch", 50.0),
        measured("keras", 10.0, status=UNEQUAL, note="loss after 1 training steps 2, should be 3"),
        Measured(peer("jax"), SKIPPED, "jax is not installed"),
    ]
    rates = {"NumPy 512": [300e9, 320e9, 310e9], "TensorFlow 512": [500e9, 400e9, 510e9]}
    return Measurement(CONFIGURATIONS["A"], peers, rates)


def test_ratios_leave_out_who_does_other_work(measurement: Measurement) -> None:
    best = measurement.best_peer()
    assert best is not None
    assert best.peer.family == "static_rnn"
    assert measurement.ratio(best) == 0.5
    assert measurement.ratio(measurement.best("torch")) == pytest.approx(0.4)
    assert measurement.best("keras") is None
    assert measurement.ratio(None) is None
    assert measurement.peak == 500e9
    assert measurement.over_floor(measurement.best("tf_rnn")) == pytest.approx(20.0 / 12.67, rel=1e-3)
    assert measurement.tokens_per_second(measurement.peers[0]) == pytest.approx(400 / 0.020)


def test_the_table_has_the_quickest_first_and_the_floor_last(measurement: Measurement) -> None:
    rows = configuration_table(measurement).rows
    assert [row[0].split(",")[0] for row in rows] == ["tf_rnn", "static_rnn", "torch", "keras", "floor"]
    assert rows[1][1:] == [
        "40.0",
        "36.0–52.0",
        "10,000",
        "0.50",
        "0.25",
        "123",
        "0.50",
        "3.16",
        "2e-06",
    ]
    assert rows[3][7:9] == [UNEQUAL, "–"]
    assert rows[4][:2] == ["floor", "12.67"]
    assert notes(measurement) == [
        "not equal work: keras, train_on_batch: loss after 1 training steps 2, should be 3",
        "skipped: jax, scan: jax is not installed",
    ]


def test_the_summary_has_ratios_beside_what_they_should_be(measurement: Measurement) -> None:
    other = measurement._replace(configuration=CONFIGURATIONS["M"])
    table = summary_table([measurement, other])
    assert table.header == ["", "A", "M"]
    assert {row[0]: row[1] for row in table.rows} == {
        "tf_rnn": "20.0",
        "static_rnn": "40.0",
        "torch": "50.0",
        "floor": "12.7",
        "tf_rnn / torch": "0.40 (0.45)",
        "tf_rnn / best peer": "0.50 (0.70)",
        "tf_rnn / floor": "1.58 (1.60)",
    }
    assert {row[0]: row[2] for row in table.rows}["tf_rnn / torch"] == "0.40"


def test_the_report_says_what_where_and_how(measurement: Measurement, tmp_path: Path) -> None:
    page = report([measurement], MACHINE, ["--config", "A"], rounds=3)
    assert "Some Processor, 2 cores, 8 GB, Linux, Python 3.11.7; tensorflow 2.21.0; 3 rounds." in page
    assert "```\npython -m benchmarks.compare_libraries --config A\n```" in page
    assert "| tf_rnn / torch | 0.40 (0.45) |" in page
    assert "- skipped: jax, scan: jax is not installed" in page
    assert "Floor: 6.34 GFLOP a training step, at 500 GFLOP/s." in page
    assert "](steps.png)" in page
    files = write_results(tmp_path, [measurement], MACHINE, [], rounds=3)
    assert [path.name for path in files] == ["report.md", "results.json", "steps.png"]
    assert all(path.stat().st_size for path in files)


def test_growth_is_written_with_ratios_and_verdicts(tmp_path: Path) -> None:
    found = Growth()
    found.add([Point("tf_rnn", 200, 1.0, 0.5, 20.0, 3e8), Point("naive", 200, 3.0, 2.0, 40.0, 9e8)])
    found.add([Point("tf_rnn", 1000, 6.0, 1.5, 90.0, 1.5e9)])
    found.add([Point("recompute", 1000, None, None, None, None, "failed: of some reason")])
    assert [row[-3:] for row in growth_table(found).rows] == [
        ["0.30", "0.50", "0.33"],
        ["–"] * 3,
        ["–"] * 3,
        ["–"] * 3,
    ]
    assert verdicts(found) == [
        "Build and first run at n = 200: 0.30 of the naive unroll's (at most 0.4).",
        "n = 1000: build and first run 7.5 s (at most 12), memory 1.50 GB (at most 2.5).",
    ]
    page = growth_report(found, MACHINE, "python -m benchmarks.growth")
    assert "- recompute, n = 1000: failed: of some reason" in page
    assert "LSTM 2x128, 65 classes, batch 50, adam. Some Processor" in page
    files = write_growth(tmp_path, found, MACHINE, [])
    assert all(path.stat().st_size for path in files)


def test_this_machine_is_described() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    version = machine.libraries.get("tensorflow") or machine.libraries["tensorflow-cpu"]
    assert version.startswith("2.")
    assert machine.line.startswith(machine.processor)


# Session runs


def slept(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


class FakeSession:
    def run(self, seconds: float) -> float:
        return slept(seconds)

    def _make_callable_from_options(self, seconds: float) -> Callable[[], float]:
        return lambda: slept(seconds)


def test_session_runs_are_timed_once_and_left_as_they_were() -> None:
    clock = overhead.SessionClock()
    before = vars(FakeSession).copy()
    with clock.watching(FakeSession):
        session = FakeSession()
        assert session.run(0.02) == 0.02
        assert session._make_callable_from_options(0.03)() == 0.03
    session.run(0.01)
    assert clock.runs == 2
    assert 0.05 <= clock.seconds < 0.1
    assert vars(FakeSession) == before


def test_the_overhead_stands_beside_what_it_should_be() -> None:
    table = overhead.overhead_table(overhead.Share(10.0, 9.7, 1000), {"help": 0.21})
    assert table.rows == [
        ["train, inside session runs", "97.0%", "at least 95%"],
        ["train, in all", "10.0 s", "1000 updates of 10.00 ms"],
        ["answer, help", "0.21 s", "at most 0.3 s"],
    ]


def test_processor_time_is_that_of_a_process_and_its_children() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"7 (a name) with) S 1 2 3 4 5 6 7 8 9 10 {3 * ticks} {ticks} {5 * ticks} {2 * ticks} 20 0 4"
    assert cores.processor_seconds(stat) == 3 + 1 + 5 + 2


def test_the_cores_share_stands_beside_what_it_should_be() -> None:
    parts = {"start and costs": cores.Used(5.0, 4.0), "runs": cores.Used(20.0, 38.0)}
    assert cores.cores_table(parts, 2).rows == [
        ["start and costs", "5.0", "4.0", "40%", ""],
        ["runs", "20.0", "38.0", "95%", "at least 90%"],
    ]


# Command lines


@pytest.mark.parametrize(
    ("command", "words", "line"),
    [
        (compare_libraries, ["--config", "Z"], "argument --config: invalid choice: 'Z'"),
        (compare_libraries, ["--rounds", "0"], "argument --rounds: must be a whole number of at least 1"),
        (compare_libraries, ["--only", "theano"], "argument --only: invalid choice: 'theano'"),
        (growth, ["--num-steps", "0"], "argument --num-steps: must be a whole number of at least 1"),
        (overhead, ["--seconds", "-1"], "argument --seconds: must be"),
        (cores, ["--width", "3"], "unrecognized arguments: --width"),
    ],
)
def test_bad_options_are_one_line(
    command: Any, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1)
    assert error.startswith(f"{command.NAME}: error: {line}")


@pytest.mark.parametrize("command", [compare_libraries, growth])
def test_a_folder_that_cannot_be_is_one_line(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert command.main(["--out", str(tmp_path / "file")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{command.NAME}: error: --out must be a folder that can be written")
    assert error.count("\n") == 1


@pytest.mark.usefixtures("fakes")
def test_without_a_reference_there_is_nothing_to_compare_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(racing, "REFERENCE", fake("error"))
    assert compare_libraries.main(["--config", "T", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("compare_libraries: error: ValueError: this went wrong\n")


def test_the_one_that_asks_loads_no_library() -> None:
    names = "('tensorflow', 'keras', 'torch', 'jax', 'matplotlib')"
    code = (
        "import sys; from benchmarks import compare_libraries, cores, growth, overhead; "
        f"print([name for name in {names} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_every_peer_has_its_requirement() -> None:
    text = (ROOT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8")
    names = {line.split(">=")[0] for line in text.splitlines() if line and not line.startswith("#")}
    assert names >= {one.package for one in PEERS} - {"tensorflow", "keras"}
    assert all("," in line for line in text.splitlines() if ">=" in line)
    assert set(FAMILIES) == {"tf_rnn", "naive", "static_rnn", "dynamic_rnn", "keras", "torch", "jax"}
