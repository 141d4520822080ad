"""The width that a loss of the echo task gives away, on losses of loops whose width is known."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from tf_rnn.audit import echo_arrays, width_of
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo

RESULTS = Path(benchmarks.__file__).parent / "compare" / "results.csv"


def test_trained_loops_have_a_width_that_their_loss_fits() -> None:
    """The stored runs of `compare` whose state was reset; no narrower loop could have had their loss."""
    with RESULTS.open(encoding="utf-8") as file:
        runs = [
            (int(run["num_steps"]), float(run["loss"]))
            for run in csv.DictReader(file)
            if run["state"] == "reset"
        ]
    assert len({width for width, _ in runs}) == 7
    for width, loss in runs:
        found = width_of(loss)
        assert width in found.fits, f"{width} steps, {loss}: {found.fits}"
        assert found.narrowest is not None
        assert found.narrowest <= width, f"{width} steps, {loss}: {found.narrowest}"


SAID = {
    0.5523: (
        10,
        [10],
        "fits a width of 10 (lowest possible with 10: 0.5489); with 9 it could not be below 0.5594",
    ),
    0.6616: (1, [1, 2, 3], "fits a width of 1, 2 or 3 (lowest possible with 1: 0.6616)"),
    0.69: (
        1,
        [],
        "is above what a width of 1 can reach, 0.6616: nothing is learnt yet, or it is not the mean ",
    ),
    0.456: (
        None,
        [],
        "is below what 200 steps with the state reset can reach, 0.4592: the state is carried, or ",
    ),
    0.4: (
        None,
        [],
        "is below the lowest possible loss, 0.4545: it is not the mean held-out loss of this task ",
    ),
}
DOUBT = "This holds for a state that is reset; one that is carried may be below the floor of its width."


@pytest.mark.parametrize("loss", SAID)
def test_what_a_loss_says(loss: float) -> None:
    narrowest, fits, sentence = SAID[loss]
    found = width_of(loss)
    assert (found.narrowest, found.fits) == (narrowest, fits)
    assert found.sentence.startswith(f"{loss:.4f} nats {sentence}"), f"{found.sentence!r}, not {sentence!r}"
    assert (DOUBT in found.sentence) == bool(fits)


def test_every_floor_is_the_loss_of_its_width() -> None:
    """From the largest lag on, where each step more lowers the floor."""
    task = Echo(lags=[2, 5])
    for width in range(5, 30):
        assert width_of(task.floor(width), task, noise=0).fits[0] == width
    with pytest.raises(OptionError, match=r"^loss must be a number above 0, got nan$"):
        width_of(float("nan"))


def test_the_archive_is_the_task_and_its_floors() -> None:
    task = Echo(length=50, valid_length=20)
    found = echo_arrays(task)
    for split, prefix in (("train", ""), ("valid", "valid_")):
        for part in ("inputs", "targets"):
            np.testing.assert_array_equal(found[prefix + part], getattr(task.stream(split), part))
    floors = dict(zip(found["width"].tolist(), found["floor"].tolist(), strict=True))
    assert (floors[10], found["optimum"]) == (task.floor(10), task.optimum())
