"""The page of a forecast: what is predicted in words, a picture, and all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tf_rnn.reporting import Bullets, Image, Page, Table
from tf_rnn.text import counted

if TYPE_CHECKING:
    from tf_rnn.inference.forecasting import Forecast, SeriesForecast

# Series and targets that are put into words at most.
MOST_SAID = 20


def forecast_page(forecast: Forecast, picture: str) -> Page:
    """The page of a forecast.

    Args:
        forecast: What is predicted.
        picture: The name of the file with its picture.
    """
    found = forecast.forecasts
    targets, steps = list(found[0].values), len(found[0].times)
    series = f" in {len(found)} series" if len(found) > 1 else ""
    ahead = counted(steps, "step") if steps > 1 else "step"
    said = [_sentence(one, name, forecast.quantiles) for one in found for name in targets]
    left_out = [f"{len(said) - MOST_SAID} more are in the table"] if len(said) > MOST_SAID else []
    table = forecast.table()
    rows = [[f"{cell:#.5g}" if isinstance(cell, float) else cell for cell in row] for row in table.rows]
    return Page(
        "Forecast",
        f"The next {ahead} of {', '.join(targets)}{series}.",
        Bullets(forecast.notes) if forecast.notes else None,
        Bullets([*said[:MOST_SAID], *left_out]),
        Image("The past, the forecast and, where it is known, what came", picture, forecast.figure),
        Table(table.title, table.header, rows),
    )


def _sentence(one: SeriesForecast, name: str, quantiles: tuple[float, ...] | None) -> str:
    """The first and the last prediction, and how far off they are where that is known."""
    order = np.argsort(quantiles or [0.5])
    middle = int(np.argmin(np.abs(np.array(quantiles or [0.5]) - 0.5)))
    parts = []
    for step in dict.fromkeys((0, len(one.times) - 1)):
        values = one.values[name][step]
        text = f"{values[middle]:.4g} at {one.series.clock.shown(one.times[step])}"
        if quantiles is not None and len(quantiles) > 1:
            low, high = order[0], order[-1]
            between = f"quantiles {quantiles[low]:g} to {quantiles[high]:g}"
            text += f" ({values[low]:.4g} to {values[high]:.4g}, {between})"
        parts.append(text)
    errors = np.abs(one.values[name][:, middle] - one.truths[name])
    off = f"; off by {np.nanmean(errors):.4g} on average" if np.isfinite(errors).any() else ""
    whose = f"{name}, {one.series.name}" if one.series.name else name
    return f"{whose}: {' and '.join(parts)}{off}"
