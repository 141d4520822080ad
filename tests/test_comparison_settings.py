"""The options of a comparison: what they allow, which runs they mean, what tells two apart."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from comparison_helpers import make_comparison

from tf_rnn.comparison import Comparison, RunKey
from tf_rnn.comparison.settings import LONGEST_EPOCH
from tf_rnn.files import folder_name
from tf_rnn.options import CELLS, OPTIMIZERS, OptionError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": ()}, "num_steps must have at least one value, got none"),
        ({"num_steps": (3, 0)}, "num_steps must be a whole number of at least 1, got 0"),
        ({"num_steps": (-3,)}, "num_steps must be a whole number of at least 1, got -3"),
        ({"num_steps": (2.5, 1)}, "num_steps must be a whole number of at least 1, got 2.5"),
        ({"state": ()}, "state must have at least one value, got none"),
        ({"state": ("carry", "keep")}, "state must be one of carry, reset; got 'keep'"),
        ({"seeds": 0}, "seeds must be a whole number of at least 1, got 0"),
        ({"cell": "elman"}, f"cell must be one of {', '.join(CELLS)}; got 'elman'"),
        ({"state_size": 0}, "state_size must be a whole number of at least 1, got 0"),
        ({"num_layers": True}, "num_layers must be a whole number of at least 1, got True"),
        ({"batch_size": "7"}, "batch_size must be a whole number of at least 1, got '7'"),
        (
            {"optimizer": "lbfgs"},
            f"optimizer must be one of {', '.join(OPTIMIZERS)}; got 'lbfgs'",
        ),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, got 0"),
        ({"learning_rate": math.nan}, "learning_rate must be a number above 0, got nan"),
        ({"clip_norm": -1.0}, "clip_norm must be a number above 0, got -1.0"),
        ({"budget": "days"}, "budget must be one of tokens, updates, seconds, epochs; got 'days'"),
        ({"amount": 0.0}, "amount must be a number above 0, got 0.0"),
        ({"amount": math.inf}, "amount must be a number above 0, got inf"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$") as caught:
        make_comparison(**changes)
    assert isinstance(caught.value, ValueError)
    assert caught.value.option == next(iter(changes))


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^task must be one of echo, .*; got 'ehco'$"):
        make_comparison(task="ehco", task_options={})


def test_options_reach_the_task() -> None:
    task = make_comparison().make_task()
    assert (task.lags, len(task.stream("valid").targets)) == ((2, 5), 90)


def test_the_data_must_hold_a_block_of_the_widest() -> None:
    epochs: dict[str, Any] = {"budget": "epochs", "amount": 1}
    comparison = make_comparison(num_steps=(85, 2), batch_size=7, **epochs)
    comparison.check_data(comparison.make_task())
    wider = make_comparison(num_steps=(2, 86), batch_size=7, **epochs)
    message = "num_steps must be at most 85 (the 600 tokens of split 'train' cut into 7 rows), got 86"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        wider.check_data(wider.make_task())
    larger = make_comparison(batch_size=601, **epochs)
    message = "batch_size must be at most 600 for the 600 tokens of split 'train', got 601"
    with pytest.raises(OptionError, match=f"^{message}$"):
        larger.check_data(larger.make_task())


def test_keys_are_all_runs_those_with_most_updates_first() -> None:
    keys = make_comparison(num_steps=(4, 1, 4), state=("reset", "carry", "reset"), seeds=2).keys
    assert keys == [
        RunKey(1, "reset", 0),
        RunKey(1, "reset", 1),
        RunKey(1, "carry", 0),
        RunKey(1, "carry", 1),
        RunKey(4, "reset", 0),
        RunKey(4, "reset", 1),
        RunKey(4, "carry", 0),
        RunKey(4, "carry", 1),
    ]


def test_title_of_a_key() -> None:
    assert RunKey(20, "reset", 3).title == "width 20, reset, seed 3"


def identity(**changes: Any) -> dict[str, Any]:
    comparison = make_comparison(**changes)
    return comparison.identity(comparison.make_task())


def name(**changes: Any) -> str:
    comparison = make_comparison(**changes)
    return folder_name("compare", comparison.identity(comparison.make_task()))


def test_the_identity_is_everything_but_the_runs() -> None:
    found = identity()
    assert json.loads(json.dumps(found)) == found
    options = {field.name for field in dataclasses.fields(Comparison)}
    assert set(found) == options - {"num_steps", "state", "seeds"}
    assert found["task_options"] == {
        "lags": [2, 5],
        "effects": [0.3, -0.15],
        "seed": 0,
        "length": 1500,  # of the 600 asked for, as many as a run reads
        "valid_length": 90,
    }
    assert {key: found[key] for key in ("cell", "batch_size", "clip_norm", "amount")} == {
        "cell": "vanilla",
        "batch_size": 7,
        "clip_norm": None,
        "amount": 1500,
    }


@pytest.mark.parametrize("changes", [{"num_steps": (9,)}, {"state": ("reset",)}, {"seeds": 5}])
def test_more_runs_keep_identity_and_name(changes: dict[str, Any]) -> None:
    assert identity(**changes) == identity()
    assert name(**changes) == name()


OTHERS: list[dict[str, Any]] = [
    {},
    {"task_options": {"lags": [2, 5], "effects": [0.3, -0.1]}},
    {"cell": "gru"},
    {"state_size": 4},
    {"num_layers": 2},
    {"batch_size": 8},
    {"optimizer": "adam"},
    {"learning_rate": 0.2},
    {"clip_norm": 1.0},
    {"budget": "updates"},
    {"amount": 1501},
]


def test_any_other_option_makes_another_identity_and_name() -> None:
    for one, other in itertools.combinations(OTHERS, 2):
        assert identity(**one) != identity(**other), (one, other)
        assert name(**one) != name(**other), (one, other)


def test_a_name_tells_task_and_cell() -> None:
    assert re.fullmatch(r"compare-echo-vanilla-3-[0-9a-f]{6}", name())
    assert re.fullmatch(r"compare-echo-lstm-5-[0-9a-f]{6}", name(cell="lstm", state_size=5))


def test_other_text_in_the_same_file_is_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "data.txt"
    options: dict[str, Any] = {"task": "text", "task_options": {"data": str(path)}}
    hashes = []
    for text in ("a cat sat on a mat. " * 9, "a dog sat on a log. " * 9):
        path.write_text(text, encoding="utf-8")
        found = identity(**options)
        assert found["task_options"]["data"] == str(path)
        hashes.append(found["data_sha256"])
    assert len(set(hashes)) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes)


def test_made_data_last_for_a_run_but_fit_into_memory() -> None:
    assert make_comparison(amount=10**12).make_task().options()["length"] == LONGEST_EPOCH
    assert make_comparison(amount=599.5).make_task().options()["length"] == 600
    assert make_comparison(budget="updates", amount=1500).make_task().options()["length"] == 600
