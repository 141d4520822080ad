"""Four widths that are easily mixed up: what the loss, the gradient and the state need, and what lasts."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.analysis.bias import LOST, needed_width
from tf_rnn.analysis.positions import ByPosition
from tf_rnn.comparison.ranking import MARGIN
from tf_rnn.comparison.settings import RunKey
from tf_rnn.reporting import Heading, Table
from tf_rnn.tasks.constant import constant_loss
from tf_rnn.text import counted, loss_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.settings import Comparison
    from tf_rnn.comparison.summary import Summary
    from tf_rnn.comparison.verdict import Verdict
    from tf_rnn.tasks import Task

NAMES = ("what the loss needs", "what the gradient needs", "what the state needs", "how long it stays good")
NOT_KEPT = "the trained network was not kept, as in results of an earlier version"
UNEXPLORED = "a sign of unexplored states (Buitrago & Gu 2025)"
EXACT = {
    "full": "whole rows are trained, so nothing is cut off",
    "random": "random truncation is unbiased at every width",
}
NOTE = """\
The loss decides; the other widths explain it. A state that is carried makes up for errors that truncation
cuts off, so the loss may need fewer steps than the gradient (Marschall, Cho & Savin 2020). What the state
needs is the context that the network uses: as many steps must be read before its predictions count."""


class Width(NamedTuple):
    """One of the four widths.

    Attributes:
        name: One of `NAMES`.
        steps: The number of steps; None if it is not known.
        shown: The number for people to read: `8`, `more than 40`, `not measured`.
        meaning: What it means, or why it is not known; a sentence without its full stop.
    """

    name: str
    steps: int | None
    shown: str
    meaning: str


@dataclasses.dataclass(frozen=True)
class FourWidths:
    """The four widths of an answer.

    With n the width of the answer, the means over its trained networks of `ByPosition`, and a margin,

        state needs:  the smallest k with fresh_j - carried_j <= margin for all j >= k
        stays good:   carried_p - fresh_p <= margin, after so many steps without a reset

    p is the last position measured. A network that was trained with the state reset every n steps has met no
    state beyond: p is n, and the state needs the smallest k with
    fresh_j - carried_j <= fresh_n - carried_n + margin for all j from k to n.

    Attributes:
        widths: Four, in the order of `NAMES`.
        remark: How the network fares that was trained at the same width, but with the state reset where
            the answer carries it; or empty.
        gradient: Some of a `LagAnalysis`; empty if it is not known.
    """

    widths: list[Width]
    remark: str
    gradient: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def line(self) -> str:
        """All four in one short line."""
        loss, gradient, state, lasting = (width.shown for width in self.widths)
        needs = f"Steps needed by the loss: {loss}, by the gradient: {gradient}, by the state: {state}"
        return f"{needs}; it stays good: {lasting}."

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each, ready for JSON."""
        return [width._asdict() for width in self.widths]

    def table(self) -> Table:
        """A row for each."""
        columns = {
            "width": [width.name for width in self.widths],
            "steps": [width.shown for width in self.widths],
            "meaning": [width.meaning for width in self.widths],
        }
        return Table.of_columns("Four widths", columns)

    @property
    def sections(self) -> list[Any]:
        """Their part of a report."""
        return [Heading("Four widths"), self.table(), self.remark, NOTE]


def networks(verdict: Verdict | None, summaries: Sequence[Summary]) -> tuple[list[RunKey], list[RunKey]]:
    """The runs of the answer, and those of its width with the other state; none without an answer."""
    found: tuple[list[RunKey], list[RunKey]] = [], []
    for each in summaries:
        if verdict is not None and each.num_steps == verdict.num_steps:
            keys = [RunKey(each.num_steps, each.state, seed, each.learning_rate) for seed in each.losses]
            found[each.state != verdict.state].extend(keys)
    return found


def four_widths(
    verdict: Verdict | None,
    comparison: Comparison,
    task: Task,
    results: Results,
    summaries: Sequence[Summary],
) -> FourWidths | None:
    """The four widths of an answer, from what was measured of its trained networks.

    Args:
        verdict: The answer.
        comparison: The settings.
        task: What was learnt.
        results: All runs; those of the answer's width that were looked at count.
        summaries: Which runs there are, each width and state at its best learning rate.

    Returns:
        None without an answer.
    """
    if verdict is None or verdict.num_steps is None:
        return None
    n, unit, setup = verdict.num_steps, task.unit, comparison.setup
    own, other = (
        [run for run in map(results.record, keys) if "by_position" in run]
        for keys in networks(verdict, summaries)
    )
    positions, others = (Mean.of([ByPosition(**run["by_position"]) for run in runs]) for runs in (own, other))
    margin = MARGIN * max(abs(verdict.loss), abs(constant_loss(task) - verdict.loss))
    is_reset = verdict.state == "reset" and setup.style != "full"  # which trains whole rows
    gradient = next((run["gradient"] for run in own if "gradient" in run), NOT_KEPT)
    remark = ""
    if others and not is_reset:
        reset = _width(3, lasting_width, others, n, n, margin, unit, positions)
        remark = (
            f"Trained with the state reset at every block, it stays good: {reset.shown} ({reset.meaning})."
        )
    blocks = n if is_reset else None
    widths = [
        Width(NAMES[0], n, str(n), f"the answer: held-out loss {loss_text(verdict.loss, unit)} {unit}"),
        _width(1, gradient_width, gradient, setup.style, setup.stride, task.loss_steps),
        _width(2, state_width, positions, blocks, margin, unit),
        _width(3, lasting_width, positions, n, blocks, margin, unit, others),
    ]
    return FourWidths(widths, remark, gradient if isinstance(gradient, dict) else {})


class NotMeasuredError(Exception):
    """A width is not known, for a reason in words."""


# Steps, steps in words, and their meaning; see `Width`.
Found = tuple[int | None, str, str]


def _width(number: int, measure: Callable[..., Found], *arguments: Any) -> Width:
    try:
        return Width(NAMES[number], *measure(*arguments))
    except NotMeasuredError as error:
        return Width(NAMES[number], None, "not measured", str(error))


class Mean(NamedTuple):
    """The means of several `ByPosition`; nan where something is missing."""

    fresh: np.ndarray
    carried: np.ndarray
    errors: np.ndarray
    steps: int

    @classmethod
    def of(cls, found: Sequence[ByPosition]) -> Mean | None:
        """The mean over networks; None without any."""
        if not found:
            return None
        # All networks read the same steps, so that more of them do not make the errors smaller.
        losses = [[each.fresh, each.carried, each.errors] for each in found]
        fresh, carried, errors = np.array(losses, float).mean(axis=0)
        return cls(fresh, carried, errors, found[0].steps)


def gradient_width(
    gradient: dict[str, Any] | str | None, style: str, stride: int, loss_steps: str | int
) -> Found:
    """How many steps the gradient needs, in the truncation style that trains.

    Args:
        gradient: Some of a `LagAnalysis`; None if it is too large; or why it was not measured.
        style: The truncation style.
        stride: That of sliding windows.
        loss_steps: Which steps have a loss; see `Task`.

    Raises:
        NotMeasuredError: If the style cuts off nothing on average, or there is no gradient.
    """
    if style in EXACT:
        raise NotMeasuredError(EXACT[style])
    if not isinstance(gradient, dict):
        raise NotMeasuredError(gradient or "it is too large for a floating-point number")
    in_blocks = style == "block" and loss_steps == "all"
    bias = gradient["block_bias" if in_blocks else "relative_bias"]
    if None in bias:
        raise NotMeasuredError("there is no gradient")
    meaning = f"to keep {1 - LOST:.0%} of the gradient over {counted(len(bias), 'step')}"
    meaning += ", in blocks" if in_blocks else ", for every error"
    half_life = gradient["half_life"]
    if half_life is not None and half_life > 0:
        meaning += f"; its norm halves every {half_life:.1f} steps"
    needed = needed_width(bias, LOST)
    if needed is None:
        return None, f"more than {len(bias)}", meaning
    if style == "sliding" and stride > 1:  # errors of a window go back n - stride + 1 to n steps
        needed += stride - 1
        return needed, f"at most {needed}", meaning
    return needed, str(needed), meaning


def state_width(found: Mean | None, num_steps: int | None, margin: float, unit: str) -> Found:
    """After how many steps from a fresh state the loss is as low as it gets; see `FourWidths`.

    Args:
        found: The losses by position.
        num_steps: The width, for a network trained with the state reset; None for one that carries it.
        margin: The largest difference of losses that counts as equal.
        unit: The unit of losses.

    Raises:
        NotMeasuredError: If networks or losses are missing, or a state that is carried is no better.
    """
    if found is None:
        raise NotMeasuredError(NOT_KEPT)
    excess = (found.fresh - found.carried)[:num_steps]
    measured = np.flatnonzero(np.isfinite(excess)) + 1
    if not len(measured) or measured[-1] < (num_steps or 0):
        raise NotMeasuredError("too few held-out steps have a loss there, or it is not finite")
    last = excess[measured[-1] - 1]
    if num_steps is not None:
        excess = excess - last
    elif last < -margin:
        raise NotMeasuredError("a state that is carried is worse than a fresh one, see below")
    reference = "one carried on" if num_steps is None else f"after all {num_steps}"
    meaning = f"until a fresh state is as good as {reference}, within {loss_text(margin, unit)} {unit}"
    worse = measured[excess[measured - 1] > margin]
    after = measured[measured > max(worse, default=0)]
    if not len(after):
        return None, f"more than {measured[-1]}", meaning
    needed = int(after[0])
    word = ""
    if 2 * found.errors[needed - 1] > margin:
        word = "about "
    elif needed > 1 and needed - 1 not in measured:
        word = "at most "
    return needed, f"{word}{needed}", meaning


def lasting_width(
    found: Mean | None, num_steps: int, reset: int | None, margin: float, unit: str, remedy: Mean | None
) -> Found:
    """Whether the loss stays as low as soon after a reset when the state is carried on; see `FourWidths`.

    Args:
        found: The losses by position.
        num_steps: The width.
        reset: The width, for a network trained with the state reset; None for one that carries it.
        margin: The largest difference of losses that counts as equal.
        unit: The unit of losses.
        remedy: Those of networks that were trained with the state carried.

    Raises:
        NotMeasuredError: If networks or losses are missing, or the data are too short.
    """
    if found is None:
        raise NotMeasuredError(NOT_KEPT)
    if num_steps > len(found.fresh) or found.steps < 2 * num_steps:
        raise NotMeasuredError("the held-out data are too short")
    measured = np.flatnonzero(np.isfinite(found.fresh[:reset]))
    if not len(measured) or measured[-1] + 1 < num_steps:
        raise NotMeasuredError("too few held-out steps have a loss there, or it is not finite")
    at = measured[-1]
    worse, error = found.carried[at] - found.fresh[at], 2 * found.errors[at]
    loss = "is not finite"
    if math.isfinite(worse):
        more = f"{loss_text(abs(worse), unit)} {unit} {'higher' if worse > 0 else 'lower'}"
        loss = f"is {more} than {counted(at + 1, 'step')} after one"
    meaning = f"after {counted(found.steps, 'step')} without a reset the loss {loss}"
    if worse + error <= margin:
        return found.steps, f"at least {found.steps}", meaning
    if worse - error <= margin:
        return None, f"{at + 1} or more", f"{meaning}; {loss_text(error, unit)} may be chance"
    cure = f", {UNEXPLORED}; train with the state carried" if reset else ""
    if reset and remedy is not None and math.isfinite(remedy.carried[at]):
        losses = [loss_text(each.carried[at], unit) for each in (remedy, found)]
        cure += f", which has {losses[0]} there instead of {losses[1]}"
    return int(at + 1), f"{at + 1}, not {found.steps}", f"{meaning}{cure}"
