"""The settings of a comparison: what they allow, their runs, and what distinguishes two of them."""

from __future__ import annotations

import contextlib
import dataclasses
import fractions
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparison_helpers import RUNS, make_comparison

from tf_rnn.comparison import RunKey
from tf_rnn.comparison.settings import LONGEST_EPOCH
from tf_rnn.files import folder_name, require_same
from tf_rnn.options import LARGEST_WIDTH, OptionError
from tf_rnn.setup import ONLY_WHERE_USED, Setup
from tf_rnn.tasks import TASKS, Echo

if TYPE_CHECKING:
    from pathlib import Path

WHOLE_ROWS = "where style is full, which trains whole rows whatever the width"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": ()}, "num_steps must have at least one value, got none"),
        ({"num_steps": (3, 0)}, "num_steps must be a whole number of at least 1, got 0"),
        (
            {"num_steps": (3, LARGEST_WIDTH + 1)},
            "num_steps must be a whole number of at most 10000, got 10001",
        ),
        ({"seeds": 0}, "seeds must be a whole number of at least 1, got 0"),
        ({"budget": "days"}, "budget must be one of tokens, updates, seconds, epochs; got 'days'"),
        ({"learning_rate": (0.1, 0)}, "learning_rate must be a number above 0, got 0"),
        ({"task": "ehco", "task_options": {}}, f"task must be one of {', '.join(TASKS)}; got 'ehco'"),
        ({"style": "full"}, f"num_steps must be a single width {WHOLE_ROWS}, got 1, 4"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make_comparison(**changes)


@pytest.mark.parametrize(
    ("given", "widths"),
    [
        (("5:50:15",), (5, 20, 35, 50)),
        (("1:64:log2",), (1, 2, 4, 8, 16, 32, 64)),
        (("3:6",), (3, 4, 5, 6)),
        (("3:20:log2",), (3, 6, 12)),
        ([7, "1:5:2", 3], (7, 1, 3, 5, 3)),
    ],
)
def test_ranges_of_widths(given: Any, widths: tuple[int, ...]) -> None:
    found = make_comparison(num_steps=given)
    assert found.num_steps == widths
    assert found.widths == sorted(set(widths))


def test_learning_rates_are_an_axis() -> None:
    assert make_comparison(num_steps=[1]).learning_rate == (Setup(task="echo").learning_rate,)
    found = make_comparison(num_steps=[1], state=["carry"], seeds=1, learning_rate=[0.25, 0.5, 0.25])
    assert found.keys == [RunKey(1, "carry", 0, 0.25), RunKey(1, "carry", 0, 0.5)]
    assert found.question(found.make_task()).learning_rates == (0.25, 0.5)
    assert found.keys[0].title == "width 1, carry, rate 0.25, seed 0"


def test_numbers_of_any_kind_can_be_written() -> None:
    found = make_comparison(num_steps=(np.int64(4),), seeds=np.uint8(2), amount=fractions.Fraction(3, 2))
    assert json.dumps(dataclasses.asdict(found)["num_steps"]) == "[4]"
    assert (found.seeds, found.amount, type(found.amount)) == (2, 1.5, float)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": (85, 2)}, None),
        (
            {"num_steps": (2, 86)},
            r"num_steps must be at most 85 \(the 600 tokens .* cut into 7 rows\), got 86; ",
        ),
        ({"batch_size": 601}, "batch_size must be at most 600 for the 600 tokens of split 'train', got 601"),
    ],
)
def test_the_data_must_hold_a_block_of_the_widest(changes: dict[str, Any], message: str | None) -> None:
    comparison = make_comparison(budget="epochs", amount=1, **changes)
    with pytest.raises(OptionError, match=f"^{message}") if message else contextlib.nullcontext():
        comparison.check(comparison.make_task())


def test_keys_are_all_runs_those_with_most_updates_first() -> None:
    comparison = make_comparison(num_steps=(4, 1, 4), state=("reset", "carry", "reset"), seeds=2)
    assert comparison.widths == [1, 4]
    assert comparison.keys == [
        RunKey(width, state, seed, 0.1) for width in (1, 4) for state in ("reset", "carry") for seed in (0, 1)
    ]


def identity(**changes: Any) -> dict[str, Any]:
    comparison = make_comparison(**changes)
    return comparison.identity(comparison.make_task())


def test_the_identity_is_everything_but_the_axes() -> None:
    found = identity()
    assert json.loads(json.dumps(found)) == found
    fields = {field.name for field in dataclasses.fields(Setup)}
    assert set(found) == fields - set(ONLY_WHERE_USED) | (set(RUNS) - {"num_steps", "state", "seeds"})
    assert found["task_options"] == {
        "lags": [2, 5],
        "effects": [0.3, -0.15],
        "seed": 0,
        "length": 1500,  # the task has 600; a run reads more
        "valid_length": 90,
    }
    assert {key: found[key] for key in ("cell", "batch_size", "budget", "amount")} == {
        "cell": "vanilla",
        "batch_size": 7,
        "budget": "tokens",
        "amount": 1500,
    }


def test_more_runs_keep_the_identity_and_any_other_option_makes_another_and_another_folder() -> None:
    axes: list[dict[str, Any]] = [{"num_steps": (9,)}, {"state": ("reset",)}, {"seeds": 5}]
    for changes in [*axes, {"learning_rate": (0.2, 0.3)}]:
        assert identity(**changes) == identity(), changes
    for one, other in itertools.combinations((identity(**changes) for changes in OTHERS), 2):
        assert one != other
        assert folder_name("compare", one) != folder_name("compare", other)


OTHERS: list[dict[str, Any]] = [
    {},
    {"task_options": {"lags": [2, 5], "effects": [0.3, -0.1]}},
    {"cell": "gru"},
    {"clip_norm": 0.5},
    {"dropout": 0.5},
    {"weight_decay": 0.5},
    {"initial_state": "learnt"},
    {"precision": "mixed_bfloat16"},
    {"budget": "updates"},
    {"amount": 1501},
]


def test_other_text_in_the_same_file_is_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "data.txt"
    hashes = set()
    for text in ("a cat sat on a mat. " * 9, "a dog sat on a log. " * 9):
        path.write_text(text, encoding="utf-8")
        found = identity(task="text", task_options={"data": str(path)})
        assert found["task_options"]["data"] == str(path)
        hashes.add(found["data_sha256"])
    assert len(hashes) == 2


def test_the_same_data_elsewhere_are_the_same_comparison(tmp_path: Path) -> None:
    """In another encoding, too; but not the same text in other splits."""
    text = "a cät sat on a mat. " * 9
    options: list[dict[str, Any]] = [{"data": str(tmp_path / "a.txt")}]
    options.append({"data": str(tmp_path / "b.txt"), "encoding": "latin-1"})
    for name, encoding in (("a.txt", "utf-8"), ("b.txt", "latin-1")):
        (tmp_path / name).write_text(text, encoding=encoding)
    for name, borders in (("c", (60, 100)), ("d", (70, 110))):
        (tmp_path / name).mkdir()
        options.append({"data": str(tmp_path / name)})
        parts = text[: borders[0]], text[borders[0] : borders[1]], text[borders[1] :]
        for split, part in zip(("train", "valid", "test"), parts, strict=True):
            (tmp_path / name / f"{split}.txt").write_text(part, encoding="utf-8")
    file, elsewhere, *splits = (identity(task="text", task_options=each) for each in options)
    require_same(tmp_path, file, elsewhere)
    assert folder_name("compare", file) == folder_name("compare", elsewhere)
    assert file["data_sha256"] == splits[0]["data_sha256"] == splits[1]["data_sha256"]
    for one, other in itertools.combinations((file, *splits), 2):
        with pytest.raises(OptionError, match=r"^out must hold results of the same .* data_lengths is "):
            require_same(tmp_path, one, other)


class Odd(Echo):
    name = "odd"

    def options(self) -> dict[str, Any]:
        return {"rng": np.random.default_rng()}


def test_a_task_whose_options_json_cannot_hold_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^task must have options that JSON can hold \("):
        make_comparison().identity(Odd())


def test_generated_data_last_for_a_run_but_fit_into_memory() -> None:
    assert make_comparison(amount=10**12).make_task().options()["length"] == LONGEST_EPOCH
    assert make_comparison(amount=599.5).make_task().options()["length"] == 600
    assert make_comparison(budget="updates", amount=1500).make_task().options()["length"] == 600
    assert make_comparison().make_task(Echo(length=7)).options()["length"] == 1500
