"""The registry of tasks, and what importing it does not need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tf_rnn.config import OptionError
from tf_rnn.tasks import TASKS, Echo, Text, make_task


def test_names_are_those_of_the_classes() -> None:
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}
    assert TASKS["echo"] is Echo
    assert TASKS["text"] is Text


@pytest.mark.parametrize("name", list(TASKS))
def test_options_make_the_task_again(name: str) -> None:
    task = make_task(name)
    again = make_task(task.name, **json.loads(json.dumps(task.options())))
    assert type(again) is TASKS[name]
    assert again.options() == task.options()
    assert again.baselines() == task.baselines()


def test_options_reach_the_constructor() -> None:
    task = make_task("echo", lags=[2], effects=[0.25], length=9)
    assert task.lags == (2,)
    assert len(task.stream().inputs) == 9


def test_what_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^task must be one of echo, text; got 'Echo'$"):
        make_task("Echo")
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        make_task("echo", width=3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("echo", (200, "adagrad", 0.1, 5_000_000)), ("text", (50, "adam", 0.002, 1_000_000))],
)
def test_defaults(name: str, expected: tuple[int, str, float, int]) -> None:
    found = TASKS[name].defaults
    assert (found.batch_size, found.optimizer, found.learning_rate, found.tokens) == expected


def test_tasks_need_no_tensorflow() -> None:
    code = (
        "import sys, tf_rnn.tasks; tf_rnn.tasks.Text(); tf_rnn.tasks.Echo().baselines(); "
        "print([name for name in ('tensorflow', 'keras', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
