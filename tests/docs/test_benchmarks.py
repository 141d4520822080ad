"""The benchmark harness: peers do equal work, failures are reported, tables come from stored results."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import benchmarks
from benchmarks import cluster, compare_libraries, cores, growth, overhead
from benchmarks.side_by_side import race as racing
from benchmarks.side_by_side.configurations import CONFIGURATIONS, Configuration
from benchmarks.side_by_side.equality import BFLOAT16_TOLERANCE, TOLERANCE, inequality
from benchmarks.side_by_side.floor import floor_milliseconds, training_operations
from benchmarks.side_by_side.growth_report import growth_table, verdicts, write_growth
from benchmarks.side_by_side.machine import this_machine
from benchmarks.side_by_side.peers import LOWER_PEERS, PEERS, REFERENCE, Peer
from benchmarks.side_by_side.problem import make_problem
from benchmarks.side_by_side.processes import PeerError, Process
from benchmarks.side_by_side.results import FAILED, MEASURED, SKIPPED, UNEQUAL, Measured, Measurement
from benchmarks.side_by_side.tables import configuration_table, summary_table
from benchmarks.side_by_side.widths import Growth, Point
from benchmarks.side_by_side.worker import CHECKED_STEPS, serve_peer
from benchmarks.styles import __main__ as styles
from tf_rnn.options.words import MIXED_BFLOAT16

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(benchmarks.__file__).resolve().parent.parent

TINY = Configuration(
    name="T", title="tiny", cell="lstm", num_layers=2, state_size=4, num_classes=7, batch_size=5, num_steps=3,
    optimizer="adam", learning_rate=0.01, steps=2,
)  # fmt: skip


# The problem and the floor


@pytest.mark.parametrize(("name", "milliseconds"), [("A", 12.7), ("B", 32.0), ("D", 128.0), ("E", 253.0)])
def test_floor_at_500_gflops_equals_a_calculation_by_hand(name: str, milliseconds: float) -> None:
    assert floor_milliseconds(CONFIGURATIONS[name], 500e9) == pytest.approx(milliseconds, rel=0.005)


@pytest.mark.parametrize(("cell", "gates"), [("vanilla", 1), ("gru", 3), ("lstm", 4)])
def test_operations_equal_a_count_product_by_product(cell: str, gates: int) -> None:
    one = dataclasses.replace(TINY, cell=cell)
    rows, d, classes = 5 * 3, 4, 7
    gate_product, readout = 2 * rows * d * gates * d, 2 * rows * d * classes
    assert training_operations(one) == 3 * (4 * gate_product + readout)  # inputs and state of two layers
    one_hot = dataclasses.replace(one, is_embedded=False)
    assert training_operations(one_hot) == 3 * (3 * gate_product + readout)


@pytest.mark.parametrize("configuration", [TINY, CONFIGURATIONS["C"]], ids=["tokens", "echo"])
def test_a_problem_is_reproducible_and_its_blocks_are_contiguous(configuration: Configuration) -> None:
    one, other = make_problem(configuration), make_problem(configuration)
    np.testing.assert_array_equal(one.weights.readout_kernel, other.weights.readout_kernel)
    shape = (configuration.batch_size, configuration.num_steps)
    for block, same in zip(one.blocks, other.blocks, strict=True):
        np.testing.assert_array_equal(block.inputs, same.inputs)
        np.testing.assert_array_equal(block.targets, same.targets)
        assert block.inputs.shape == block.targets.shape == shape
    if configuration is TINY:  # each token is the target of the one before it
        first, second, *_ = one.blocks
        np.testing.assert_array_equal(first.inputs[:, 1:], first.targets[:, :-1])
        np.testing.assert_array_equal(first.targets[:, -1], second.inputs[:, 0])


# Equal work


@pytest.mark.parametrize("wrong", [4.0 + 1.5 * TOLERANCE, math.nan, math.inf])
def test_another_loss_is_other_work(wrong: float) -> None:
    assert inequality([4.1, 4.0 + 0.9 * TOLERANCE], [4.1, 4.0]) is None
    assert (
        inequality([4.1, wrong], [4.1, 4.0]) == f"loss after 1 training steps {wrong:.5f}, should be 4.00000"
    )


def test_with_bfloat16_operands_losses_may_differ_by_its_rounding() -> None:
    off = 4.0 * BFLOAT16_TOLERANCE
    assert inequality([4.0 + 0.9 * off], [4.0], MIXED_BFLOAT16) is None
    assert inequality([4.0 + 0.9 * off], [4.0]) is not None
    assert inequality([4.0 + 1.1 * off], [4.0], MIXED_BFLOAT16) is not None


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
# The same in the lower precision of each library.
LOWER: dict[str, tuple[str, dict[str, Any]]] = {
    "tf_rnn": ("unrolled_graph", {"precision": MIXED_BFLOAT16}),
    "keras": ("keras_layers", {"way": "function", "precision": MIXED_BFLOAT16}),
    "torch, autocast": ("pytorch", {"threads": 1, "compiled": False, "precision": "autocast"}),
    "torch, medium": ("pytorch", {"threads": 1, "compiled": False, "precision": "medium"}),
    "jax": ("jax_arrays", {"how": "scan", "precision": MIXED_BFLOAT16}),
}
# These share cells and optimizers with a variant before them, so one training is enough.
VARIANTS = {"tf_rnn, session.run", "static_rnn", "dynamic_rnn", "keras, train_on_batch"}
VARIANTS |= {"jax, scan a layer", "jax, unrolled"}
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
    """PyTorch and JAX are optional."""
    package = library.split(",", maxsplit=1)[0]
    return package not in {"torch", "jax"} or importlib.util.find_spec(package) is not None


# By default every library with clipping, and ours with all the others.
EQUAL_WORK = [
    pytest.param(
        library, training, marks=() if training == "clipped" or library == "tf_rnn" else pytest.mark.slow
    )
    for library in filter(is_installed, LIBRARIES)
    for training in TRAININGS
    if training == "clipped" or library not in VARIANTS
]


@pytest.mark.parametrize(("library", "training"), EQUAL_WORK)
def test_a_library_does_equal_work(library: str, training: str) -> None:
    """Losses agree with the naive unroll in float64, with active clipping and repeated embedding rows."""
    module, options = LIBRARIES[library]
    losses = losses_of(module, TRAININGS[training], **options)
    assert losses == pytest.approx(reference(training), abs=1e-5)
    assert losses[0] != pytest.approx(losses[-1], abs=1e-3)


# Cells and optimizers are those of single precision, so that each library has one other training.
OTHERS = itertools.cycle(training for training in TRAININGS if training != "clipped")
LOWER_WORK = [(library, "clipped") for library in filter(is_installed, LOWER)]
LOWER_WORK_TOO = [
    pytest.param(library, next(OTHERS), marks=pytest.mark.slow) for library in filter(is_installed, LOWER)
]


@pytest.mark.parametrize(("library", "training"), [*LOWER_WORK, *LOWER_WORK_TOO])
def test_a_library_in_lower_precision_does_equal_work_but_for_rounding(library: str, training: str) -> None:
    module, options = LOWER[library]
    losses = losses_of(module, TRAININGS[training], **options)
    assert inequality(losses, reference(training), MIXED_BFLOAT16) is None
    if library != "torch, medium":  # which PyTorch decides by the processor
        assert losses != pytest.approx(reference(training), abs=1e-6), "in single precision"


def test_every_peer_is_tested() -> None:
    for peers, libraries in ((PEERS, LIBRARIES), (LOWER_PEERS, LOWER)):
        tested = {module for module, _ in libraries.values()}
        assert {one.module.rsplit(".", maxsplit=1)[-1] for one in peers} == tested
    assert len({one.name for one in (*PEERS, *LOWER_PEERS)}) == len(PEERS) + len(LOWER_PEERS)


# Processes. This module is itself a peer: the worker calls its `make`.

RIGHT = (3.0, 2.9, 2.8, 2.7, 2.6, 2.5)
FIRST_STEPS = CHECKED_STEPS + 1


def make(_problem: Any, *, kind: str = "right") -> Callable[[Any, Any], float]:
    if kind == "error":
        raise ValueError("this went wrong\nwith a long explanation")
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
        wrong = {"wrong": 0.5, "rounded": 0.01}
        return loss + wrong.get(kind, 0.0) if count == 3 else loss

    return step


def fake(kind: str, family: str = "torch", package: str = "numpy", precision: str = "float32") -> Peer:
    return Peer(family, kind, package, __name__, {"kind": kind}, precision)


def serve_fake_peak(connection: Any, _notes: str, precision: str) -> None:
    factor = {"float32": 1.0, MIXED_BFLOAT16: 4.0}[precision]
    connection.send({"small": 1e9 * factor, "large": 2e9 * factor})
    while connection.recv() != "end":
        connection.send({"small": 1.5e9 * factor, "large": 3e9 * factor})


FAKES = (
    fake("right", "tf_rnn"), fake("wrong"), fake("error"), fake("death"), fake("nan"),
    fake("right", "jax", "no_such_package"),
)  # fmt: skip


LOWER_FAKES = tuple(
    fake(kind, family, precision=MIXED_BFLOAT16)
    for kind, family in (("rounded", "tf_rnn"), ("right", "torch"), ("wrong", "jax"))
)


@pytest.fixture(name="fakes")
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "REFERENCE", fake("right"))
    monkeypatch.setattr(racing, "serve_peak", serve_fake_peak)
    monkeypatch.setattr(compare_libraries, "PEERS", FAKES)
    monkeypatch.setattr(compare_libraries, "LOWER_PEERS", LOWER_FAKES)
    monkeypatch.setitem(CONFIGURATIONS, "T", TINY)


@pytest.mark.slow
@pytest.mark.usefixtures("fakes")
def test_the_command_ranks_peers_and_tells_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", "T", "--rounds", "2", "--steps", "3", "--out", str(tmp_path)]
    assert compare_libraries.main(words) == 0
    shown = capsys.readouterr()
    expected = [
        "not equal work: torch, wrong: loss after 2 training steps 3.30000, should be 2.80000",
        "failed: torch, error: ValueError: this went wrong",
        "failed: torch, death: the process ended with status 3: last words",
        "failed: torch, nan: the loss is not finite",
        "skipped: jax, right: no_such_package is not installed",
    ]
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    for line in expected:
        assert line in shown.out
        assert f"- {line}" in page
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "results.json", "steps.png"}
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["configurations"]["T"]
    assert [one["status"] for one in found["peers"]] == [MEASURED, UNEQUAL, FAILED, FAILED, FAILED, SKIPPED]
    own, wrong, *_ = found["peers"]
    assert len(own["turns"]) == len(wrong["turns"]) == 2
    assert min(own["turns"]) >= 1.0
    assert (own["ratio"], own["loss_difference"], wrong["ratio"]) == (1.0, 0.0, None)
    assert found["operations_per_second"] == {"small": 1.5e9, "large": 3e9}


@pytest.mark.slow
@pytest.mark.usefixtures("fakes")
def test_lower_precision_stands_beside_single_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows, floors and ratios; losses may be off by what the format allows, and no more."""
    words = ["--config", "T", "--rounds", "1", "--steps", "3", "--out", str(tmp_path)]
    assert compare_libraries.main([*words, "--precision", "float32", MIXED_BFLOAT16]) == 0
    shown = capsys.readouterr().out
    assert "not equal work: jax, wrong, bfloat16: loss after 2 training steps" in shown
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["configurations"]["T"]
    lower = {one["family"]: one for one in found["peers"] if one["peer"].endswith(", bfloat16")}
    assert [lower[name]["status"] for name in ("tf_rnn", "torch", "jax")] == [MEASURED, MEASURED, UNEQUAL]
    assert lower["tf_rnn"]["ratio"] == 1.0
    own, torch = (lower[name]["step_milliseconds"] for name in ("tf_rnn", "torch"))
    assert lower["torch"]["ratio"] == pytest.approx(own / torch)
    assert found["floor_milliseconds"] == pytest.approx(4 * found["bfloat16_floor_milliseconds"])
    for line in (
        "| tf_rnn, bfloat16 |",
        "| floor, bfloat16 |",
        "| tf_rnn, bfloat16 / best peer in any precision |",
    ):
        assert line in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("fakes")
def test_the_command_fails_without_a_reference_or_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(racing, "REFERENCE", fake("error"))
    assert compare_libraries.main(["--config", "T", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("compare_libraries: error: ValueError: this went wrong\n")
    (tmp_path / "file").write_text("")
    assert compare_libraries.main(["--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("compare_libraries: error: --out must be a folder")


def test_a_slow_peer_is_given_up() -> None:
    started = time.monotonic()
    with (
        Process(serve_peer, fake("slow"), TINY, limit=1.0) as process,
        pytest.raises(PeerError, match="no answer within 1 seconds"),
    ):
        process.receive()
    assert time.monotonic() - started < 30


# Tables


def from_json(name: str, stored: dict[str, Any]) -> Measurement:
    peers = {one.name: one for one in PEERS}
    fields = [one.name for one in dataclasses.fields(Measured) if one.name != "peer"]
    results = [
        Measured(peers[one["peer"]], **{field: one[field] for field in fields}) for one in stored["peers"]
    ]
    rates = {product: [rate] for product, rate in stored["operations_per_second"].items()}
    return Measurement(CONFIGURATIONS[name], results, {"float32": rates})


def test_stored_tables_and_verdicts_come_from_stored_results(tmp_path: Path) -> None:
    folder = ROOT / "benchmarks" / "speed"
    page = (folder / "report.md").read_text(encoding="utf-8")
    stored = json.loads((folder / "results.json").read_text(encoding="utf-8"))["configurations"]
    measurements = [from_json(name, one) for name, one in stored.items()]
    assert [one.as_json() for one in measurements] == list(stored.values())
    for table in [summary_table(measurements), *map(configuration_table, measurements)]:
        assert table.markdown() in page
    folder = ROOT / "benchmarks" / "speed-growth"
    page = (folder / "report.md").read_text(encoding="utf-8")
    points = json.loads((folder / "results.json").read_text(encoding="utf-8"))["points"]
    found = Growth([Point(**point) for point in points])
    assert growth_table(found).markdown() in page
    assert " ".join(verdicts(found)) in page
    assert all(path.stat().st_size for path in write_growth(tmp_path, found, this_machine(), []))


# Session time, CPU time, start-up


class FakeSession:
    """Whose runs take as long as they are told to, on a clock of its own."""

    now = 0.0

    @classmethod
    def pass_time(cls, seconds: float) -> None:
        cls.now += seconds

    def run(self, seconds: float) -> None:
        self.pass_time(seconds)

    def _make_callable_from_options(self, options: Any) -> Callable[[], None]:
        return lambda: self.pass_time(options.seconds)


def test_session_runs_are_timed_and_the_class_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_time = types.SimpleNamespace(perf_counter=lambda: FakeSession.now)
    monkeypatch.setattr(overhead, "time", fake_time)
    clock = overhead.SessionClock()
    before = vars(FakeSession).copy()
    with clock.watching(FakeSession):
        session = FakeSession()
        session.run(0.25)
        session._make_callable_from_options(types.SimpleNamespace(seconds=0.5, target=[]))()
        session._make_callable_from_options(types.SimpleNamespace(seconds=2.0, target=["step"]))()
    session.run(8.0)
    assert (clock.runs, clock.seconds, clock.step_seconds) == (3, 2.75, 2.0)
    assert vars(FakeSession) == before | {"now": 10.75}
    table = overhead.overhead_table(overhead.Share(10.0, 9.7, 8.0, 7.2, 1000), {"help": 0.21})
    assert table.rows[0] == ["training, inside session runs", "90.0%", "at least 95%"]
    assert table.rows[1][:2] == ["train, inside session runs", "97.0%"]


def test_cpu_time_includes_children() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"7 (a name) with) S 1 2 3 4 5 6 7 8 9 10 {3 * ticks} {ticks} {5 * ticks} {2 * ticks} 20 0 4"
    assert cores.processor_seconds(stat) == 3 + 1 + 5 + 2
    rows = cores.cores_table({"runs": cores.Used(20.0, 38.0)}, 2).rows
    assert rows == [["runs", "20.0", "38.0", "95%", "at least 90%"]]


def test_paces_are_shown_beside_that_of_one_process() -> None:
    measured = {128: dict(zip(cluster.WAYS, (50_000.0, 75_000.0, 95_000.0), strict=True))}
    assert cluster.cluster_table(measured).rows == [
        ["128", "50,000 (1.00)", "75,000 (1.50)", "95,000 (1.90)"]
    ]


@pytest.mark.parametrize("command", [cluster, compare_libraries, growth, overhead, cores, styles])
def test_bad_options_are_one_line(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--unknown", "3"])
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1)
    assert error.startswith(f"{command.NAME}: error: ")


def test_the_controlling_process_loads_no_library() -> None:
    names = "('tensorflow', 'keras', 'torch', 'jax', 'matplotlib')"
    code = (
        "import sys; from benchmarks import cluster, compare_libraries, cores, growth, overhead; "
        f"print([name for name in {names} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
