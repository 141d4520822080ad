"""Report on how costs grow with graph width."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from benchmarks.side_by_side import targets
from benchmarks.side_by_side.configurations import growth_configuration
from benchmarks.side_by_side.peers import OWN
from benchmarks.side_by_side.tables import milliseconds
from benchmarks.side_by_side.widths import NAIVE, NAIVE_UP_TO
from tf_rnn.files import plain, write_json, write_text
from tf_rnn.reporting import Table, number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.side_by_side.machine import Machine
    from benchmarks.side_by_side.widths import Growth, Point

COMMAND = "benchmarks.growth"
PLOT = "growth.png"
RATIOS = {"start": "start_seconds", "step": "step_milliseconds", "memory": "memory_bytes"}

HOW = f"""\
Each number is a median over fresh processes; training steps of one width are measured in alternating
turns. **build** is the time from the weight arrays to a model that can run, **first run** the first
training step, **start** their sum. **memory** is how much the peak memory of the process grew from
before building, after the library was loaded. `naive` calls the cell once per step, keeps plain lists
and uses `tf.gradients`, in a session with TensorFlow's default settings, up to n = {NAIVE_UP_TO}."""


def growth_table(growth: Growth) -> Table:
    """Tabulates the costs, a row for each width and variant."""
    header = [
        "width",
        "",
        "build (s)",
        "first run (s)",
        "step (ms)",
        "memory (MB)",
        *(f"{name} over\n{NAIVE}" for name in RATIOS),
    ]
    points = [
        point
        for width in growth.widths
        for series in growth.series
        if (point := growth.point(series, width)) is not None
    ]
    return Table("Costs by graph width", header, [_row(growth, point) for point in points])


def _row(growth: Growth, point: Point) -> list[str]:
    memory = None if point.memory_bytes is None else point.memory_bytes / 1e6
    ratios = [
        growth.ratio(point.series, NAIVE, point.num_steps, cost) if point.series != NAIVE else None
        for cost in RATIOS.values()
    ]
    return [
        str(point.num_steps),
        point.series,
        number(point.build_seconds, ".2f"),
        number(point.first_run_seconds, ".2f"),
        milliseconds(point.step_milliseconds),
        number(memory, ",.0f"),
        *(number(ratio, ".2f") for ratio in ratios),
    ]


def verdicts(growth: Growth) -> list[str]:
    """Compares the measurements with their targets, a line each; widths not measured are left out."""
    lines = []
    ratio = growth.ratio(OWN, NAIVE, targets.START_WIDTH, "start_seconds")
    if ratio is not None:
        lines.append(
            f"Build and first run at n = {targets.START_WIDTH}: {ratio:.2f} of the naive unroll's "
            f"(at most {targets.START_RATIO:g})."
        )
    widest = growth.point(OWN, targets.WIDEST)
    if widest is not None and widest.start_seconds is not None and widest.memory_bytes is not None:
        lines.append(
            f"n = {targets.WIDEST}: build and first run {widest.start_seconds:.1f} s (at most "
            f"{targets.WIDEST_SECONDS:g}), memory {widest.memory_bytes / 1e9:.2f} GB (at most "
            f"{targets.WIDEST_BYTES / 1e9:g})."
        )
    return lines


def write_growth(folder: Path, growth: Growth, machine: Machine, arguments: Sequence[str]) -> list[Path]:
    """Writes `results.json`, `report.md` and a PNG plot.

    Args:
        folder: An existing folder.
        growth: Measurements of at least one width.
        machine: The machine they were made on.
        arguments: Command-line arguments of `python -m benchmarks.growth`.

    Returns:
        The paths written.
    """
    # matplotlib takes a second to load: only when there is something to plot.
    from benchmarks.side_by_side.growth_plot import plot_growth  # noqa: PLC0415

    command = f"python -m {COMMAND} {shlex.join(arguments)}".strip()
    points = [point._asdict() for point in growth.points]
    write_json(
        folder / "results.json", plain({"command": command, "machine": machine._asdict(), "points": points})
    )
    plot_growth(folder / PLOT, growth, f"Costs by graph width\n{_network()}")
    write_text(folder / "report.md", growth_report(growth, machine, command))
    return [folder / name for name in ("report.md", "results.json", PLOT)]


def growth_report(growth: Growth, machine: Machine, command: str) -> str:
    """Formats the report as Markdown."""
    failures = [
        f"- {point.series}, n = {point.num_steps}: {point.note}" for point in growth.points if point.note
    ]
    sections = [
        "# Costs by graph width",
        f"{_network()}. {machine.line}.",
        f"```\n{command}\n```",
        growth_table(growth).markdown(),
        " ".join(verdicts(growth)),
        "\n".join(failures),
        f"![Costs against width]({PLOT})",
        "## How to read this",
        HOW,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _network() -> str:
    one = growth_configuration(1)
    return (
        f"{one.cell.upper()} {one.num_layers}x{one.state_size}, {one.num_classes} classes, "
        f"batch {one.batch_size}, {one.optimizer}"
    )
