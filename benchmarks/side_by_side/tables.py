"""Tables of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.side_by_side import targets
from benchmarks.side_by_side.peers import FAMILIES, LABELS, OWN
from benchmarks.side_by_side.results import MEASURED, Measured, Measurement, ordered
from tf_rnn.options.words import MIXED_BFLOAT16
from tf_rnn.reporting import Table, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TORCH = "torch"


def configuration_table(measurement: Measurement) -> Table:
    """Tabulates all peers of one configuration, fastest first, then the floors."""
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
    blank = [""] * (len(header) - 2)
    floors = [[name, number(floor, ".2f"), *blank] for name, floor in floors_of(measurement).items()]
    configuration = measurement.configuration
    return Table(f"{configuration.name}  {configuration.line}", header, [*rows, *floors])


def floors_of(measurement: Measurement) -> dict[str, float]:
    """The floors that were measured, in milliseconds, by name."""
    floors = {f"floor{label}": measurement.floor(one) for one, label in LABELS.items()}
    return {name: floor for name, floor in floors.items() if floor is not None}


def bests_of(measurement: Measurement) -> dict[str, Measured]:
    """The fastest variant of each library and precision, by name."""
    return {
        f"{family}{label}": best
        for one, label in LABELS.items()
        for family in FAMILIES
        if (best := measurement.best(family, precision=one))
    }


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
    bests, floors = [*map(bests_of, measurements)], [*map(floors_of, measurements)]
    names = [f"{family}{label}" for label in LABELS.values() for family in FAMILIES]
    rows = [
        [name, *(milliseconds(best[name].milliseconds if name in best else None) for best in bests)]
        for name in names
        if any(name in best for best in bests)
    ]
    for name in dict.fromkeys(name for each in floors for name in each):
        rows += [[name, *(milliseconds(each.get(name)) for each in floors)]]
    rows += [
        _target_row(f"{OWN} / {TORCH}", measurements, _over_torch, targets.PYTORCH),
        _target_row(f"{OWN} / best peer", measurements, _over_best, targets.BEST_PEER),
        _target_row(f"{OWN} / floor", measurements, _own_over_floor, targets.FLOOR),
    ]
    if any(MIXED_BFLOAT16 in measurement.rates for measurement in measurements):
        own = f"{OWN}{LABELS[MIXED_BFLOAT16]}"
        rows += [
            _target_row(
                f"{own} / best peer in any precision", measurements, _lower_over_best, targets.LOWER_BEST_PEER
            ),
            _target_row(f"{own} / floor", measurements, _lower_over_floor, targets.LOWER_FLOOR),
        ]
    return Table("Fastest variant of each library, ms per step", header, rows)


def _over_torch(measurement: Measurement) -> float | None:
    return measurement.ratio(measurement.best(TORCH))


def _over_best(measurement: Measurement) -> float | None:
    return measurement.ratio(measurement.best_peer())


def _lower_over_best(measurement: Measurement) -> float | None:
    return measurement.ratio(measurement.best_peer(precision=None), MIXED_BFLOAT16)


def _lower_over_floor(measurement: Measurement) -> float | None:
    return measurement.over_floor(measurement.best(OWN, precision=MIXED_BFLOAT16))


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
