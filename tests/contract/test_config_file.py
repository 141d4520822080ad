"""`run.toml` beside every result: with `--config` it repeats the result; the command line overrides it."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import assert_refused, said, succeeds, workers_here
from model_helpers import metrics

import tf_rnn
from tf_rnn.options.declared import RECOMMEND_OPTIONS, SETUP_OPTIONS
from tf_rnn.options.file import RUN_FILE, options_text, overridden, read_options
from tf_rnn.run_config import RUN_OPTIONS
from tf_rnn.setup import Setup, options_file
from tf_rnn.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = ["--state-size", "3", "--batch-size", "20"]
TRAIN = ["train", *SMALL, "--num-steps", "4", "--updates", "5", "--threads", "1"]


@pytest.fixture(scope="module", autouse=True)
def _little_data() -> Iterator[None]:
    with workers_here():
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "run"
    said("train", folder, *TRAIN[1:], "--clip-norm", "off", "--seed", "7")
    return folder


def without_time(folder: Path) -> list[dict[str, Any]]:
    return [record | {"seconds": None} for record in metrics(folder)]


def test_a_run_is_repeated(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(kept / RUN_FILE)
    succeeds(["train", "--config", config, "--threads", "1", "--out", str(tmp_path / "again")], capsys)
    assert without_time(tmp_path / "again") == without_time(kept)
    ours, theirs = (json.loads((path / "config.json").read_text()) for path in (kept, tmp_path / "again"))
    assert ours == theirs


def test_it_changes_with_a_resumed_run(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a run of that length repeats both parts."""
    folder = tmp_path / "run"
    succeeds([*TRAIN, "--out", str(folder)], capsys)
    before = tomllib.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    succeeds(["train", "--resume", str(folder), "--tokens", "900", "--clip-norm", "2"], capsys)
    after = tomllib.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    del before["updates"]
    assert after == before | {"tokens": 900.0, "clip_norm": 2.0}


SWEEPS = {
    "compare": (["--num-steps", "2", "4", "--seeds", "1", "--amount", "900"], "results.json"),
    "recommend": (["--num-steps", "2", "--seeds", "1", "--amount", "900", "--verify"], "recommendation.json"),
    "lags": (["--num-steps", "5", "--tokens", "700", "--at", "30"], "lags.json"),
}


CLOCKS = re.compile("second|sentence|verdict|memory|bytes|costs|slope|answer|share|width")


def results(value: Any) -> Any:
    """A result without what is measured with a clock, and without sentences about it."""
    if isinstance(value, dict):
        return {name: results(part) for name, part in value.items() if not CLOCKS.search(name)}
    return [results(part) for part in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("verb", SWEEPS)
def test_measurements_are_repeated(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, file = SWEEPS[verb]
    succeeds([verb, *SMALL, *words, "--out", str(tmp_path / "a")], capsys)
    config = ["--config", str(tmp_path / "a" / RUN_FILE)]
    succeeds([verb, *config, "--out", str(tmp_path / "b")], capsys)
    found = [json.loads((tmp_path / name / file).read_text(encoding="utf-8")) for name in "ab"]
    assert results(found[0]) == results(found[1])
    texts = [(tmp_path / name / RUN_FILE).read_text(encoding="utf-8") for name in "ab"]
    assert texts[0] == texts[1]
    assert texts[0].startswith(f"# python -m tf_rnn {verb} --config run.toml\n")


@pytest.mark.parametrize("task", TASKS)
def test_a_setup_comes_back_from_its_file(task: str, tmp_path: Path) -> None:
    """Of every task, in Python's types."""
    setup = Setup(task=task)
    text = options_file("train", setup, setup.make_task(), learning_rate=0.25)
    assert text is not None
    (tmp_path / RUN_FILE).write_text(text, encoding="utf-8")
    read = read_options(tmp_path / RUN_FILE, RUN_OPTIONS)
    made = Setup.of(**{name: read[name] for name in SETUP_OPTIONS if name in read})
    assert made.make_task().options() == setup.make_task().options()
    assert vars(made) | {"task_options": {}} == vars(setup) | {"learning_rate": 0.25, "task_options": {}}


def test_a_task_of_one_s_own_has_no_file() -> None:
    task = TASKS["echo"]()
    assert options_file("train", Setup(task=task), task) is None
    assert options_file("train", Setup(task="echo", task_options={"seed": 3}), task) is None


def test_what_is_left_out_of_a_file() -> None:
    """None where that is the default, flags that are not set, and what has no meaning beside the rest."""
    values = {"style": "block", "stride": 1, "tied": False, "clip_norm": None, "init_scale": None, "seed": 5}
    text = options_text("train", values, RUN_OPTIONS)
    assert (
        text == '# python -m tf_rnn train --config run.toml\nstyle = "block"\nclip_norm = "off"\nseed = 5\n'
    )


@pytest.mark.parametrize("word", ["a b", "ä中", 'q"\\', "\n\t\x1b\x7f", "\U0001f600", "off"])
def test_any_text_comes_back(word: str) -> None:
    text = options_text("train", {"task": "series", "data": word}, RUN_OPTIONS)
    assert tomllib.loads(text) == {"task": "series", "data": word}


def test_the_command_line_comes_first() -> None:
    """Of what only one may be given, the file's is left out, and so is what has no meaning any more."""
    read = {"epochs": 3.0, "cell": "lstm", "forget_bias": 2.0, "seed": 1, "state_size": 9}
    given = {"updates": 7.0, "cell": "gru", "seed": 2}
    found = overridden(read, given, RUN_OPTIONS, [("epochs", "updates", "tokens", "seconds")])
    assert found == {"updates": 7.0, "cell": "gru", "seed": 2, "state_size": 9}
    same = overridden(read, {"cell": "lstm"}, RUN_OPTIONS, [])
    assert same == read


def test_a_file_of_one_s_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names as on the command line, ranges, and flags."""
    path = tmp_path / "mine.toml"
    path.write_text('num-steps = ["2:6:2", 9]\nstate = ["carry"]\nseeds = 1\namount = 900\nverify = true\n')
    read = read_options(path, RECOMMEND_OPTIONS | {"state": tf_rnn.options.declared.COMPARE_OPTIONS["state"]})
    sweep = {"num_steps": (2, 4, 6, 9), "state": ("carry",), "seeds": 1, "amount": 900.0}
    assert read == {**sweep, "verify": True}
    path.write_text('task = "echo"\nlags = [1, 2]\neffects = [0.5, 0.25]\n', encoding="utf-8")
    shown, _ = succeeds(["train", "--config", str(path), "--dry-run", "--lags", "4", "9"], capsys)
    assert tomllib.loads(shown)["lags"] == [4, 9]


REFUSED = {
    "no file": (None, "--config must be a TOML file of options, got '{path}' (No such file or directory)"),
    "no TOML": ("a = ", "--config must be a TOML file of options, got '{path}' (Invalid value (at end of "),
    "another option": ("hidden_size = 3", "--config must have options of this command, '{path}' has "),
    "a value": ("seed = -1", "--seed must be a whole number of at least 0, got -1 (in '{path}')"),
    "another type": ("state = 3", "--state must be one of carry, reset; got 3 (in '{path}')"),
    "an option of another task": ("delay = 3", "--delay must be left out unless --task is copy"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = REFUSED[case]
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert_refused(["train", "--config", str(path)], message.format(path=path), capsys)
