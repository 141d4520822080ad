"""Tables of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.side_by_side import targets
from benchmarks.side_by_side.peers import FAMILIES, OWN
from benchmarks.side_by_side.results import MEASURED, Measured, Measurement, ordered
from tf_rnn.reporting import Table, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TORCH = "torch"


def configuration_table(measurement: Measurement) -> Table:
    """Tabulates all peers of one configuration, fastest first, then the floor."""
    header = [
        "peer",
        "step (ms)",
        "least–most",
        "tokens/s",
        "build (s)",
        "first\nrun (s)",
        "memory\n(MB)",
        f"{OWN} /\npeer",
        "over\nfloor",
        "loss\nwithin",
    ]
    rows = [_row(measurement, one) for one in ordered(measurement.peers) if one.turns]
    floor = ["floor", number(measurement.floor, ".2f"), *[""] * (len(header) - 2)]
    configuration = measurement.configuration
    return Table(f"{configuration.name}  {configuration.line}", header, [*rows, floor])


def _row(measurement: Measurement, one: Measured) -> list[str]:
    memory = None if one.memory_bytes is None else one.memory_bytes / 1e6
    return [
        one.peer.name,
        milliseconds(one.milliseconds),
        f"{milliseconds(min(one.turns))}–{milliseconds(max(one.turns))}",
        number(measurement.tokens_per_second(one), ",.0f"),
        number(one.build_seconds, ".2f"),
        number(one.first_run_seconds, ".2f"),
        number(memory, ",.0f"),
        number(measurement.ratio(one), ".2f") if one.status == MEASURED else one.status,
        number(measurement.over_floor(one), ".2f"),
        number(one.loss_difference, ".0e"),
    ]


def milliseconds(value: float | None) -> str:
    """Formats milliseconds to about three digits."""
    if value is None:
        return "–"
    digits = 3 if value < 1 else 2 if value < 10 else 1
    return f"{value:.{digits}f}"


def notes(measurement: Measurement) -> list[str]:
    """Explains, in a line each, which peers were not measured or not ranked."""
    return [f"{one.status}: {one.peer.name}: {one.note}" for one in measurement.peers if one.note]


def summary_table(measurements: Sequence[Measurement]) -> Table:
    """Tabulates the fastest variant of each library by configuration, then ratios with their targets."""
    header = ["", *(measurement.configuration.name for measurement in measurements)]
    rows = []
    for family in FAMILIES:
        best = [measurement.best(family) for measurement in measurements]
        if any(best):
            rows.append([family, *(milliseconds(one.milliseconds if one else None) for one in best)])
    rows.append(["floor", *(milliseconds(measurement.floor) for measurement in measurements)])
    rows += [
        _target_row(f"{OWN} / {TORCH}", measurements, _over_torch, targets.PYTORCH),
        _target_row(f"{OWN} / best peer", measurements, _over_best, targets.BEST_PEER),
        _target_row(f"{OWN} / floor", measurements, _own_over_floor, targets.FLOOR),
    ]
    return Table("Fastest variant of each library, ms per step", header, rows)


def _over_torch(measurement: Measurement) -> float | None:
    return measurement.ratio(measurement.best(TORCH))


def _over_best(measurement: Measurement) -> float | None:
    return measurement.ratio(measurement.best_peer())


def _own_over_floor(measurement: Measurement) -> float | None:
    return measurement.over_floor(measurement.best(OWN))


def _target_row(
    name: str,
    measurements: Sequence[Measurement],
    ratio: Callable[[Measurement], float | None],
    wanted: Mapping[str, float],
) -> list[str]:
    cells = []
    for measurement in measurements:
        target = wanted.get(measurement.configuration.name)
        aim = f" ({target:.2f})" if target is not None else ""
        cells.append(number(ratio(measurement), ".2f") + aim)
    return [name, *cells]
