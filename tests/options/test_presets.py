"""Presets: settings from the literature under a name, behind whatever else is given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import assert_refused, succeeds
from model_helpers import made_up_text, metrics, scalars

from tf_rnn.cli import train as train_command
from tf_rnn.cli.parser import Parser, chosen
from tf_rnn.inference import load
from tf_rnn.options.declared import SETUP_OPTIONS
from tf_rnn.options.presets import EXCLUDED, NEEDED, PRESETS, preset_options
from tf_rnn.run_config import RUN_OPTIONS
from tf_rnn.setup import Setup
from tf_rnn.training import Schedule
from tf_rnn.training.schedules import Moment

if TYPE_CHECKING:
    from pathlib import Path

# Zaremba, Sutskever & Vinyals 2014, section 4.1, and the code that they published: all sizes.
ZAREMBA: dict[str, Any] = {
    "task": "words",
    "task_options": {"data": "ptb"},
    "cell": "lstm",
    "num_layers": 2,
    "cell_options": {"forget_bias": 0.0},
    "batch_size": 20,
    "optimizer": "sgd",
    "learning_rate": 1.0,
    "reduction": "sum",
    "tied": False,
    "style": "block",
    "stride": 1,
}
OF_SIZE: dict[str, dict[str, Any]] = {
    name: {
        "state_size": size,
        "embedding_size": size,
        "clip_norm": limit,
        "dropout": dropout,
        "init_scale": scale,
    }
    for name, size, limit, dropout, scale in [
        ("ptb-small", 200, 5.0, 0.0, 0.1),
        ("ptb-medium", 650, 5.0, 0.5, 0.05),
        ("ptb-large", 1500, 10.0, 0.65, 0.04),
    ]
}
TRAINING: dict[str, dict[str, Any]] = {
    "ptb-small": {"num_steps": 20, "epochs": 13, "decay": 1 / 2, "decay_after": 4},
    "ptb-medium": {"num_steps": 35, "epochs": 39, "decay": 1 / 1.2, "decay_after": 6},
    "ptb-large": {"num_steps": 35, "epochs": 55, "decay": 1 / 1.15, "decay_after": 14},
}


def settled(*words: str) -> dict[str, Any]:
    """The options that a command line of `train` comes to."""
    parser = Parser()
    train_command.add_options(parser)
    given = vars(parser.parse_args(words))
    return preset_options(given.get("preset"), given) | given


def setup(*words: str) -> Setup:
    return Setup.of(**chosen(settled(*words), SETUP_OPTIONS))


@pytest.mark.parametrize("name", OF_SIZE)
def test_ptb_is_zaremba_s(name: str) -> None:
    assert setup("--preset", name) == Setup(**ZAREMBA, **OF_SIZE[name])
    options = settled("--preset", name)
    assert chosen(options, TRAINING[name]) == TRAINING[name]
    assert options["schedule"] == "step"
    assert not {"state", "seed", "patience", "tokens", "updates", "seconds"} & set(options)


def test_char_rnn_is_karpathy_s() -> None:
    """The defaults of char-rnn's train.lua (2015), which limits elements of the gradient, not its norm."""
    assert setup("--preset", "char-rnn") == Setup(
        task="text",
        cell="lstm",
        state_size=128,
        num_layers=2,
        cell_options={"forget_bias": 1.0},
        batch_size=50,
        optimizer="rmsprop",
        learning_rate=0.002,
        clip_norm=5.0,
        dropout=0.0,
        init_scale=0.08,
    )
    options = settled("--preset", "char-rnn")
    assert (options["num_steps"], options["epochs"]) == (50, 50)
    schedule = Schedule(options["schedule"], options["decay"], options["decay_after"])
    factors = [schedule.factor(Moment(epoch, 0.0, [], 0)) for epoch in (1, 10, 11, 12, 50)]
    assert factors == [1, 1, 0.97, 0.97**2, 0.97**40]


def test_without_a_preset_nothing_is_set() -> None:
    assert preset_options(None, {"task": "text"}) == {}
    assert setup("--task", "text") != setup("--task", "text", "--preset", "char-rnn")


def test_presets_have_declared_options() -> None:
    for preset in PRESETS.values():
        for name, value in preset.items():
            assert RUN_OPTIONS[name].check(value) == value


# --- what is given comes first ---------------------------------------------------------------------

# What is given besides the preset, and what it comes to.
GIVEN: dict[str, dict[str, Any]] = {
    "--state-size 7 --num-layers 1 --batch-size 3 --num-steps 4": {
        "state_size": 7,
        "num_layers": 1,
        "batch_size": 3,
        "num_steps": 4,
    },
    "--num-layers 1 --reduction mean": {"num_layers": 1, "reduction": "mean"},  # the defaults
    "--optimizer adam": {"optimizer": "adam"},
    "--updates 3": {"updates": 3.0, "epochs": None},
    "--epochs 3": {"epochs": 3.0},
    "--cell lstm --schedule step": {"forget_bias": 0.0, "decay_after": 4},  # the same as the preset's
    "--cell gru": {"cell": "gru", "forget_bias": None},
    "--forget-bias 2": {"forget_bias": 2.0, "decay": 0.5},
    "--schedule cosine": {"schedule": "cosine", "decay": None, "decay_after": None},
    "--decay 0.9": {"schedule": "step", "decay": 0.9, "decay_after": 4},
    "--data mine": {"data": "mine", "task": "words"},
    "--recurrent-init glorot": {"recurrent_init": "glorot", "init_scale": None},
}


@pytest.mark.parametrize("given", GIVEN)
def test_what_is_given_comes_before_the_preset(given: str) -> None:
    """Wherever it stands, be it the default; what only goes with the preset's is left out."""
    words, expected = given.split(), GIVEN[given]
    for line in (["--preset", "ptb-small", *words], [*words, "--preset", "ptb-small"]):
        options = settled(*line)
        assert {option: options.get(option) for option in expected} == expected, line
        setup(*line)


def test_another_task_than_that_of_the_preset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--preset", "char-rnn", "--task", "copy"]
    assert_refused(words, "--task must be text with the preset char-rnn, got 'copy'", capsys)
    assert settled("--preset", "char-rnn", "--task", "text") == settled("--preset", "char-rnn")


def test_what_belongs_to_what_is_known() -> None:
    """Names that a preset or the parser has."""
    for preset in PRESETS.values():
        for option, needed in NEEDED.items():
            assert option not in preset or needed in preset, f"{option} needs {needed}"
    others = (other for group in EXCLUDED.values() for other in group)
    assert {*NEEDED, *NEEDED.values(), *EXCLUDED, *others} <= set(RUN_OPTIONS)


# --- a run -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def penn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory like the Penn Treebank's, with 840 words to train on: two blocks of 20 rows of 20."""
    folder = tmp_path_factory.mktemp("penn")
    for name, lines in (("train", 140), ("valid", 10), ("test", 9)):
        text = " the <unk> sat on it \n" * lines
        (folder / f"ptb.{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_a_run_of_the_small_network_of_the_paper(
    penn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but its sizes: what the run says of itself, its 13 epochs of 13 updates, its learning rates."""
    folder = tmp_path / "out"
    words = ["--preset", "ptb-small", "--data", str(penn), "--state-size", "3"]
    words += ["--num-layers", "1", "--num-steps", "3"]
    _, lines = succeeds(["train", *words, "--threads", "1", "--out", str(folder)], capsys)
    assert lines[0] == "words: 840 train / 60 valid / 54 test tokens, 6 types"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["training"] == {
        "budget": {"kind": "epochs", "amount": 13.0},
        "state": "carry",
        "evaluations": None,
        "truncation": {"style": "block", "stride": 1, "tolerance": 0.1, "seed": 0},
        "schedule": {"name": "step", "decay": 0.5, "decay_after": 4, "warm_up_updates": 0},
        "schedule_width": None,
        "patience": None,
        "seed": 0,
    }
    assert config["task"]["options"]["data"] == str(penn)
    assert [line["epoch"] for line in metrics(folder)] == list(range(1, 14))
    rates = {(step - 1) // 13 + 1: rate for step, rate in scalars(folder / "summaries")["learning_rate"]}
    assert rates == {epoch: 0.5 ** max(0, epoch - 4) for epoch in range(1, 14)}


def test_a_resumed_run_is_not_changed_by_a_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was typed the first time stays, unless it is typed again."""
    text, folder = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(made_up_text(400), encoding="utf-8")
    words = ["train", "--preset", "char-rnn", "--data", str(text), "--state-size", "4", "--batch-size", "3"]
    words += ["--num-steps", "2", "--cell", "vanilla", "--num-layers", "1"]
    succeeds([*words, "--clip-norm", "0.5", "--updates", "2", "--out", str(folder)], capsys)
    typed: list[tuple[list[str], float]] = [([], 0.5), (["--clip-norm", "5"], 5.0)]
    for more, limit in typed:
        succeeds([*words, *more, "--resume", str(folder), "--updates", f"{limit * 10:.0f}"], capsys)
        assert load(folder, "last").config["graph"]["clip_norm"] == limit
