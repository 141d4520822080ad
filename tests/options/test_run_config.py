"""A run's configuration: what is one, and how what is not is told; searches put anything in its place."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError
from tf_rnn.run_config import require_run_config
from tf_rnn.tasks import Echo
from tf_rnn.training import train

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """As a run writes it."""
    folder: Path = tmp_path_factory.mktemp("run") / "out"
    with tf.Graph().as_default():
        graph = UnrolledGraph(LSTMCell(3), num_steps=4, batch_size=3, input_size=2, num_classes=2)
    train(graph, Echo(length=60, valid_length=30), updates=1, out=folder, callbacks=())
    found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_what_a_run_writes_is_one_and_options_of_later_versions_are_filled_in(config: dict[str, Any]) -> None:
    assert require_run_config(config) == config
    older = copy.deepcopy(config)
    del older["graph"]["recompute"], older["graph"]["dropout"]
    del older["training"]["schedule"]["warm_up_updates"]
    assert require_run_config(older) == config


# Where the configuration has what instead, and the beginning of what is said.
WRONG: dict[str, tuple[Any, str]] = {
    "": ([], "config must have the keys cell, graph, task, training, got []"),
    "cell": ([], "cell must be a list of at least one layer, got []"),
    "graph": (None, "graph must have the keys num_steps, batch_size, input_size, num_classes,"),
    "graph width": (3, "graph must have no key 'width'"),
    "graph num_steps": ("4", "num_steps must be a whole number of at least 1, got '4'"),
    "task name": (3, "task must have a name and a dictionary of options, got {'name': 3, "),
    "training": ({}, "training must have the keys budget, truncation, schedule, state, "),
    "training budget more": (3, "budget must have the keys amount, kind, got {"),
    "training budget kind": ("days", "budget must be one of tokens, updates, seconds, "),
    "training budget amount": ("9", "updates must be a number above 0, got '9'"),
    "training truncation": ([], "truncation must have the keys seed, stride, style, "),
    "training schedule": (None, "schedule must have the keys decay, decay_after, name, warm_up_updates, "),
    "training schedule warm_up_updates": (-1, "warm_up_updates must be a whole number of at least 0, got -1"),
    "training schedule decay": (2, "decay must be a number above 0 and below 1, got 2"),
    "training patience": (0, "patience must be a whole number of at least 1, got 0"),
}


@pytest.mark.parametrize("place", WRONG)
def test_what_is_wrong_is_named(place: str, config: dict[str, Any]) -> None:
    part, message = WRONG[place]
    whole: Any = {"config": copy.deepcopy(config)}
    inner = whole
    *before, last = ["config", *(int(key) if key.isdigit() else key for key in place.split())]
    for key in before:
        inner = inner[key]
    inner[last] = part
    with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
        require_run_config(whole["config"])
