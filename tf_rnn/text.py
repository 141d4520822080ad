"""Numbers for people to read: losses, perplexities, counts."""

from __future__ import annotations

import math


def loss_text(loss: float, unit: str = "nats") -> str:
    """A loss for a person to read: four decimals, or two digits where those would not do.

    A ten-thousandth of a nat is nothing; squared errors may be as small as they like.
    """
    smallest = 0.0 if unit == "nats" else 1e-3
    return f"{loss:z.4f}" if loss == 0 or smallest <= abs(loss) < 1e4 else f"{loss:.2g}"


def loss_words(loss: float, unit: str = "nats") -> str:
    """A loss with what else it means: `4.612 (100.7 ppl, 6.65 bits)`; without where it is no entropy."""
    if unit != "nats":
        return loss_text(loss, unit)
    return f"{loss:z.3f} ({_perplexity_text(perplexity(loss))} ppl, {loss / math.log(2):z.2f} bits)"


def loss_in_units(loss: float, unit: str) -> str:
    """As `loss_words`, with the unit: `4.612 nats (100.7 ppl, 6.65 bits)`."""
    number, space, meaning = loss_words(loss, unit).partition(" ")
    return f"{number} {unit}{space}{meaning}"


def perplexity(loss: float) -> float:
    """exp(loss) of a loss in nats; inf where that is no number any more."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def _perplexity_text(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= value < 1e9 else f"{value:.4g}"


def counted(number: float, noun: str, form: str = "") -> str:
    """A number of things: `1 step`, `2 steps`, `2 series`."""
    return f"{number:{form}} {noun}" + ("s" if number != 1 and not noun.endswith("s") else "")


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any: 83.4 -> '1:23', 3723 -> '1:02:03'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
