"""Errors of forecasts in the units of their targets, beside those of forecasts without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tf_rnn.inference.load import Model
    from tf_rnn.tasks import Series
    from tf_rnn.tasks.tabular import Part


def series_errors(
    model: Model, task: Series, split: str, predicted: list[NDArray[Any]] | None = None
) -> list[dict[str, Any]]:
    """The errors of a network and of simple forecasts on a split, from every row on: a rolling origin.

        rmse = sqrt(mean (forecast - value)^2),   mae = mean |forecast - value|

    over all rows and all steps ahead.

    Args:
        model: The network.
        task: The series.
        split: One of the task's splits, or "all".
        predicted: The network's forecasts, from `predictions`; None to make them.

    Returns:
        A record for each forecast and target: "forecast", "target", and, in its unit, "rmse" and "mae".
    """
    parts = task.parts(split)
    predicted = predictions(model, task, split) if predicted is None else predicted
    found = {"network": _errors(task, parts, [part[..., task.middle] for part in predicted])}
    for name, period in {"last value": 1, "seasonal naive": task.period_of_season}.items():
        if period is not None:
            title = name if period == 1 else f"{name} ({period})"
            found[title] = _errors(task, parts, [task.repeated(part, period) for part in parts])
    return [
        {"forecast": name, "target": target} | _in_units(task, zip(parts, errors, strict=True), number)
        for name, errors in found.items()
        for number, target in enumerate(task.columns.target)
    ]


def coverage(
    model: Model, task: Series, split: str, predicted: list[NDArray[Any]] | None = None
) -> list[dict[str, Any]]:
    """How often the targets of a split lie below each predicted quantile, over all steps ahead.

    Args:
        model: The network.
        task: The series.
        split: One of the task's splits, or "all".
        predicted: The network's forecasts, from `predictions`; None to make them.

    Returns:
        A record for each target and quantile: "target", "quantile", and the share "below"; none where the
        mean is predicted.
    """
    if task.quantiles is None:
        return []
    targets = [task.targets_of(part) for part in task.parts(split)]
    predicted = predictions(model, task, split) if predicted is None else predicted
    below = [own < np.moveaxis(part, 3, 0) for own, part in zip(targets, predicted, strict=True)]
    known, joined = ~np.isnan(np.concatenate(targets)), np.concatenate(below, axis=1)
    return [
        {
            "target": target,
            "quantile": quantile,
            "below": float(joined[place, :, number][known[:, number]].mean()),
        }
        for number, target in enumerate(task.columns.target)
        for place, quantile in enumerate(task.quantiles)
    ]


def predictions(model: Model, task: Series, split: str, **how: Any) -> list[NDArray[np.float64]]:
    """The network's forecasts at the rows of each part of a split that count; see `Series.by_quantile`.

    Args:
        model: The network.
        task: The series.
        split: One of the task's splits, or "all".
        **how: Options of `ModelEvaluator.predictions`.
    """
    parts = task.parts(split)
    found = model.evaluator.predictions(task, split, **how)
    ends = np.cumsum([part.stop - part.first for part in parts])
    return [
        task.by_quantile(found[end - (part.stop - part.counted) : end])
        for part, end in zip(parts, ends, strict=True)
    ]


def _errors(task: Series, parts: list[Part], guesses: list[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """Forecasts less targets, scaled, [rows, targets, horizon] of each part."""
    return [
        np.asarray(guess - task.targets_of(part), np.float64)
        for part, guess in zip(parts, guesses, strict=True)
    ]


def _in_units(
    task: Series, errors: Iterable[tuple[Part, NDArray[np.float64]]], number: int
) -> dict[str, float]:
    """The errors of one target in its unit."""
    name = task.columns.target[number]
    all_errors = np.concatenate(
        [
            of_part[:, number].ravel() * task.fit.spread(task.series[part.series], name)
            for part, of_part in errors
        ]
    )
    known = all_errors[~np.isnan(all_errors)]
    return {"rmse": float(np.sqrt(np.mean(known**2))), "mae": float(np.mean(np.abs(known)))}
