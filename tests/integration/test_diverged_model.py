"""A model whose weights have diverged: every use of it says so in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from command_helpers import assert_refused
from model_helpers import keep_run, write_splits

from tf_rnn.cells import LSTMCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference import load
from tf_rnn.inference.narrator import Narrator
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text
from tf_rnn.training import CurvePoint

if TYPE_CHECKING:
    from pathlib import Path


def test_sample_names_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That of a run whose readout holds no finite number."""
    folder = keep_run(tmp_path / "run", Text(write_splits(tmp_path / "splits")), LSTMCell(4))
    message = "DIR must hold a model with finite predictions, got nan; its weights have diverged"
    for value, temperature in ((np.nan, "0"), (np.inf, "0.8")):
        for path in folder.rglob("*.npz"):
            arrays = dict(np.load(path))
            arrays["variables/readout/U"][:] = value
            np.savez(path, **arrays)
        assert_refused(["sample", str(folder), "--temperature", temperature], message, capsys)
    with pytest.raises(OptionError, match=r"^model must predict finite probabilities, got nan; "):
        next(load(folder).sample())


def test_a_sample_during_training_does_not_end_it(tmp_path: Path) -> None:
    """The narrator writes the reason in place of the text."""
    task = Text(write_splits(tmp_path / "splits"))
    graph = UnrolledGraph(LSTMCell(4), 4, 3, task.input_size, task.num_classes)
    point = CurvePoint(1, 12, 0.1, 0.5, np.nan, 1)
    with graph.session() as session, Narrator(graph, task.vocabulary, tmp_path / "events") as narrator:
        weights = weight_names(graph)["readout/U"]
        weights.load(np.full(weights.shape, np.nan), session)
        narrator.on_evaluation(point, session)
    (events,) = (tmp_path / "events").iterdir()
    assert b"must predict finite probabilities" in events.read_bytes()
