"""The table of TensorBoard's HPARAMS tab, as its own plugin reads it from the files of a comparison."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from comparison_helpers import diverged_run, made_up_results, made_up_run, make_comparison
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.get_experiment import Handler as Experiment
from tensorboard.plugins.hparams.list_session_groups import Handler as SessionGroups

from tf_rnn.comparison import RunKey, compare, recommend
from tf_rnn.comparison.hparams import FILE, LOSS, TRAINED, write_sessions
from tf_rnn.options import OptionError

ROOT = Path(__file__).resolve().parents[3]
RUNS = [
    made_up_run(4, seed=0, loss=0.25),
    made_up_run(4, seed=1, loss=0.375),
    made_up_run(1, "reset", loss=0.5, learning_rate=0.25),
    diverged_run(9),
]


class Tab:
    """What the HPARAMS tab shows of a folder."""

    def __init__(self, folder: Path) -> None:
        self.board = EventMultiplexer()
        self.board.AddRunsFromDirectory(str(folder))
        self.board.Reload()
        provider = MultiplexerDataProvider(self.board, str(folder))
        context = Context(SimpleNamespace(data_provider=provider))
        statuses = [api_pb2.Status.Value(f"STATUS_{name}") for name in ("SUCCESS", "FAILURE", "RUNNING")]
        asked = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=statuses)
        self.experiment = Experiment(RequestContext(), context, "", api_pb2.GetExperimentRequest()).run()
        groups = SessionGroups(RequestContext(), context, "", asked).run().session_groups
        self.rows = {group.name: group for group in groups}

    @property
    def losses(self) -> dict[str, dict[str, float]]:
        """The metrics of each row."""
        return {
            name: {value.name.tag: value.value for value in group.metric_values}
            for name, group in self.rows.items()
        }

    def values(self, row: str) -> dict[str, Any]:
        """The hyperparameters of a row."""
        return {
            name: getattr(value, str(value.WhichOneof("kind")))
            for name, value in self.rows[row].hparams.items()
        }


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Tab:
    folder = tmp_path_factory.mktemp("sweep")
    results = made_up_results(None, RUNS)
    results.add_failure(RunKey(4, "carry", 2, 0.1), "its worker died")
    results.add_part(made_up_run(4, "reset", loss=0.625, fraction=0.125))
    write_sessions(results, "nats", folder)
    return Tab(folder / "summaries")


def test_every_run_is_a_row_with_its_loss_and_the_part_that_it_was_trained(tab: Tab) -> None:
    """One that diverged or died has failed; columns name the unit."""
    expected = {
        "width 4, carry, rate 0.1, seed 0": {LOSS: 0.25, TRAINED: 1.0},
        "width 4, carry, rate 0.1, seed 1": {LOSS: 0.375, TRAINED: 1.0},
        "width 4, carry, rate 0.1, seed 2": {},
        "width 4, reset, rate 0.1, seed 0": {LOSS: 0.625, TRAINED: 0.125},
        "width 1, reset, rate 0.25, seed 0": {LOSS: 0.5, TRAINED: 1.0},
        "width 9, carry, rate 0.1, seed 0": {},
    }
    assert tab.losses == expected
    statuses = {name: api_pb2.Status.Name(group.sessions[0].status) for name, group in tab.rows.items()}
    assert statuses == {
        name: "STATUS_SUCCESS" if losses else "STATUS_FAILURE" for name, losses in expected.items()
    }
    titles = {info.name.tag: info.display_name for info in tab.experiment.metric_infos}
    assert titles == {LOSS: "held-out loss (nats)", TRAINED: "part of the training"}


def test_hyperparameters_are_those_of_the_run_and_of_the_network(tab: Tab) -> None:
    """Numbers as numbers, which the tab sorts; None as off; what differs between the runs comes first."""
    found = tab.values("width 1, reset, rate 0.25, seed 0")
    expected = {"num_steps": 1, "state": "reset", "seed": 0, "learning_rate": 0.25, "task": "echo"}
    expected |= {"cell": "vanilla", "state_size": 3, "batch_size": 7, "optimizer": "adagrad"}
    expected |= {"clip_norm": "off", "tied": False, "style": "block"}
    assert {name: found[name] for name in expected} == expected
    columns = {info.name: info for info in tab.experiment.hparam_infos}
    assert set(columns) == set(found)
    kinds = {"num_steps": "FLOAT64", "state": "STRING", "tied": "BOOL"}
    for name, kind in kinds.items():
        assert api_pb2.DataType.Name(columns[name].type) == f"DATA_TYPE_{kind}", name
    domain = [value.number_value for value in columns["num_steps"].domain_discrete.values]
    assert domain == [1, 4, 9]
    names = list(columns)
    assert names[:4] == ["learning_rate", "num_steps", "seed", "state"], "of the others the tab shows few"
    assert names[4:] == sorted(names[4:])


def test_the_learning_curve_is_that_of_the_run(tab: Tab) -> None:
    run = RUNS[1]
    curve = [
        (point.step, point.tensor_proto.float_val[0])
        for point in tab.board.Tensors("width 4, carry, rate 0.1, seed 1", LOSS)
    ]
    assert curve == [(point["updates"], pytest.approx(point["valid_loss"])) for point in run["curve"]]


def test_writing_again_replaces_and_adds_nothing(tmp_path: Path) -> None:
    results = made_up_results(None, RUNS[:1])
    for _ in range(2):
        write_sessions(results, "nats", tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {f"summaries/{FILE}", f"summaries/width 4, carry, rate 0.1, seed 0/{FILE}"}
    assert len(Tab(tmp_path).losses) == 1


@pytest.mark.parametrize("verb", [compare, recommend])
def test_without_the_package_nothing_is_begun(
    verb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ("carry",)
    with pytest.raises(OptionError, match=r"^tensorboard must be left out where nothing is written"):
        verb(make_comparison(state=state), tensorboard=True)
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams.api_pb2", None)
    with pytest.raises(
        OptionError, match=r"^tensorboard needs the package tensorboard: pip install tensorboard$"
    ):
        verb(make_comparison(state=state), out=tmp_path / "out", tensorboard=True)
    assert list(tmp_path.iterdir()) == []


def test_writing_loads_no_tensorflow(tmp_path: Path) -> None:
    """Nor does the process that distributes the work."""
    code = (
        "import pathlib, sys; sys.path.insert(0, 'tests');"
        "from comparison_helpers import made_up_results, made_up_run;"
        "from tf_rnn.comparison.hparams import write_sessions;"
        "write_sessions(made_up_results(None, [made_up_run(4)]), 'nats', pathlib.Path(sys.argv[1]));"
        "print('tensorflow' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr
