"""Exports of networks on tables, fed with the table itself, give what the network does in its units."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers import assert_close
from model_helpers import keep_run

import tf_rnn
from tf_rnn.cells import VanillaCell
from tf_rnn.inference import export
from tf_rnn.inference.outputs import outputs
from tf_rnn.inference.units import CYCLES, units_of
from tf_rnn.tasks import Labels, Series
from tf_rnn.tasks.features import CYCLES as OF_TABLES
from tf_rnn.tasks.times import times_after

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tf_rnn.inference import Model
    from tf_rnn.tasks.tables import Measured

LENGTH = 40  # rows of each of two series


def made_frame() -> pd.DataFrame:
    """Two series of different levels, with gaps in numbers and words, but for the row each begins with."""
    rng, length = np.random.default_rng(4), 2 * LENGTH
    who = np.repeat(["a", "b"], LENGTH)
    load = np.where(who == "a", 40, 9000) + rng.normal(0, 1, length).cumsum() * np.where(who == "a", 1, 300)
    wind = 1e6 + rng.normal(0, 3, length)
    sky = rng.choice(["red", "grün", "blue"], length).astype(object)
    for values, missing, share in ((load, np.nan, 0.1), (wind, np.nan, 0.2), (sky, None, 0.2)):
        values[(rng.random(length) < share) & (np.arange(length) % LENGTH > 0)] = missing
    time = np.tile(pd.date_range("2023-12-30 17:00", periods=LENGTH, freq="7h"), 2)
    feast = rng.choice(["no", "yes"], length)
    area = np.where(who == "a", 3.5, 7.5)
    columns = {
        "price": np.arange(length) % 5.0,
        "feast": feast,
        "area": area,
        "kind": "k" + who.astype(object),
    }
    return pd.DataFrame({"who": who, "time": time, "load": load, "wind": wind, "sky": sky, **columns})


SERIES: dict[str, dict[str, Any]] = {
    "values": {"difference": "off"},
    "changes": {"difference": "on", "horizon": 3, "inputs": "wind", "known": "price"},
    "quantiles": {"difference": "on", "horizon": 2, "quantiles": [0.9, 0.2, 0.5], "target": ["wind", "load"]},
    "several": {
        "series_id": "who",
        "static": ["kind", "area"],
        "inputs": "sky",
        "known": ["feast", "price"],
        "horizon": 2,
        "calendar": ["month", "hour", "weekday"],
        "difference": "off",
    },
}
LABELS: dict[str, dict[str, Any]] = {
    "labels": {"inputs": ["load", "wind"], "calendar": ["hour"], "series_id": "who"},
    "labels of words": {"inputs": ["feast"]},
}


def fed_of(task: Any, one: Measured) -> dict[str, NDArray[Any]]:
    """What the signature is fed in each row of a series, by hand: nan and "" where there is nothing."""
    rows, targets = np.arange(len(one)), list(task.columns.target)
    entries = [(name, rows) for name in (*targets, *task.columns.inputs, *task.columns.static)]
    entries += [(name, rows + step) for name in task.columns.known for step in range(1, task.horizon + 1)]
    numbers = [
        np.where(at < len(one), one.numbers[name][at % len(one)], np.nan)
        for name, at in entries
        if name in one.numbers
    ]
    words = [
        [one.words[name][place] or "" for place in np.minimum(at, len(one) - 1)]
        for name, at in entries
        if name in one.words
    ]
    assert one.times is not None
    times = np.append(one.times[1:], times_after(one.times, 1)) if targets else one.times
    return {
        "values": np.reshape(numbers, (-1, len(one))).T,
        "words": np.array(words, object).T,
        "series": np.full(len(one), one.name, object),
        "time": (times - np.datetime64(0, "s")) / np.timedelta64(1, "s"),
    }


def expected_of(model: Model, task: Any, number: int) -> NDArray[np.float64]:
    """The network's predictions in every row of a series, in the units of the table."""
    one = task.series[number]
    found, _ = outputs(model, task._inputs[number])
    if isinstance(task, Labels):
        return np.asarray(found, np.float64)
    split = task.by_quantile(found.astype(np.float64))
    for place, name in enumerate(task.columns.target):
        levels = task.fit.levels(one, name)[:, np.newaxis, np.newaxis]
        split[:, place] = levels + split[:, place] * task.fit.spread(one, name)
    return np.reshape(split, (len(one), -1))


# "several" has all kinds of columns, "quantiles" all that is done to targets.
RARE = [pytest.param(case, marks=pytest.mark.slow) for case in ("values", "changes", "labels of words")]


@pytest.mark.parametrize("case", ["several", "quantiles", "labels", *RARE])
def test_an_exported_graph_takes_and_gives_units(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row as the network itself; a series that is new has the scales of all. Its README shows how."""
    frame = made_frame()
    options: dict[str, Any] = (SERIES | LABELS)[case] | {"time": "time"}
    if "series_id" not in options:
        frame = frame[:LENGTH]
    kind = Labels if case in LABELS else Series
    options = ({"label": "sky"} if kind is Labels else {"target": "load"}) | options
    task = kind(frame, **options)
    model = tf_rnn.load(keep_run(tmp_path / "run", task, VanillaCell(5), starts=task.has_starts))
    export(model, tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out" / "saved_model"))
    step, scaled_step = (loaded.signatures[name] for name in ("in_units", "serving_default"))
    signature = json.loads((tmp_path / "out" / "signature.json").read_text())["in_units"]
    new = kind(frame[-LENGTH:].assign(who="new"), **options, fit=task.kept()["fit"])
    for of, number in [*((task, number) for number in range(len(task.series))), (new, 0)]:
        one = of.series[number]
        rows = {name: fed for name, fed in fed_of(of, one).items() if name in signature["inputs"]}
        state = {"state_0": tf.zeros([1, 5])}
        if "values" in rows:
            state["previous"] = tf.constant(np.full([1, rows["values"].shape[1]], np.nan))
        assert {*rows, *state} == set(signature["inputs"])
        predicted = []
        for row in range(len(one)):
            result = step(**{name: tf.constant(fed[row : row + 1]) for name, fed in rows.items()}, **state)
            if row == 7:
                x = tf.constant(of._inputs[number][row : row + 1])
                other = scaled_step(input=x, state_0=state["state_0"])
                assert_close(result["state_0"].numpy(), other["state_0"].numpy(), 1e-5, "state")
            state = {name: result[name] for name in state}
            predicted.append(result["prediction"].numpy()[0])
        expected = expected_of(model, of, number)
        spread = expected.std(axis=0)
        assert_close(np.array(predicted) / spread, expected / spread, 1e-5, f"series {one.name!r}")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert ("value = prediction" in text) == (kind is Series)
    monkeypatch.chdir(tmp_path / "out")
    program, names = re.findall("```python\n(.*?)```", text, re.DOTALL)[-1], dict[str, Any]()
    exec(compile(program, "README.md", "exec"), names)
    assert names["result"]["prediction"].shape == (3, task.num_classes)
    for name in signature["inputs"]:
        assert (f"- `{name}`: " in text) == (not name.startswith("state")), name


@pytest.mark.parametrize("cycle", ["hour", "weekday", "month"])
def test_the_calendar_is_that_of_tables(cycle: str) -> None:
    """At every hour around the turns of years with and without a leap day, of 1900, 2000 and before 1970."""
    turns = [
        f"{year}-{end}" for year in (1899, 1900, 1969, 1999, 2000, 2023, 2024) for end in ("01-01", "12-30")
    ]
    times = np.concatenate(
        [np.datetime64(turn, "ns") + np.arange(-30, 60) * np.timedelta64(1, "h") for turn in turns]
    )
    days = (times - np.datetime64(0, "s")) / np.timedelta64(1, "D")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = session.run(CYCLES[cycle](tf.constant(days)))
    assert_close(found, OF_TABLES[cycle](times), 1e-9, cycle)


def test_only_tables_have_units() -> None:
    assert units_of({"options": {"lags": [3]}}) is None
