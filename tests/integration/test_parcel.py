"""Tasks of the user's own in worker processes: from a script, and from a module beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import DEADLINE
from comparison_helpers import OWN_TASK, make_comparison, run_here

from tf_rnn import tasks
from tf_rnn.comparison import Parcel
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import Echo, Text

if TYPE_CHECKING:
    from pathlib import Path

# It is not protected by `if __name__ == "__main__"`. The class is its own, that above it the module's.
SCRIPT = """
import json
from louder import Louder
from tf_rnn.comparison import Comparison, Screen, compare
from tf_rnn.setup import Setup

class Loudest(Louder):
    pass

print("once")
setup = Setup(task=Loudest(), state_size=3, batch_size=7)
comparison = Comparison(setup=setup, num_steps=(2, 3), state=("carry",), seeds=1, amount=1500)
sweep = compare(comparison, Loudest(), workers=1, screen=Screen.silent())
print(json.dumps([run["loss"] for run in sweep.records]))
"""


class Louder(Echo):
    """The same as beside the script."""

    name = "louder"

    def __init__(self, **options: Any) -> None:
        small: dict[str, Any] = {"lags": (2,), "effects": (0.4,), "length": 600, "valid_length": 90}
        super().__init__(**small | options)


SETUP = Setup(task=Louder(), state_size=3, batch_size=7)


@pytest.mark.slow
def test_a_script_compares_a_task_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "louder.py").write_text(OWN_TASK, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=2 * DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    comparison = make_comparison(task=Louder(), task_options={}, num_steps=(2, 3), state=("carry",), seeds=1)
    losses = [run_here(comparison, key, Louder())["loss"] for key in comparison.keys]
    assert done.stdout.splitlines() == ["once", json.dumps(losses)]


def test_a_task_of_the_package_travels_without_its_data(tmp_path: Path) -> None:
    path = tmp_path / "cats.txt"
    path.write_text("a cat sat on a mat. " * 99_999, encoding="utf-8")
    parcel = Parcel.of(Setup(task="text"), Text(path))
    assert len(parcel.pickled) < 2000
    assert parcel.open().task.options()["data"] == str(path)


class Locked(Louder):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_a_task_that_cannot_be_pickled_is_refused_in_one_line() -> None:
    with pytest.raises(OptionError) as caught:
        Parcel.of(SETUP, Locked())
    assert str(caught.value) == (
        "task must be an object that can be pickled for worker processes; "
        "TypeError: cannot pickle '_thread.lock' object"
    )


class Elsewhere(Louder):
    """Refuses to be unpickled, as where a library is missing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("a_library_that_only_one_machine_has",)


def test_a_task_that_a_worker_cannot_unpickle_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "node7")
    with pytest.raises(OptionError) as caught:
        Parcel.of(SETUP, Elsewhere()).open()
    assert str(caught.value) == (
        "task must be an object that every worker can unpickle, on node7 louder raises "
        "ModuleNotFoundError: No module named 'a_library_that_only_one_machine_has'"
    )


def test_a_task_that_is_registered_travels_with_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers do not know of it."""
    monkeypatch.setitem(tasks.TASKS, "louder", Louder)
    assert Parcel.of(Setup(task="louder"), Louder()).options == ""
