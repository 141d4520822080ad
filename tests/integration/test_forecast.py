"""Forecasts of a trained network, against the network run step by step, and errors in the target's units."""

from __future__ import annotations

import csv
import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from command_helpers import assert_refused, succeeds
from helpers import assert_close
from model_helpers import keep_run, made_up_text
from page_helpers import assert_page, parsed, tables

import tf_rnn
from tf_rnn.cells import VanillaCell
from tf_rnn.inference import export
from tf_rnn.inference.in_units import coverage, predictions, series_errors
from tf_rnn.options import OptionError
from tf_rnn.tasks import Series, Text
from tf_rnn.tasks.constant import constant_loss

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 130  # rows: 90 to train, 20 valid, 20 test


def write_table(path: Path, length: int = LENGTH, **columns: Any) -> Path:
    time = np.arange(length)
    load = 40 + 9 * np.sin(time / 3) + np.random.default_rng(2).normal(0, 1, length)
    usual = {"time": pd.date_range("2024-03-01", periods=length, freq="h"), "load": load}
    pd.DataFrame(usual | columns).to_csv(path, index=False)
    return path


def kept_model(folder: Path, data: Path, **options: Any) -> tf_rnn.inference.Model:
    task = Series(data, target="load", time="time", **options)
    return tf_rnn.load(keep_run(folder, task, VanillaCell(5), starts=task.has_starts))


class Kept(NamedTuple):
    """A model that tests share, its run, and its table."""

    model: tf_rnn.inference.Model
    run: Path
    data: Path

    @classmethod
    def of(cls, folder: Path, columns: dict[str, Any], **options: Any) -> Kept:
        data = write_table(folder / "a.csv", **columns)
        return cls(kept_model(folder / "run", data, **options), folder / "run", data)


@pytest.fixture(scope="module")
def level(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """One step ahead, of the values themselves."""
    return Kept.of(tmp_path_factory.mktemp("level"), {}, difference="off")


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Three steps ahead, of changes."""
    return Kept.of(tmp_path_factory.mktemp("changes"), {}, horizon=3, difference="on")


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Two series."""
    who = {"who": ["a"] * 65 + ["b"] * 65}
    return Kept.of(tmp_path_factory.mktemp("of_two"), who, series_id="who", difference="off")


@pytest.mark.parametrize(
    ("which", "asked"), [("level", None), ("level", 4), ("changes", None), ("changes", 2), ("changes", 7)]
)
def test_a_forecast_is_the_network_run_step_by_step(
    which: str, asked: int | None, request: pytest.FixtureRequest
) -> None:
    """Beyond the steps that were trained, predictions are fed back as if they had been measured."""
    kept: Kept = request.getfixturevalue(which)
    is_change, steps = which == "changes", asked or (3 if which == "changes" else 1)
    found = kept.model.forecast(asked).records
    load = pd.read_csv(kept.data)["load"].to_numpy()
    mean, spread = load[:90].mean(), (np.diff(load[:90]) if is_change else load[:90]).std()
    stepper, known, read = kept.model.stepper.another(), list(load), 0
    while len(known) < LENGTH + steps:
        for row in range(read, len(known)):
            before = known[max(row - 1, 0)] if is_change else mean
            predicted = stepper.step(np.array([[(known[row] - before) / spread]], np.float32))
        read = len(known)
        known += list(predicted[0] * spread + (known[-1] if is_change else mean))
    assert len(found) == steps
    values = np.array([record["load"] for record in found])
    assert_close(values, np.array(known[LENGTH:][:steps]), 1e-5, "forecast")
    assert found[-1]["time"] == f"2024-03-06 {9 + steps:02d}:00:00"
    assert [record["step"] for record in found] == list(range(1, steps + 1))


def test_dates_are_those_of_the_zone_of_the_table(tmp_path: Path) -> None:
    """Berlin, in the night to 31 March 2024: 02:00 is left out."""
    times = pd.date_range("2024-03-25 17:00", periods=LENGTH, freq="h", tz="Europe/Berlin")
    data = write_table(tmp_path / "a.csv", time=times)
    records = kept_model(tmp_path / "run", data, horizon=3).forecast(hold_back=2).records
    ends = ["01:00:00+01:00", "03:00:00+02:00", "04:00:00+02:00"]
    table = pd.read_csv(data)["time"].to_list()[-2:]
    assert table == [f"2024-03-31 {end}" for end in ends[:2]]
    for record, end in zip(records, ends, strict=True):
        assert pd.Timestamp(record["time"]) == pd.Timestamp(f"2024-03-31 {end}")
    assert records[0]["time"] == "2024-03-31 02:00:00+02:00", "the offset of the last row of the file"


def test_what_is_held_back_is_not_known(changes: Kept, tmp_path: Path) -> None:
    """The last rows may be anything, missing too; they stand beside the forecast."""
    model, frame = changes.model, pd.read_csv(changes.data)
    changed = frame.copy()
    changed.loc[LENGTH - 4 :, "load"] = [1e5, 7.0, np.nan, 8.0]
    changed.to_csv(tmp_path / "b.csv", index=False)
    before = model.forecast(hold_back=4).records
    after = model.forecast(data=tmp_path / "b.csv", hold_back=4).records
    assert [record["load"] for record in after] == [record["load"] for record in before]
    assert [record["load measured"] for record in before] == list(frame["load"][LENGTH - 4 : LENGTH - 1])
    assert [record["load measured"] for record in after] == [1e5, 7.0, None]


def test_what_is_known_ahead_is_read_ahead(tmp_path: Path) -> None:
    """Rows after the last target hold it, without a gap; only the steps of the forecast matter."""
    price = np.random.default_rng(4).normal(0, 1, LENGTH)
    model = kept_model(
        tmp_path / "run", write_table(tmp_path / "a.csv", price=price), horizon=2, known=["price"]
    )
    with pytest.raises(OptionError, match=r"must have 2 rows with price after the last known target.*has 0"):
        model.forecast()
    frame = pd.read_csv(tmp_path / "a.csv")
    frame.loc[LENGTH - 3 :, "load"] = np.nan
    shown = {}
    for changed in (None, LENGTH - 3, LENGTH - 2, LENGTH - 1):
        table = frame.copy()
        if changed is not None:
            table.loc[changed, "price"] += 1
        table.to_csv(tmp_path / "b.csv", index=False)
        shown[changed] = [record["load"] for record in model.forecast(data=tmp_path / "b.csv").records]
    assert shown[LENGTH - 1] == shown[None], "three steps ahead"
    assert shown[LENGTH - 3] != shown[None] != shown[LENGTH - 2]
    frame.loc[LENGTH - 2, "price"] = np.nan
    with pytest.raises(OptionError, match="it has 1 without a gap"):
        model.forecast(data=frame)


def test_a_single_row_is_enough_where_the_next_time_is_known(
    level: Kept, of_two: Kept, tmp_path: Path
) -> None:
    """Where rows have no times, or in one series of several, whose step is that of the others."""
    frame = pd.read_csv(level.data)
    model = tf_rnn.load(keep_run(tmp_path / "run", Series(frame[["load"]]), VanillaCell(5)))
    (found,) = model.forecast(data=frame[:1][["load"]]).records
    (expected,) = model.forecast(data=frame[:2][["load"]], hold_back=1).records
    assert (found["row"], found["load"]) == ("1", pytest.approx(expected["load"]))
    with pytest.raises(
        OptionError, match=r"^data must have at least 2 rows, which say how far apart times are"
    ):
        level.model.forecast(data=frame[:1])
    frame = pd.read_csv(of_two.data)
    lone = frame[-1:].assign(who="lone")
    records = of_two.model.forecast(2, pd.concat([frame, lone])).records
    assert [record["time"] for record in records[2:4]] == [record["time"] for record in records[4:]]


def test_a_new_series_knows_nothing_of_what_is_held_back(of_two: Kept, tmp_path: Path) -> None:
    """Its scale is that of all series, not its own, and the page says so."""
    frame = pd.read_csv(of_two.data)[:65].assign(who="new")
    changed = frame.copy()
    changed.loc[60:, "load"] *= 50
    before, after = (of_two.model.forecast(data=each, hold_back=5) for each in (frame, changed))
    assert [record["load"] for record in after.records] == [record["load"] for record in before.records]
    *_, page = before.write(tmp_path / "new.csv")
    assert "who has series that were not trained on" in page.read_text(encoding="utf-8")


def test_a_table_that_has_changed_must_be_given(tmp_path: Path) -> None:
    model = kept_model(tmp_path / "run", write_table(tmp_path / "a.csv"))
    write_table(tmp_path / "a.csv", length=LENGTH + 1)
    with pytest.raises(
        OptionError, match=r"^data must be given: the table that the model was trained on has"
    ):
        model.forecast()


def test_observed_columns_end_where_the_table_ends(tmp_path: Path) -> None:
    wind = np.random.default_rng(6).normal(0, 1, LENGTH)
    model = kept_model(tmp_path / "run", write_table(tmp_path / "a.csv", wind=wind), inputs="wind")
    assert len(model.forecast().records) == 1
    problem = r"^horizon must be at most 1, as trained, since its inputs \(wind\) are not known ahead, got 2$"
    with pytest.raises(OptionError, match=problem):
        model.forecast(2)


def test_errors_are_in_the_units_of_the_target(level: Kept) -> None:
    model, load = level.model, pd.read_csv(level.data)["load"].to_numpy()
    task = model.evaluator.task()
    assert isinstance(task, Series)
    network, last, *_ = series_errors(model, task, "test")
    expected = math.sqrt(model.evaluator("test").loss) * load[:90].std()
    assert network["rmse"] == pytest.approx(expected, rel=1e-5)
    steps = np.diff(load)[-20:]
    assert_close(
        [last["rmse"], last["mae"]], [np.sqrt(np.mean(steps**2)), np.abs(steps).mean()], 1e-5, "last"
    )


def test_errors_are_those_of_the_loss_that_stands_beside_them(
    of_two: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the state reset every few rows, too: rmse^2 is the loss times the squared unit."""
    task = of_two.model.evaluator.task()
    assert isinstance(task, Series)
    squares = []
    for part, of_part in zip(task.parts("test"), predictions(of_two.model, task, "test"), strict=True):
        spread = task.fit.spread(task.series[part.series], "load")
        squares += list(((of_part[:, 0, 0, 0] - task.targets_of(part)[:, 0, 0]) * spread) ** 2)
    carried = math.sqrt(np.mean(squares))
    spreads = sorted(task.fit.spread(one, "load") for one in task.series)
    words = ["evaluate", f"{of_two.run}", "--json", "--split", "test", "--batch-size", "2"]
    found = [json.loads(succeeds([*words, *more], capsys)[0]) for more in ([], ["--context", "7"])]
    rmse = [record["errors"][0]["rmse"] for record in found]
    assert rmse[0] == pytest.approx(carried, rel=1e-5)
    assert rmse[1] != pytest.approx(carried, rel=1e-3)
    for record, one in zip(found, rmse, strict=True):
        low, high = (spread * math.sqrt(record["loss"]) for spread in spreads)
        assert low * (1 - 1e-6) <= one <= high * (1 + 1e-6), f"{one}, not within {low} and {high}"


def test_other_data_may_have_another_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(write_table(tmp_path / "a.csv")).rename(columns={"load": "größe"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, encoding="latin-1")
    tasks = Series(tmp_path / "a.csv", time="time"), Series(frame, time="time")
    folders = [keep_run(tmp_path / f"run{n}", task, VanillaCell(5)) for n, task in enumerate(tasks)]
    expected = [record["größe"] for record in tf_rnn.load(folders[0]).forecast(data=frame).records]
    for folder in folders:
        out = folder.with_suffix(".csv")
        words = ["forecast", f"{folder}", "--data", f"{tmp_path}/b.csv", "--out", f"{out}"]
        if folder is folders[0]:
            assert_refused(words, "--data must be utf-8 text, but", capsys)
        succeeds([*words, "--encoding", "latin-1"], capsys)
        assert pd.read_csv(out)["größe"].to_list() == pytest.approx(expected, rel=1e-6), folder.name


def test_other_data_are_scaled_as_the_training_data_were(level: Kept, tmp_path: Path) -> None:
    """A table 100 higher is another table for the model, not the same one after a new scaling."""
    model, frame = level.model, pd.read_csv(level.data)
    frame.to_csv(tmp_path / "same.csv", index=False)
    frame.assign(load=frame["load"] + 100).to_csv(tmp_path / "b.csv", index=False)
    same, other = (model.evaluator("all", tmp_path / name).loss for name in ("same.csv", "b.csv"))
    assert same == pytest.approx(model.evaluator("all").loss, rel=1e-6)
    spread = frame["load"][:90].std(ddof=0)
    assert other > (100 / spread) ** 2 / 4, "its values lie far outside of what was trained"


def test_a_model_of_a_data_frame_reads_other_frames(tmp_path: Path) -> None:
    frame = pd.read_csv(write_table(tmp_path / "a.csv"), parse_dates=["time"]).set_index("time")
    task = Series(frame)
    assert (task.name, task.columns.time) == ("dataframe", "time")
    folder = keep_run(tmp_path / "run", task, VanillaCell(5))
    expected = tf_rnn.load(folder, task=task).forecast(3).records
    assert tf_rnn.load(folder).forecast(3, frame).records == expected
    with pytest.raises(OptionError, match="task must be given to load a model of a task of your own"):
        tf_rnn.load(folder).forecast(3)


def test_a_run_that_starts_from_another_reads_its_table_in_the_same_way(
    changes: Kept, tmp_path: Path
) -> None:
    """Columns, scale and all: before its first update it is the trained model on the new table."""
    other = write_table(tmp_path / "b.csv", 150, load=np.random.default_rng(3).normal(50, 20, 150))
    experiment = tf_rnn.Experiment("series", data=other, batch_size=3)
    started = experiment.train(4, updates=1, start_from=changes.run, callbacks=(), threads=1)
    expected = changes.model.evaluator("valid", other).loss
    assert started.curve[0].valid_loss == pytest.approx(expected, rel=1e-5)
    with pytest.raises(OptionError, match=r"^horizon must be 3, as in the run in .*, or left out; got 2$"):
        tf_rnn.Experiment("series", data=other, horizon=2).train(4, start_from=changes.run)


def test_an_export_says_in_which_units_it_reads_and_predicts(changes: Kept, tmp_path: Path) -> None:
    """By its README alone, the SavedModel gives the forecast."""
    export(changes.model, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    mean, spread = map(float, re.findall(r"^\| load \| (\S+) \| (\S+) \|$", text, re.MULTILINE)[0])
    assert mean == 0
    assert "value = prediction * spread + the last known value." in text
    load = pd.read_csv(changes.data)["load"].to_numpy()
    step = tf.saved_model.load(str(tmp_path / "out" / "saved_model")).signatures["serving_default"]
    state = {"state_0": tf.zeros([1, 5])}
    for change in np.diff(load, prepend=load[0]) / spread:
        result = step(input=tf.constant([[change]], tf.float32), **state)
        state = {"state_0": result["state_0"]}
    expected = changes.model.forecast().records[0]["load"]
    assert float(result["prediction"][0, 0]) * spread + load[-1] == pytest.approx(expected, rel=1e-6)


def test_the_command(changes: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = changes.run, tmp_path / "ahead.csv"
    shown, _ = succeeds(
        ["forecast", f"{folder}", "--horizon", "3", "--hold-back", "5", "--out", f"{out}"], capsys
    )
    files = (out, *map(out.with_suffix, (".png", ".html")))
    assert shown.splitlines() == ["written:", *(f"  {path}" for path in files)]
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert list(rows[0]) == ["time", "step", "load", "load measured"]
    page = out.with_suffix(".html")
    assert_page(page)
    ((head, *cells),) = tables(parsed(page.read_text(encoding="utf-8")))
    assert head == list(rows[0])
    assert [row[:2] for row in cells] == [[row["time"], row["step"]] for row in rows]
    assert [float(row[2]) for row in cells] == pytest.approx([float(row["load"]) for row in rows], rel=5e-5)
    out.unlink()  # a page is not written over, either
    line = f"--out must be a new file, '{out.with_suffix('.png')}' exists"
    assert_refused(["forecast", f"{folder}", "--out", f"{out}"], line, capsys)
    out.write_text("")
    shown, _ = succeeds(["evaluate", f"{folder}", "--split", "test"], capsys)
    assert "RMSE" in shown
    assert "last value" in shown
    text = tmp_path / "text.txt"
    text.write_text(made_up_text(400))
    other = keep_run(tmp_path / "other", Text(text), VanillaCell(3))
    new = f"{tmp_path}/x.csv"
    refusals = {
        ("forecast", f"{folder}", "--out", f"{out}"): f"--out must be a new file, '{out}' exists",
        ("forecast", f"{folder}", "--out", "x.txt"): "--out must be a file that ends in .csv",
        ("forecast", f"{folder}", "--out", f"{tmp_path}/no/x.csv"): "--out must lie in a folder that exists",
        ("forecast", f"{folder}", "--hold-back", "130", "--out", new): "--hold-back must be below 130",
        ("forecast", f"{other}", "--out", new): "DIR must hold a model of series, got one of the task text",
        ("sample", f"{folder}"): "DIR must hold a language model, got one of the task series",
    }
    for refused, message in refusals.items():
        assert_refused(list(refused), message, capsys)


def test_quantiles_are_predicted_in_order_and_their_coverage_is_counted(tmp_path: Path) -> None:
    """The network's outputs, whatever they are, are sorted; the loss is the pinball loss of what it gives."""
    data = write_table(tmp_path / "a.csv")
    options: dict[str, Any] = {"target": "load", "time": "time", "horizon": 2, "difference": "off"}
    task = Series(data, **options, quantiles=[0.9, 0.2, 0.5])
    assert (task.num_classes, task.middle, task.unit) == (6, 2, "scaled pinball loss")
    model = tf_rnn.load(keep_run(tmp_path / "run", task, VanillaCell(5)))
    stepper, rows = model.stepper.another(), task.stream("all").inputs
    outputs = np.array([stepper.step(row[np.newaxis])[0] for row in rows])
    load = pd.read_csv(data)["load"].to_numpy()
    mean, spread = load[:90].mean(), load[:90].std()
    truths = np.stack([(load[ahead : ahead + len(rows)] - mean) / spread for ahead in (1, 2)], axis=1)
    errors = truths[..., np.newaxis] - outputs.reshape(-1, 2, 3)
    levels = np.array([0.9, 0.2, 0.5])
    expected = np.maximum(levels * errors, (levels - 1) * errors).mean()
    assert model.evaluator("all").loss == pytest.approx(expected, rel=1e-5)
    low, middle, high = np.moveaxis(np.sort(outputs.reshape(-1, 2, 3), axis=2), 2, 0)
    shares = [float((truths < each).mean()) for each in (high, low, middle)]
    found = coverage(model, task, "all")
    assert [(each["quantile"], each["below"]) for each in found] == list(zip(levels, shares, strict=True))
    with pytest.raises(OptionError, match=r"^horizon must be at most 2, as trained, where quantiles are"):
        model.forecast(3)
    first = model.forecast(hold_back=2).records[0]
    expected_rows = {"load 0.9": high, "load 0.2": low, "load 0.5": middle}
    for name, values in expected_rows.items():
        assert first[name] == pytest.approx(values[-1, 0] * spread + mean, rel=1e-5), name
    assert list(first) == ["time", "step", *expected_rows, "load measured"]


def test_simple_forecasts_have_the_pinball_loss_of_all_quantiles() -> None:
    time = np.arange(200)
    frame = pd.DataFrame({"x": np.sin(time / 5) + np.random.default_rng(1).normal(0, 0.3, 200)})
    task = Series(frame, quantiles=[0.1, 0.6], difference="off")
    x = frame["x"].to_numpy() / frame["x"][:140].std(ddof=0)
    errors = np.diff(x)[139:169]
    losses = [np.maximum(level * errors, (level - 1) * errors) for level in (0.1, 0.6)]
    assert task.baselines()["last value"] == pytest.approx(np.mean(losses), rel=1e-5)
    valid = x[140:170]
    best = [np.quantile(valid, level) for level in (0.1, 0.6)]
    constant = [
        np.maximum(level * (valid - value), (level - 1) * (valid - value))
        for level, value in zip((0.1, 0.6), best, strict=True)
    ]
    assert constant_loss(task) == pytest.approx(np.mean(constant), rel=1e-5)
