"""What a run has done so far: as JSON and back without the loss of a bit."""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.training import CurvePoint
from tf_rnn.training.record import Average, Record, read_count, read_number, written

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS = st.integers(0, 2**63 - 1)
NUMBERS = st.floats()
POINTS = st.builds(CurvePoint, COUNTS, COUNTS, NUMBERS, NUMBERS, NUMBERS, COUNTS)
RECORDS = st.builds(
    Record,
    updates=COUNTS,
    tokens=COUNTS,
    epochs=COUNTS,
    epoch_updates=COUNTS,
    epoch_tokens=COUNTS,
    seconds=NUMBERS,
    largest_norm=NUMBERS,
    since_point=st.builds(Average, NUMBERS, COUNTS),
    curve=st.lists(POINTS, max_size=3),
)


def bits(value: Any) -> Any:
    """Equal where every bit is; of a nan there is one."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("d", value)
    if isinstance(value, Record):
        parts = [vars(value)[name] for name in vars(value) if name != "since_point"]
        return bits([*parts, value.since_point.total, value.since_point.count])
    return [bits(part) for part in value] if isinstance(value, list | tuple) else value


@given(RECORDS)
def test_a_record_is_the_same_after_json(record: Record) -> None:
    text = json.dumps(record.to_json(), allow_nan=False)
    found = Record.from_json(json.loads(text))
    assert bits(found) == bits(record), f"{found}, not {record}"
    assert all(type(point) is CurvePoint for point in found.curve)


def test_the_training_loss_of_the_start_is_still_none() -> None:
    start = CurvePoint(0, 0, 0.25, math.nan, 0.75, 0)
    record = Record(curve=[start, CurvePoint(3, 36, 1.5, 0.5, 0.625, 1)])
    found = Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False)))
    assert math.isnan(found.curve[0].train_loss)
    assert found.curve[0]._replace(train_loss=0.0) == start._replace(train_loss=0.0)
    assert found.curve[1] == record.curve[1]


def test_a_gradient_whose_norm_is_infinite_can_be_kept() -> None:
    """The loss may be finite all the same; nothing must keep such a run from being saved."""
    text = json.dumps(Record(largest_norm=math.inf).to_json(), allow_nan=False)
    assert Record.from_json(json.loads(text)).largest_norm == math.inf


def test_what_was_read_and_what_it_was_read_from_are_two_things() -> None:
    record = Record(curve=[CurvePoint(1, 2, 3.0, 4.0, 5.0, 6)])
    kept = record.to_json()
    record.curve.clear()
    record.since_point.add(1.0)
    found = Record.from_json(kept)
    assert len(found.curve) == 1
    assert found.since_point.count == 0


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda kept: {key: value for key, value in kept.items() if key != name}


@pytest.mark.parametrize("name", list(Record().to_json()))
def test_a_record_with_a_part_missing_is_none(name: str) -> None:
    with pytest.raises(KeyError, match=f"^'{name}'$"):
        Record.from_json(without(name)(Record().to_json()))


@pytest.mark.parametrize("name", ["updates", "tokens", "epochs", "epoch_updates", "epoch_tokens"])
@pytest.mark.parametrize("value", [-1, 1.0, True, None, "3", [3], 2**63, "nan"])
def test_a_count_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r" is no count$"):
        Record.from_json(Record().to_json() | {name: value})


@pytest.mark.parametrize("name", ["seconds", "largest_norm"])
@pytest.mark.parametrize("value", [None, True, "1.5", "Infinity", "", [1.5], {}])
def test_a_number_is_a_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r" is no number$"):
        Record.from_json(Record().to_json() | {name: value})


@pytest.mark.parametrize(
    "curve",
    [
        3,
        [3],
        [[]],
        [[1, 2, 3.0, 4.0, 5.0]],
        [[1, 2, 3.0, 4.0, 5.0, 6, 7]],
        [["1", 2, 3.0, 4.0, 5.0, 6]],
        [[1, 2, 3.0, None, 5.0, 6]],
        [[1, 2, 3.0, 4.0, 5.0, 6.5]],
        {"a": 1},
    ],
)
def test_a_curve_is_one_of_points(curve: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Record.from_json(Record().to_json() | {"curve": curve})


@pytest.mark.parametrize("since", [None, [], [1.0], [1.0, 2, 3], ["x", 1], [1.0, 1.5]])
def test_an_average_is_a_sum_and_a_count(since: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Record.from_json(Record().to_json() | {"since_point": since})


@given(NUMBERS)
def test_numbers_one_by_one(number: float) -> None:
    kept = json.loads(json.dumps(written(number), allow_nan=False))
    assert bits(read_number(kept)) == bits(number)


@given(COUNTS)
def test_counts_one_by_one(count: int) -> None:
    assert read_count(json.loads(json.dumps(count))) == count


# --- the mean ------------------------------------------------------------------------------------


def test_the_mean_of_nothing_is_not_a_number() -> None:
    assert math.isnan(Average().mean)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_the_mean_is_the_mean(values: list[float]) -> None:
    average = Average()
    for value in values:
        average.add(value)
    assert average.mean == pytest.approx(sum(values) / len(values), rel=1e-12, abs=1e-12)


def test_a_mean_that_is_started_anew_knows_nothing_of_before() -> None:
    average = Average()
    average.add(100.0)
    average.restart()
    assert math.isnan(average.mean)
    for value in (1.0, 2.0):
        average.add(value)
    assert (average.mean, average.total, average.count) == (1.5, 3.0, 2)


def test_a_mean_goes_on_from_its_sum_and_count() -> None:
    average = Average(total=3.0, count=2)
    average.add(6.0)
    assert average.mean == 3.0


def test_records_do_not_share_what_they_collect() -> None:
    one, other = Record(), Record()
    one.curve.append(CurvePoint(0, 0, 0.0, math.nan, 1.0, 0))
    one.since_point.add(1.0)
    assert (other.curve, other.since_point.count) == ([], 0)
