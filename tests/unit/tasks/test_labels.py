"""Labels: the class of every row or of every series, what is held out, how it is scaled, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from helpers import assert_close

from tf_rnn.cells import LSTMCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Labels
from tf_rnn.tasks.tabular import LEAD
from tf_rnn.training import train

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# 40 rows: 28 to train, 6 valid, 6 test.
LENGTH, TRAIN, VALID = 40, 28, 34
# Rows of seven series: 5 to train, 1 valid, 1 test.
LENGTHS = {"g": 3, "a": 5, "e": 2, "b": 4, "f": 6, "c": 3, "d": 5}


def made_frame(**columns: Any) -> pd.DataFrame:
    generator = np.random.default_rng(7)
    usual = {
        "speed": generator.normal(50, 9, LENGTH),
        "activity": generator.choice(["walk", "run", "rest"], LENGTH),
    }
    return pd.DataFrame(usual | columns)


def several_frame(**columns: Any) -> pd.DataFrame:
    """Rows of seven series one after another, whose level rises from each to the next."""
    who = [name for name, length in LENGTHS.items() for _ in range(length)]
    level = 10.0 * np.repeat(np.arange(len(LENGTHS)), list(LENGTHS.values()))
    speed = level + np.random.default_rng(3).normal(0, 1, len(who))
    usual = {"who": who, "speed": speed, "word": np.resize(["no", "yes", "well"], len(who))}
    return pd.DataFrame(usual | columns)


AT_END: dict[str, Any] = {"label": "word", "inputs": "speed", "series_id": "who", "label_at": "end"}


def test_each_row_has_its_own_class_and_its_own_inputs() -> None:
    """Row by row: observed values and the time of the row itself; the label is the target, and no input."""
    times = pd.date_range("2024-02-28 20:00", periods=LENGTH, freq="3h")
    ground = np.resize(["hill", "flat", "flat"], LENGTH)
    frame = made_frame(time=times, ground=ground)
    task = Labels(frame, label="activity", inputs=["speed", "ground"], time="time", calendar=["hour"])
    speed = frame["speed"].to_numpy()
    scaled = (speed - speed[:TRAIN].mean()) / speed[:TRAIN].std()
    places = {"rest": 0, "run": 1, "walk": 2}
    assert (task.labels, task.num_classes, task.loss_steps) == (tuple(places), 3, "marked")
    for split, begin, end in (("train", 0, TRAIN), ("valid", TRAIN, VALID), ("test", VALID, LENGTH)):
        inputs, targets = task.stream(split)
        assert len(inputs) == len(targets) == end, f"{split}: the lead is all of the past, up to {LEAD} rows"
        for t in range(end):
            angle = 2 * np.pi * times[t].hour / 24
            expected = {
                "speed": scaled[t],
                "ground=flat": ground[t] == "flat",
                "ground=hill": ground[t] == "hill",
                "hour sine": np.sin(angle),
                "hour cosine": np.cos(angle),
            }
            assert task.input_names == tuple(expected)
            assert_close(inputs[t], np.array(list(expected.values()), float), 1e-6, f"inputs of row {t}")
            target = places[frame["activity"][t]] if t >= begin else -1
            assert targets[t] == target, f"{split}, row {t}: {targets[t]}, not {target}"


def test_rows_without_a_label_have_no_loss() -> None:
    """Whole numbers are classes in the order of their size, also beside missing ones and in filled gaps."""
    grade = np.resize([10.0, 9.0, 2.0, np.nan], LENGTH)
    day = pd.date_range("2024-01-01", periods=LENGTH + 1, freq="D").delete(5)
    task = Labels(made_frame(grade=grade, day=day), label="grade", inputs="speed", time="day")
    assert task.labels == ("2", "9", "10")
    expected = np.insert(np.resize([2, 1, 0, -1], LENGTH), 5, -1)
    targets = task.stream("all").targets
    assert list(targets) == list(expected)


def parts_of(task: Labels) -> dict[str, list[str]]:
    return {split: [task.series[part.series].name for part in task.parts(split)] for split in task.splits}


def test_series_with_labels_at_their_ends_are_held_out_whole() -> None:
    """In the order of their first rows, though rows of several series come in turns."""
    frame = several_frame()
    by_row = frame.assign(row=frame.groupby("who").cumcount()).sort_values("row", kind="stable")
    for table in (frame, by_row):
        task = Labels(table, **AT_END)
        assert parts_of(task) == {"train": ["g", "a", "e", "b", "f"], "valid": ["c"], "test": ["d"]}
        stream = task.stream("train")
        ends = np.cumsum([3, 5, 2, 4, 6])
        assert stream.starts is not None
        assert list(np.flatnonzero(stream.starts)) == [0, *ends[:-1]]
        last = frame["word"][ends - 1]
        expected = np.full(20, -1)
        expected[ends - 1] = [task.labels.index(word) for word in last]
        assert list(stream.targets) == list(expected)
    assert not np.isin(task.stream("valid").targets[:-1], range(3)).any()
    assert parts_of(Labels(frame, **AT_END, valid_fraction=0.3, test_fraction=0.4)) == {
        "train": ["g", "a"],
        "valid": ["e", "b"],
        "test": ["f", "c", "d"],
    }


def test_held_out_series_are_scaled_by_those_that_are_trained_on() -> None:
    """One scale for all, so that a level says the same in every series; what is held out changes nothing."""
    frame = several_frame()
    speed, training = frame["speed"].to_numpy(), frame["speed"].to_numpy()[:20]
    expected = (speed - training.mean()) / training.std()
    assert_close(Labels(frame, **AT_END).stream("all").inputs[:, 0], expected, 1e-6, "one scale")
    changed = frame.assign(speed=np.where(np.arange(28) < 20, speed, 1e6))
    before, after = (Labels(each, **AT_END).stream("train").inputs for each in (frame, changed))
    assert_close(after, before, 0, "training inputs")


def test_series_with_labels_everywhere_have_their_own_scale() -> None:
    """That of their part of the training data; series of other data have the scale of all of these."""
    frame = made_frame(who=np.repeat(["b", "a"], 20))
    options: dict[str, Any] = {"label": "activity", "inputs": "speed", "series_id": "who"}
    task = Labels(frame, **options)
    speed = frame["speed"].to_numpy()
    parts = [speed[:14], speed[20:34]]
    inputs = task.stream("all").inputs[:, 0]
    for number, part in enumerate(parts):
        own = slice(20 * number, 20 * number + 20)
        assert_close(inputs[own], (speed[own] - part.mean()) / part.std(), 1e-6, "own scale")
    other = Labels(frame.assign(who="c"), **options, fit=task.kept()["fit"]).stream("all").inputs[:, 0]
    joined = np.concatenate(parts)
    assert_close(other, (speed - joined.mean()) / joined.std(), 1e-6, "scale of all")


def test_other_data_have_the_labels_that_were_trained_on(tmp_path: Path) -> None:
    """In the same order, though some may be lacking; a label that is new is refused by name."""
    made_frame().to_csv(tmp_path / "a.csv", index=False)
    task = Labels(tmp_path / "a.csv", label="activity", inputs="speed")
    again = Labels(**task.options())
    assert (again.sha256, again.options()) == (task.sha256, task.options())
    options: dict[str, Any] = {"label": "activity", "inputs": "speed", "fit": task.kept()["fit"]}
    other = Labels(made_frame(activity=["walk", None] * 20), **options)
    assert (other.labels, other.num_classes) == (("rest", "run", "walk"), 3)
    assert list(other.stream("all").targets) == [2, -1] * 20
    renamed = Labels(made_frame().replace("walk", "stroll"), label="activity", inputs="speed")
    assert renamed.sha256 != Labels(made_frame(), label="activity", inputs="speed").sha256
    problem = "^label must be one of those that were trained on, rest, run, walk; got 'swim'$"
    with pytest.raises(OptionError, match=problem):
        Labels(made_frame(activity=["walk", "swim"] * 20), **options)


def test_the_baseline_is_the_entropy_of_training_frequencies() -> None:
    """Three of a, one of b and none of c in training; one each in validation."""
    frame = pd.DataFrame({"x": np.arange(10.0), "y": [*"aaba", *"abc", *"abc"]})
    task = Labels(frame, label="y", inputs="x", valid_fraction=0.3, test_fraction=0.3)
    expected = -np.log(np.array([4, 2, 1]) / 7).mean()
    assert task.baselines() == {"frequencies": pytest.approx(expected, abs=1e-12)}
    assert task.most_frequent("train") == ("a", 0.75)
    first, *_ = task.lines()
    assert first == "labelled dataframe: 4 train / 3 valid / 3 test rows; y: a 50.0%, b 30.0%, c 20.0%"


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"label": None}, "label must name a column of the data frame, which has speed, activity"),
        ({}, {"label": "act"}, "label must be a column of the data frame, got 'act'; it has speed, activity"),
        ({}, {"inputs": ()}, "inputs must name the columns that activity is to be named from, got none"),
        ({}, {"inputs": ["speed", "activity"]}, "label must be given once for each column, got 'activity'"),
        ({"activity": "walk"}, {}, "at least two different labels, the data frame has only walk"),
        ({"activity": None}, {}, "label must be a column with labels, but all of 'activity' is missing"),
        ({"activity": [1.0] * 5 + [1.5] * 35}, {}, "but 'activity' has 1.5 in row 5 of the data frame"),
        ({"activity": [1.0] * 7 + [np.inf] * 33}, {}, "but 'activity' has inf in row 7 of the data frame"),
        ({}, {"label_at": "end"}, "label_at must be every unless series_id is given, got 'end'"),
        (
            {"who": np.repeat(["a", "b"], 20)},
            {"label_at": "end", "series_id": "who"},
            "but the 2 series of the data frame leave none for 'valid'",
        ),
        (
            {"who": np.arange(LENGTH)},
            {"label_at": "end", "series_id": "who", "test_from": "3"},
            "test_from must be left out where label_at is end",
        ),
    ],
)
def test_what_cannot_be_labelled_is_refused_in_one_line(
    changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        Labels(made_frame(**changes), **{"label": "activity", "inputs": "speed"} | options)
    found = str(caught.value)
    assert message in found, f"{found!r} does not say {message!r}"
    assert "\n" not in found


def remembering(series: int) -> pd.DataFrame:
    """Series of 3 to 8 rows of noise, whose label is what their first row says."""
    generator = np.random.default_rng(5)
    rows: list[tuple[int, float, str]] = []
    for number in range(series):
        word = str(generator.choice(["no", "well", "yes"]))
        noise: NDArray[Any] = generator.normal(0, 1, generator.integers(3, 9))
        noise[0] = {"no": -2.0, "well": 0.0, "yes": 2.0}[word]
        rows += [(number, float(value), word) for value in noise]
    return pd.DataFrame(rows, columns=["who", "speed", "word"])


@pytest.mark.slow
def test_what_the_first_row_says_is_learnt_where_the_window_holds_it() -> None:
    """A graph as wide as the longest series names the label; single steps name it by chance."""
    task = Labels(remembering(400), **AT_END)
    losses = {}
    for width in (8, 1):
        graph = UnrolledGraph(
            *(LSTMCell(12), width, 10, 1, 3),
            input_kind="real",
            loss_steps="marked",
            starts=True,
            optimizer="adam",
            learning_rate=0.02,
            seed=1,
        )
        with graph.session(threads=1) as session:
            state = "carry" if width > 1 else "reset"
            result = train(graph, task, epochs=16, state=state, session=session, callbacks=())
            losses[width] = min(point.valid_loss for point in result.curve)
    chance = task.baselines()["frequencies"]
    assert losses[8] < 0.1, f"{losses}, by chance {chance}"
    assert losses[1] > 0.9 * chance, f"{losses}, by chance {chance}"
