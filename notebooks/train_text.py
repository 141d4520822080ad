"""Trains a network on the text of notebook 5 and stores its weights in `text_run`: minutes on one core."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

import tf_rnn
from tf_rnn.files import CHECKPOINTS, CONFIG
from tf_rnn.training.checkpoints import Checkpoints
from tf_rnn.training.state import StreamPosition

FOLDER = Path(__file__).resolve().parent / "text_run"
NUM_STEPS, EPOCHS, EVALUATIONS = 50, 18, 18
NETWORK = {
    "cell": "lstm",
    "num_layers": 2,
    "state_size": 112,
    "embedding_size": 24,
    "dropout": 0.1,
    "learning_rate": 0.006,
    "clip_norm": 5.0,
}


def keep(run: Path, folder: Path) -> None:
    """Writes the best checkpoint of a run as a run of its own: the weights, without what resuming needs.

    Args:
        run: The folder of the run.
        folder: Where to; what is there is replaced.
    """
    model = tf_rnn.load(run)
    state = dataclasses.replace(
        model.checkpoint.state, variables=model.weights, carried=None, position=StreamPosition(), best=None
    )
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints = Checkpoints(folder / CHECKPOINTS, "out")
    folder.mkdir()
    shutil.copyfile(run / CONFIG, folder / CONFIG)
    checkpoints.write(1, state)


def main() -> None:
    """Trains and stores."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        tf_rnn.Experiment("text", **NETWORK).train(
            NUM_STEPS, epochs=EPOCHS, evaluations=EVALUATIONS, schedule="cosine", threads=1, out=run
        )
        keep(run, FOLDER)


if __name__ == "__main__":
    main()
