"""Report and JSON results of a comparison."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from benchmarks.side_by_side.equality import BFLOAT16_TOLERANCE, TOLERANCE
from benchmarks.side_by_side.floor import training_operations
from benchmarks.side_by_side.tables import configuration_table, notes, summary_table
from benchmarks.side_by_side.worker import CHECKED_STEPS
from tf_rnn.files import plain, write_json, write_text
from tf_rnn.options.words import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.side_by_side.machine import Machine
    from benchmarks.side_by_side.results import Measurement

COMMAND = "benchmarks.compare_libraries"
PLOT = "steps.png"
SUMMARY = (
    "Milliseconds per training step, for the fastest variant of each library. Below, ratios of these times, "
    "with the targets (upper limits) in brackets."
)

HOW = f"""\
Each peer trains the same model on the same blocks from the same weights, in its own process, with the
final state of each training step fed to the next. Processes start one after another and then run in
alternating turns, one at a time. **step** is the median over turns, **least–most** their range.
**build** is the time from the weight arrays to a model that can run, **first run** the first training
step, in which some libraries compile. **memory** is how much the peak memory of the process grew from
before building, after the library was loaded.

Equal work: the losses of the first {CHECKED_STEPS + 1} training steps, the last after
{CHECKED_STEPS} updates, agree within {TOLERANCE:g} nats with those of the naive unroll in double
precision (**loss within** is the largest difference), with bfloat16 operands within
{BFLOAT16_TOLERANCE:.1%} of the loss; a peer whose losses differ is shown but not ranked. Optimizers follow
TensorFlow 1, clipping uses the norm of the full gradient, GRUs apply the reset gate after the product,
and biases that a library duplicates are trained only once.

The **floor** is the time of the model's matrix products, forward and twice that backward, at the best
rate of a single-precision product measured in the same run (medians of several sizes with NumPy and
TensorFlow). It counts an embedded input's product for every token; a library that multiplies a small
embedding by the kernel once and looks up rows of the result has less to do. **over floor** is
over this one in every row. The floor of bfloat16 is the same at the best rate of a product of bfloat16
operands, with TensorFlow.

`naive` calls the cell once per step, keeps plain lists and uses `tf.gradients`; `intra 1` is one thread
per operation and as many parallel operations as there are cores."""


def write_results(
    folder: Path,
    measurements: Sequence[Measurement],
    machine: Machine,
    arguments: Sequence[str],
    rounds: int,
) -> list[Path]:
    """Writes `results.json`, `report.md` and a PNG plot.

    Args:
        folder: An existing folder.
        measurements: At least one measurement.
        machine: The machine they were made on.
        arguments: Command-line arguments of `python -m benchmarks.compare_libraries`.
        rounds: Turns per peer.

    Returns:
        The paths written.
    """
    # matplotlib takes a second to load: only when there is something to plot.
    from benchmarks.side_by_side.plots import plot_steps  # noqa: PLC0415

    write_json(
        folder / "results.json",
        plain(
            {
                "command": f"python -m {COMMAND} {shlex.join(arguments)}".strip(),
                "machine": machine._asdict(),
                "rounds": rounds,
                "tolerance": TOLERANCE,
                "bfloat16_tolerance": BFLOAT16_TOLERANCE,
                "configurations": {one.configuration.name: one.as_json() for one in measurements},
            }
        ),
    )
    plot_steps(folder / PLOT, measurements, "Milliseconds per training step, fastest variant of each library")
    write_text(folder / "report.md", report(measurements, machine, arguments, rounds))
    return [folder / name for name in ("report.md", "results.json", PLOT)]


def report(
    measurements: Sequence[Measurement], machine: Machine, arguments: Sequence[str], rounds: int
) -> str:
    """Formats the report as Markdown."""
    sections = [
        "# tf_rnn compared with other libraries",
        f"{machine.line}; {rounds} round{'s' if rounds > 1 else ''}.",
        f"```\npython -m {COMMAND} {shlex.join(arguments)}".rstrip() + "\n```",
        SUMMARY,
        summary_table(measurements).markdown(),
        f"![Milliseconds per training step]({PLOT})",
    ]
    for measurement in measurements:
        sections += _of_configuration(measurement)
    return "\n\n".join([*sections, "## How to read this", HOW]) + "\n"


def _of_configuration(measurement: Measurement) -> list[str]:
    configuration = measurement.configuration
    left_out = "\n".join(f"- {line}" for line in notes(measurement))
    operations = training_operations(configuration)
    rates = " and ".join(f"{peak / 1e9:.0f}" for one in PRECISIONS if (peak := measurement.peak(one)))
    rate = f"{operations / 1e9:.3g} GFLOP per training step, at {rates} GFLOP/s"
    return [
        f"## {configuration.name}",
        f"{configuration.line[0].upper()}{configuration.line[1:]}.",
        configuration_table(measurement).markdown(),
        f"Floor: {rate}.",
        *([left_out] if left_out else []),
    ]
