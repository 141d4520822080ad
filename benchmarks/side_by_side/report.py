"""The page that a measurement leaves behind, and its numbers as JSON."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from benchmarks.side_by_side.equality import TOLERANCE
from benchmarks.side_by_side.floor import training_operations
from benchmarks.side_by_side.tables import configuration_table, notes, summary_table
from benchmarks.side_by_side.worker import CHECKED_STEPS
from tf_rnn.files import plain, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.side_by_side.machine import Machine
    from benchmarks.side_by_side.results import Measurement

COMMAND = "benchmarks.compare_libraries"
PLOT = "steps.png"
SUMMARY = (
    "Milliseconds a training step, the best way to use each library; below, ratios of these times, and in "
    "brackets what they should be at most."
)

HOW = f"""\
Each peer trains the same model on the same blocks from the same weights, in a process of its own, the
final state of each training step fed to the next. Processes are started one after the other; then they
take turns, round by round, while the others wait. **step** is the median over turns, **least–most**
their range. **build** is everything from the arrays to a model that can run, **first run** the first
training step, in which some libraries compile. **memory** is how much the largest size of the process
grew from before building, after the library was loaded.

Equal work: the losses of the first {CHECKED_STEPS + 1} training steps, the last after
{CHECKED_STEPS} updates, agree within {TOLERANCE:g} nats with those of the naive unroll in double
precision (**loss within** is the largest distance); a peer whose losses are others is shown but not
ranked. Optimizers are those of TensorFlow 1, clipping is by the norm of the true gradient, GRUs have
the reset gate after the product, biases that another library has twice are trained once.

The **floor** is the time that the matrix products of the model, forward and twice that backward, take
at the best rate of a single precision product measured in the same run (medians of several sizes with
NumPy and TensorFlow). It counts an embedded input's product for every token; a library that multiplies
a small embedding with the kernel once, and looks up rows of that, has less to do.

`naive` is the cell called once for each step with `tf.gradients`, as plain lists; `intra 1` is one thread
in an operation and as many operations side by side as there are cores."""


def write_results(
    folder: Path,
    measurements: Sequence[Measurement],
    machine: Machine,
    arguments: Sequence[str],
    rounds: int,
) -> list[Path]:
    """Writes `results.json`, `report.md` and a PNG plot.

    Args:
        folder: Where; it is there.
        measurements: At least one.
        machine: Where it was measured.
        arguments: The command line, after `python -m benchmarks.compare_libraries`.
        rounds: Turns of each peer.

    Returns:
        The files.
    """
    # Drawing takes a second to load, which is not needed before there is something to draw.
    from benchmarks.side_by_side.plots import plot_steps  # noqa: PLC0415

    write_json(
        folder / "results.json",
        plain(
            {
                "command": f"python -m {COMMAND} {shlex.join(arguments)}".strip(),
                "machine": machine._asdict(),
                "rounds": rounds,
                "tolerance": TOLERANCE,
                "configurations": {one.configuration.name: one.as_json() for one in measurements},
            }
        ),
    )
    plot_steps(folder / PLOT, measurements, "A training step in milliseconds, the best way of each library")
    write_text(folder / "report.md", report(measurements, machine, arguments, rounds))
    return [folder / name for name in ("report.md", "results.json", PLOT)]


def report(
    measurements: Sequence[Measurement], machine: Machine, arguments: Sequence[str], rounds: int
) -> str:
    """The page, in Markdown."""
    sections = [
        "# tf_rnn beside other libraries",
        f"{machine.line}; {rounds} round{'s' if rounds > 1 else ''}.",
        f"```\npython -m {COMMAND} {shlex.join(arguments)}".rstrip() + "\n```",
        SUMMARY,
        summary_table(measurements).markdown(),
        f"![Milliseconds a training step]({PLOT})",
    ]
    for measurement in measurements:
        sections += _of_configuration(measurement)
    return "\n\n".join([*sections, "## How to read this", HOW]) + "\n"


def _of_configuration(measurement: Measurement) -> list[str]:
    configuration = measurement.configuration
    left_out = "\n".join(f"- {line}" for line in notes(measurement))
    operations = training_operations(configuration)
    rate = f"{operations / 1e9:.3g} GFLOP a training step, at {measurement.peak / 1e9:.0f} GFLOP/s"
    return [
        f"## {configuration.name}",
        f"{configuration.line[0].upper()}{configuration.line[1:]}.",
        configuration_table(measurement).markdown(),
        f"Floor: {rate}.",
        *([left_out] if left_out else []),
    ]
