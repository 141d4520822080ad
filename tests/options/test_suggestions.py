"""Names that no option has: the one that was meant is named, on the command line and in Python."""

from __future__ import annotations

import re

import pytest
from command_helpers import run_main

import tf_rnn
from tf_rnn.options import OptionError, meant
from tf_rnn.options.declared import LENGTH_OPTIONS, SETUP_OPTIONS, TRAINING_OPTIONS, WORKER_OPTIONS
from tf_rnn.options.names import OTHER_NAMES

KNOWN = {*SETUP_OPTIONS, *LENGTH_OPTIONS, *TRAINING_OPTIONS, *WORKER_OPTIONS, "out", "patience", "threads"}


def test_other_names_are_of_options_and_are_none_themselves() -> None:
    assert set(OTHER_NAMES.values()) <= KNOWN
    assert not set(OTHER_NAMES) & KNOWN


MEANT: dict[str, str | None] = {
    **OTHER_NAMES,
    "--lr": "learning_rate",
    "--hidden-size": "state_size",
    "--Learning-Rat": "learning_rate",
    "epoch": "epochs",
    "lag": "lag",
    "statesize": "state_size",
    "xyzzy": None,
    "": None,
}


def test_what_was_meant() -> None:
    """And only what is allowed is suggested."""
    assert {word: meant(word, KNOWN) for word in MEANT} == MEANT
    assert meant("lr", {"seed"}) is None


UNKNOWN = "error: unrecognized arguments: "
LINES = {
    "train --lr 0.1": f"tf_rnn train: {UNKNOWN}--lr 0.1; did you mean --learning-rate?",
    "train --seq-len=3": f"tf_rnn train: {UNKNOWN}--seq-len=3; did you mean --num-steps?",
    "compare --layers 2 --x": f"tf_rnn compare: {UNKNOWN}--layers --x; did you mean --num-layers?",
    "compare --tokens 3": f"tf_rnn compare: {UNKNOWN}--tokens; did you mean --amount?",
    "evaluate r --jsn": f"tf_rnn evaluate: {UNKNOWN}--jsn; did you mean --json?",
    "lags --xyzzy": f"tf_rnn lags: {UNKNOWN}--xyzzy",
    "lags more": f"tf_rnn lags: {UNKNOWN}more",
}  # fmt: skip


def test_the_command_line_says_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    for line, expected in LINES.items():
        assert run_main(line.split(), capsys) == (2, "", f"{expected}\n")
    status, _, errors = run_main(["comprae"], capsys)
    assert (status, errors.endswith("'audit'); did you mean compare?\n")) == (2, True), errors


def test_an_option_of_another_task_names_the_one_of_this() -> None:
    unless = "must be left out unless task is"
    for task, option, problem in (
        ("labels", "target", f"{unless} series; did you mean label?"),
        ("series", "label", f"{unless} labels; did you mean target?"),
        ("echo", "lag", f"{unless} memory; did you mean lags?"),
        ("echo", "horizon", f"{unless} series"),
    ):
        with pytest.raises(OptionError, match=f"^{re.escape(f'{option} {problem}')}$"):
            tf_rnn.Experiment(task, **{option: 3 if option in ("lag", "horizon") else "x"})


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["--version"], capsys) == (0, f"tf_rnn {tf_rnn.__version__}\n", "")


@pytest.mark.parametrize(
    ("verb", "wrong", "where", "right"),
    [
        ("train", "seq_len", "Experiment.prepare", "num_steps"),
        ("compare", "bptt", "Experiment.compare", "num_steps"),
        ("recommend", "seed", "Experiment.recommend", "seeds"),
        ("lags", "token", "Experiment.lags", "tokens"),
    ],
)
def test_python_says_what_was_meant(verb: str, wrong: str, where: str, right: str) -> None:
    message = rf"^{where}\(\) got an unexpected keyword argument '{wrong}'; did you mean {right}\?$"
    with pytest.raises(TypeError, match=message):
        getattr(tf_rnn.Experiment(), verb)(**{wrong: 3})


def test_an_experiment_and_a_resumed_run_say_what_was_meant() -> None:
    message = r"^Setup\(\) got an unexpected keyword argument 'hidden_size'; did you mean state_size\?$"
    with pytest.raises(TypeError, match=message):
        tf_rnn.Experiment("echo", hidden_size=3)
    message = r"^Setup\(\) takes no num_steps; train, compare, recommend and lags do$"
    with pytest.raises(TypeError, match=message):
        tf_rnn.Experiment("echo", num_steps=3)
    with pytest.raises(TypeError, match=r"^resume\(\) .* 'wd'; did you mean weight_decay\?$"):
        tf_rnn.resume("run", wd=3)
