"""What a trained network names: its accuracy beside its loss, on the run's data and on others."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from command_helpers import assert_refused, succeeds
from model_helpers import NaiveNetwork, keep_run

import tf_rnn
from tf_rnn.cells import VanillaCell
from tf_rnn.options import OptionError
from tf_rnn.tasks import Labels, Series

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: dict[str, Any] = {"label": "word", "inputs": ["x", "y"], "series_id": "who"}


def made_frame(seed: int = 0) -> pd.DataFrame:
    """Series of 2 to 6 rows, one in three rows without a label."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(60), generator.integers(2, 7, 60))
    words = generator.choice(["no", "yes", "well"], len(who)).astype(object)
    words[generator.random(len(who)) < 0.3] = None
    columns = {name: generator.normal(3, 2, len(who)) for name in "xy"}
    return pd.DataFrame({"who": who, **columns, "word": words})


def counted_by_hand(model: tf_rnn.inference.Model, task: Labels, split: str) -> tuple[float, float, float]:
    """Loss, accuracy, and the share of the most frequent label: series by series, row by row, in NumPy."""
    network, losses, named, true = NaiveNetwork(model), list[float](), list[int](), list[int]()
    stream = task.stream(split)
    assert stream.starts is not None
    state = network.zero_state()
    for x, target, is_first in zip(stream.inputs, stream.targets, stream.starts, strict=True):
        logits, state = network.step(x, network.zero_state() if is_first else state)
        if target >= 0:
            losses.append(math.log(np.exp(logits[0] - logits[0, target]).sum()))
            named.append(int(logits[0].argmax()))
            true.append(int(target))
    share = max(true.count(place) for place in range(3)) / len(true)
    return float(np.mean(losses)), float(np.mean(np.equal(named, true))), share


class Kept(NamedTuple):
    """A run and its model and task, whose labels are those of rows or, at the end, of series."""

    run: Path
    model: tf_rnn.inference.Model
    task: Labels
    at_end: bool


@pytest.fixture(scope="module", params=["every", "end"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("kept")
    made_frame().to_csv(folder / "a.csv", index=False)
    task = Labels(folder / "a.csv", **OPTIONS, label_at=request.param)
    run = keep_run(folder / "run", task, VanillaCell(5), starts=True)
    return Kept(run, tf_rnn.load(run), task, request.param == "end")


def test_evaluate_prints_the_accuracy_beside_the_loss(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the run's data and of others, to be read and in JSON."""
    made_frame(1).to_csv(tmp_path / "b.csv", index=False)
    label_at = "end" if kept.at_end else "every"
    other = Labels(tmp_path / "b.csv", **OPTIONS, label_at=label_at, fit=kept.task.kept()["fit"])
    read_again = ["--split", "test"], ["--data", str(tmp_path / "b.csv")]
    for words, read, split in zip(read_again, (kept.task, other), ("test", "all"), strict=True):
        loss, accuracy, share = counted_by_hand(kept.model, read, split)
        most = read.most_frequent(split)[0]
        if kept.at_end == (split == "all"):
            shown, _ = succeeds(["evaluate", f"{kept.run}", *words], capsys)
            expected = f"accuracy {accuracy:.1%} (always {most}: {share:.1%})\n"
            noun = "series" if kept.at_end else "rows"
            assert shown.endswith(f" {noun}, {expected}"), f"{shown!r}, not {expected!r}"
        record = json.loads(succeeds(["evaluate", f"{kept.run}", *words, "--json"], capsys)[0])
        assert record["loss"] == pytest.approx(loss, rel=1e-5), f"{record}, not {loss}"
        found = record["accuracy"], record["most_frequent"], record["accuracy_of_most_frequent"]
        assert found == (pytest.approx(accuracy), most, pytest.approx(share)), f"{record}"


def test_label_names_rows_or_series_with_their_probabilities(
    kept: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of the table, whose series are mixed; with labels beside them where there are some."""
    new = made_frame(1).sample(frac=1, random_state=3).reset_index(drop=True)
    new.to_csv(tmp_path / "new.csv", index=False)
    new.drop(columns="word").to_csv(tmp_path / "bare.csv", index=False)
    network, expected = NaiveNetwork(kept.model), {}
    scales = kept.task.fit.scales
    for who, rows in new.groupby("who", sort=False):
        state = network.zero_state()
        for row in rows.index:
            scale = scales[""] if kept.at_end else scales.get(str(who), scales[""])
            x = [(new[name][row] - scale[name][0]) / scale[name][1] for name in "xy"]
            logits, state = network.step(np.array(x, np.float32), state)
            odds = np.exp(logits[0])
            expected[row] = odds / odds.sum()
        if kept.at_end:
            expected = {row: values for row, values in expected.items() if row not in rows.index[:-1]}
    said = {}
    for name in ("new", "bare"):
        out = tmp_path / f"{name}-labels.csv"
        words = ["label", f"{kept.run}", "--data", f"{tmp_path}/{name}.csv", "--out", f"{out}"]
        assert succeeds(words, capsys) == (f"written: {out}\n", [])
        said[name] = pd.read_csv(out, keep_default_na=False)
    found, bare = said["new"], said["bare"]
    of_rows, labels = sorted(expected), kept.task.labels
    named = [f"word={word}" for word in labels]
    np.testing.assert_allclose(found[named], [expected[row] for row in of_rows], rtol=1e-4)
    assert found["word"].to_list() == [labels[expected[row].argmax()] for row in of_rows]
    np.testing.assert_array_equal(found["probability"], found[named].max(axis=1))
    assert found["who"].to_list() == new["who"][of_rows].to_list()
    assert found["word in the table"].to_list() == new["word"][of_rows].fillna("").to_list()
    pd.testing.assert_frame_equal(bare, found.drop(columns="word in the table"))
    assert list(bare) == ["who", *([] if kept.at_end else ["row"]), "word", "probability", *named]
    if kept.at_end:
        assert_refused(words, f"--out must be a new file, '{out}' exists", capsys)
        message = f"--data must have labels in a column 'word', the file '{tmp_path}/bare.csv' has none"
        assert_refused(["evaluate", f"{kept.run}", "--data", f"{tmp_path}/bare.csv"], message, capsys)


def test_a_model_of_labels_forecasts_nothing_and_only_such_a_one_names_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one of a data frame reads other data frames, with its own labels."""
    task = Labels(made_frame(), **OPTIONS)
    folder = keep_run(tmp_path / "run", task, VanillaCell(5), starts=True)
    other, model = made_frame(1), tf_rnn.load(folder)
    expected = Labels(other, **OPTIONS, fit=task.kept()["fit"])
    found = model.evaluator.task(other)
    assert isinstance(found, Labels)
    assert found.sha256 == expected.sha256
    problem = r"^inputs must be columns of the data frame, got 'y'; it has who, x$"
    with pytest.raises(OptionError, match=problem):
        model.label(other[["who", "x"]])
    with pytest.raises(OptionError, match=r"got 'perhaps'$"):
        model.evaluator.task(other.replace("well", "perhaps"))
    other.to_csv(tmp_path / "a.csv", index=False)
    message = "DIR must hold a model of series, got one of the task labels"
    words = ["forecast", f"{folder}", "--data", f"{tmp_path}/a.csv", "--out", f"{tmp_path}/x.csv"]
    assert_refused(words, message, capsys)
    assert_refused([*words[:3], f"{tmp_path}/none.csv", *words[4:]], message, capsys)  # which is not read
    values = pd.DataFrame({"x": np.sin(np.arange(60))})
    of_series = tf_rnn.load(keep_run(tmp_path / "series", Series(values), VanillaCell(5)))
    message = "^folder must hold a model of labels, got one of the task series$"
    with pytest.raises(OptionError, match=message):
        of_series.label(values)


def test_words_that_were_not_trained_on_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They say nothing to the network, and a line says so wherever it reads them; none of those it knows."""
    frame = made_frame().assign(sky=lambda table: np.resize(["red", "blue", None], len(table)))
    frame.to_csv(tmp_path / "a.csv", index=False)
    task = Labels(tmp_path / "a.csv", **OPTIONS | {"inputs": ["x", "sky"]})
    folder = keep_run(tmp_path / "run", task, VanillaCell(5), starts=True)
    new = frame.assign(sky=np.resize(["blue", "green", "ochre"], len(frame)))
    said = "sky has words that were not trained on, and are read as none: green, ochre"
    tables = {"a": frame, "new": new, "none": new.replace(["green", "ochre"], None)}
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    out = ["label", f"{folder}", "--out"]
    for name, words in (
        ("a", ["evaluate", f"{folder}"]),
        ("new", ["evaluate", f"{folder}"]),
        ("new", [*out, f"{tmp_path}/new-of.csv"]),
        ("none", [*out, f"{tmp_path}/none-of.csv"]),
    ):
        _, lines = succeeds([*words, "--data", f"{tmp_path}/{name}.csv"], capsys)
        assert (said in lines) == (name == "new"), f"{words[0]} of {name}: {lines}"
    assert (tmp_path / "new-of.csv").read_text() == (tmp_path / "none-of.csv").read_text()


def test_rows_that_were_filled_in_are_not_named(tmp_path: Path) -> None:
    times = pd.date_range("2024-01-01", periods=90, freq="h")
    frame = pd.DataFrame({"t": times, "x": np.arange(90) % 7, "word": ["a", "b", "b"] * 30})
    frame = frame.drop(index=[20, 21, 50]).reset_index(drop=True)
    task = Labels(frame, label="word", inputs="x", time="t")
    assert task.series[0].gaps == 3
    model = tf_rnn.load(keep_run(tmp_path / "run", task, VanillaCell(5)))
    records = model.label(frame).records
    assert [record["t"] for record in records] == [str(time) for time in frame["t"]]
    assert [record["word in the table"] for record in records] == frame["word"].to_list()
