"""The description of a cluster: as an option, in a file, in TF_CONFIG; and a clear line for each mistake."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tf_rnn.options import OptionError
from tf_rnn.parallel import ClusterTask, cluster_task
from tf_rnn.parallel.cluster import split_address
from tf_rnn.parallel.rows import own_rows
from tf_rnn.tasks import Stream

if TYPE_CHECKING:
    from pathlib import Path

TWO = {"worker": ["b:2", "[::1]:3"]}
EXPECTED = ClusterTask(("b:2", "[::1]:3"), 1)


def tf_config(cluster: Any, task: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_a_cluster_is_given_inline_in_a_file_or_by_tf_config(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    path.write_text(json.dumps(TWO), encoding="utf-8")
    environment = tf_config(TWO, {"type": "worker", "index": 1})
    assert cluster_task(json.dumps(TWO), "worker", 1, {}) == EXPECTED
    assert cluster_task(str(path), None, 1, {}) == EXPECTED
    assert cluster_task(None, None, None, environment) == EXPECTED
    assert cluster_task(json.dumps(TWO), None, 0, environment) == ClusterTask(EXPECTED.worker, 0)
    assert (EXPECTED.num_workers, EXPECTED.is_chief) == (2, False)
    assert ClusterTask(EXPECTED.worker).is_chief
    assert [split_address(address) for address in EXPECTED.worker] == [("b", 2), ("::1", 3)]


@pytest.mark.parametrize("text", ["", "  ", "{}", '{"cluster": {}, "task": {"type": "worker", "index": 0}}'])
def test_without_a_cluster_there_is_one_process(text: str) -> None:
    assert cluster_task(environment={"TF_CONFIG": text}) is None
    assert cluster_task(environment={}) is None


FORM = "must have addresses of the form host:port, got "
BAD_CLUSTERS: list[tuple[Any, str]] = [
    ({"worker": []}, "must name at least one worker, got none"),
    ({"ps": ["a:1"], "worker": ["b:2"]}, "must have the single key worker, like"),
    ([1], "must have the single key worker, like"),
    ({"worker": "b:2"}, "must have a list of addresses for worker, got 'b:2'"),
    *(
        ({"worker": [wrong]}, FORM + repr(wrong))
        for wrong in ("a", ":1", "a:0", "a:65536", "grpc://a:1", "::1:1", 1)
    ),
    ({"worker": ["a:1", "a:1"]}, "must name each address once, got 'a:1' twice"),
]


@pytest.mark.parametrize(("value", "problem"), BAD_CLUSTERS)
def test_a_malformed_cluster_is_refused_wherever_it_is_given(value: Any, problem: str) -> None:
    environment = tf_config(value, {"type": "worker", "index": 0})
    ways: list[tuple[Any, ...]] = [(json.dumps(value), None, 0, {}), (None, None, None, environment)]
    for given in ways:
        with pytest.raises(OptionError, match=f"^cluster {re.escape(problem)}"):
            cluster_task(*given)


VALID_JSON = "cluster must be described by valid JSON in TF_CONFIG"


JSON = json.dumps(TWO)
WITHOUT_INDEX = json.dumps({"cluster": TWO, "task": {"type": "worker"}})


@pytest.mark.parametrize(
    ("options", "text", "message"),
    [
        ((JSON, "worker", None), None, "task_index must be given with cluster"),
        ((JSON, None, 2), None, "task_index must be from 0 to 1 in this cluster, got 2"),
        ((JSON, "ps", 0), None, "task_type must be one of worker; got 'ps'"),
        ((None, None, 1), None, "task_index must be left out without cluster, got 1"),
        ((None, "worker", None), None, "task_type must be left out without cluster, got 'worker'"),
        (("nowhere.json", None, 0), None, "cluster must be JSON or a file that can be read, got"),
        (("{", None, 0), None, "cluster must be JSON like"),
        ((None, None, None), "{", f"{VALID_JSON}, got '{{'"),
        ((None, None, None), "[]", VALID_JSON),
        ((None, None, None), json.dumps({"cluster": TWO}), "task_type must be one of worker; got None"),
        ((None, None, None), WITHOUT_INDEX, "task_index must be a whole number"),
    ],
)
def test_a_task_that_is_none_of_the_cluster(
    options: tuple[Any, Any, Any], text: str | None, message: str
) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
        cluster_task(*options, {} if text is None else {"TF_CONFIG": text})


def test_workers_share_the_rows_in_order_and_evenly() -> None:
    numbers = np.arange(6)[:, np.newaxis]
    rows = Stream(numbers, numbers + 10, numbers > 2)
    tasks = [ClusterTask(("a:1", "b:1", "c:1"), index) for index in range(3)]
    shares = [own_rows(task, rows) for task in tasks]
    assert [share.inputs.ravel().tolist() for share in shares] == [[0, 1], [2, 3], [4, 5]]
    assert shares[2].targets.ravel().tolist() == [14, 15]
    flags = [share.starts for share in shares]
    np.testing.assert_array_equal(flags, np.reshape([False, False, False, True, True, True], [3, 2, 1]))
    with pytest.raises(
        OptionError, match=r"^batch_size must be a multiple of the number of workers \(3\), got 7$"
    ):
        tasks[0].rows(7)
