"""What is used where nothing is given: in help, of presets, of files, and of runs that exist."""

from __future__ import annotations

import itertools
import re
import tomllib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import assert_refused, run_main, succeeds, workers_here
from model_helpers import made_up_text, metrics

import tf_rnn
from tf_rnn.experiment import task_defaults, verb_defaults
from tf_rnn.options import OptionError
from tf_rnn.options.declared import TASK_OPTIONS
from tf_rnn.options.presets import PRESETS
from tf_rnn.tasks import TABLES, TASKS

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ["--state-size", "3", "--batch-size", "20", "--num-steps", "2", "--threads", "1"]


def help_of(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The lines of a help page, by the names of options."""
    monkeypatch.setenv("COLUMNS", "1000")
    status, shown, errors = run_main(line.split(), capsys)
    assert (status, errors) == (0, "")
    lines = re.sub(r"\n {24}", "  ", shown).splitlines()  # long options have a line of their own
    found = (re.match(r"  --([\w-]+)(?: .*?)?  +(\S.*)", each) for each in lines)
    return {each[1].replace("-", "_"): each[2] for each in found if each}


@pytest.mark.parametrize(
    ("task", "verb"), [*zip(TASKS, itertools.cycle(["train", "compare", "recommend", "lags"]), strict=False)]
)
def test_help_shows_the_defaults_of_a_task(
    verb: str, task: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that `Experiment` uses; and the options of other tasks are gone."""
    shown = help_of(f"{verb} --help --task {task}", capsys, monkeypatch)
    assert help_of(f"{verb} --task={task} --help", capsys, monkeypatch) == shown
    setup = tf_rnn.Setup(task=task)
    wanted: dict[str, Any] = {name: getattr(setup, name) for name in ("cell", "state_size", "optimizer")}
    if task not in TABLES:
        wanted |= {"batch_size": setup.batch_size} | verb_defaults(verb, setup.defaults)
    for name, value in wanted.items():
        words = (
            " ".join(map(str, value))
            if isinstance(value, tuple)
            else f"{value:g}"
            if isinstance(value, float)
            else value
        )
        assert shown[name].endswith(f"(default {words})"), shown[name]
    limit = "off" if setup.clip_norm is None else f"{setup.clip_norm:g}"
    assert shown["clip_norm"].endswith(f"(default {limit})")
    assert {*shown} & {*TASK_OPTIONS} == {
        name for name, each in TASK_OPTIONS.items() if task in (each.only or ((), ()))[1]
    }


def test_help_without_a_task_or_with_none_that_exists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "(default" not in help_of("train --help", capsys, monkeypatch)["state_size"]
    assert_refused(["train", "--help", "--task", "txt"], "--task must be one of echo, ", capsys)


def test_defaults_of_a_task_are_those_that_are_used() -> None:
    """`lags` of copy: how far back, and a fifth of a run."""
    found = task_defaults("lags", "copy")
    defaults = TASKS["copy"].defaults
    assert (found["num_steps"], found["tokens"]) == (defaults.longest, defaults.tokens / 5)
    assert (found["delay"], found["forget_bias"]) == (30, 4.0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_printed(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without reading data, and what is given comes first."""
    shown, errors = succeeds(["train", "--preset", preset, "--dry-run"], capsys)
    found = tomllib.loads(shown)
    assert errors == []
    assert {name: found[name] for name in PRESETS[preset]} == PRESETS[preset]
    shown, _ = succeeds(
        ["train", "--preset", preset, "--dry-run", "--updates", "3", "--clip-norm", "9"], capsys
    )
    changed = tomllib.loads(shown)
    assert changed == {name: found[name] for name in found if name != "epochs"} | {
        "updates": 3.0,
        "clip_norm": 9.0,
    }


def test_a_dry_run_is_of_a_new_run(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("resume", "start-from"):
        message = f"--dry-run must be left out with --{option}"
        assert_refused(["train", f"--{option}", "x", "--dry-run"], message, capsys)


def test_a_dry_run_reads_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On whose size the defaults depend."""
    path = tmp_path / "a.csv"
    path.write_text("x\n" + "".join(f"{number * number % 17}\n" for number in range(1000)), encoding="utf-8")
    found = tomllib.loads(succeeds(["train", "--data", str(path), "--dry-run"], capsys)[0])
    task = tf_rnn.Experiment("series", data=path)
    assert (found["task"], found["batch_size"]) == ("series", task.setup.batch_size)
    assert (found["num_steps"], found["target"]) == (max(task.defaults.num_steps), ["x"])
    assert found["epochs"] == 100 == task.prepare().options["epochs"]
    shown = succeeds(["train", "--data", str(path), "--updates", "7", "--dry-run"], capsys)[0]
    assert "epochs" not in tomllib.loads(shown)


def test_options_of_another_style_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("train", "compare", "recommend", "lags"):
        for option, style in (("stride", "sliding"), ("tolerance", "adaptive")):
            message = f"--{option} must be left out unless --style is {style}"
            assert_refused([verb, f"--{option}", "1" if option == "stride" else "0.5"], message, capsys)
    with pytest.raises(OptionError, match=r"^stride must be left out unless style is sliding$"):
        tf_rnn.Experiment("echo", stride=1)
    assert tf_rnn.Experiment("echo", style="sliding", stride=2).setup.stride == 2


@pytest.mark.parametrize(
    ("options", "task"),
    [
        ({}, "echo"),
        ({"data": None}, "echo"),
        ({"data": "a.txt"}, "text"),
        ({"data": "shakespeare"}, "text"),
        ({"data": "a.txt", "vocabulary_size": 9}, "words"),
        ({"data": "a.csv"}, "series"),
        ({"data": "A.CSV.GZ"}, "series"),
        ({"data": "a.parquet"}, "series"),
        ({"data": "a.csv", "horizon": 3}, "series"),
        ({"data": "a.csv", "label": "kind"}, "labels"),
        ({"data": "a.csv", "document_separator": "x"}, "series"),  # which refuses it
        ({"data": "a.tsv", "target": "load"}, "series"),
        ({"data": "a.tsv", "label": "kind", "inputs": ["x"]}, "labels"),
        ({"data": "a.tsv", "encoding": "latin-1"}, "text"),
    ],
)
def test_a_file_says_what_is_learnt(options: dict[str, Any], task: str) -> None:
    assert tf_rnn.setup.task_of(options) == task


def test_a_file_alone_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(made_up_text(400), encoding="utf-8")
    made = tf_rnn.Experiment(data=tmp_path / "a.txt")
    assert (made.setup.task, made.setup.cell) == ("text", "lstm")
    assert tf_rnn.Experiment("words", data=tmp_path / "a.txt").setup.task == "words"


# --- runs --------------------------------------------------------------------------------------------


def test_a_run_says_what_it_trains_and_whether_it_learnt_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Echo reads 2 classes: 5 x 3 weights and 3 biases in the cell, 3 x 2 and 2 in the readout."""
    with workers_here():
        nothing = max(TASKS["echo"]().baselines().values())
        words = ["train", *SMALL, "--updates", "2", "--out"]
        _, lines = succeeds([*words, str(tmp_path / "a"), "--learning-rate", "90"], capsys)
        last = metrics(tmp_path / "a")[-1]["valid_loss"]
        _, better = succeeds(
            [*words, str(tmp_path / "b"), "--learning-rate", "1e-3", "--updates", "300"], capsys
        )
    assert lines[1] == "network: 1 layer of 3 units (vanilla), 26 parameters; graph of 2 steps, batch 20"
    assert last > nothing
    worse = f"the last loss, {last:.4f}, is worse than with nothing learnt, {nothing:.4f} (no dependency)"
    assert lines[-2] == worse
    is_worse = metrics(tmp_path / "b")[-1]["valid_loss"] > nothing
    assert any("nothing learnt" in line for line in better) == is_worse


def test_resume_auto_begins_a_run_and_resumes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same line both times; and it equals a run in one go."""
    with workers_here():
        words = ["train", *SMALL, "--resume", "auto", "--seed", "3"]
        succeeds([*words, "--updates", "3", "--out", str(tmp_path / "a")], capsys)
        succeeds([*words, "--updates", "8", "--out", str(tmp_path / "a")], capsys)
        _, lines = succeeds([*words, "--updates", "8", "--out", str(tmp_path / "a")], capsys)
        succeeds(["train", *SMALL, "--seed", "3", "--updates", "8", "--out", str(tmp_path / "b")], capsys)
        message = "--seed must stay 3 in a resumed run, got 4"
        assert_refused([*words, "--seed", "4", "--out", str(tmp_path / "a")], message, capsys)
    ends = [tf_rnn.load(tmp_path / name, "last").weights for name in "ab"]
    for name, value in ends[0].items():
        np.testing.assert_array_equal(value, ends[1][name], strict=True, err_msg=name)
    assert "nothing left to do: already trained for 8 updates; raise --updates to continue" in lines


def test_resume_auto_in_python(tmp_path: Path) -> None:
    """Of a task object; of a name, above."""
    folder = tmp_path / "run"
    task = type("Own", (TASKS["echo"],), {"name": "own"})(length=400, valid_length=90)
    experiment = tf_rnn.Experiment(task, cell="vanilla", state_size=3, batch_size=20)
    for updates, new in ((3, 3), (8, 5)):
        run = experiment.train(2, updates=updates, resume="auto", out=folder, callbacks=(), threads=1)
        assert (run.result.updates, run.new_updates) == (updates, new)
    with pytest.raises(OptionError, match=r"^state must stay 'carry' in a resumed run, got 'reset'$"):
        experiment.train(2, state="reset", resume="auto", out=folder)
    with pytest.raises(
        OptionError, match=r"^resume must be None or 'auto' \(see tf_rnn.resume\), got 'runs/a'$"
    ):
        experiment.train(resume="runs/a")
    with pytest.raises(OptionError, match=r"^out must be the path of a folder, got None$"):
        experiment.train(resume="auto")
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        experiment.train(resume="auto", out=folder, epoch=3)


REFUSED = {
    "no folder": (["--resume", "auto"], "--out must be given with --resume auto"),
    "two folders": (["--resume", "a", "--out", "b"], "--out must be left out with --resume, unless "),
    "several processes": (
        ["--resume", "auto", "--out", "b", "--cluster", '{"worker": ["a:1", "b:2"]}', "--task-index", "0"],
        "--resume must be the folder of a run where several processes train, got 'auto'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_resume_auto_refuses(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = REFUSED[case]
    assert_refused(["train", *words], message, capsys)


def test_launch_refuses_what_only_one_process_does(capsys: pytest.CaptureFixture[str]) -> None:
    for words, name in ((["--resume", "auto", "--out", "b"], "resume"), (["--dry-run"], "dry-run")):
        message = f"--{name} must be left out with launch"
        assert_refused(["launch", "--", "train", *words], message, capsys)
