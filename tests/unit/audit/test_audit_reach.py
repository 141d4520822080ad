"""The reach matrix of NumPy loops, right ones and ones with famous mistakes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from audit_helpers import Loop, Span, blocks, full, reached, slide

from tf_rnn.audit import Probe, measure_reach, probes, read_all
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

STYLES: dict[str, tuple[Callable[[int], list[Span]], str]] = {
    "full": (full, "not truncated within 23 steps"),
    "detached": (partial(blocks, width=1), "nothing flows back: detached at every step"),
    "blocks": (partial(blocks, width=4), "blocks of 4"),
    "sliding": (partial(slide, width=4), "sliding windows of 4"),
    "strides": (partial(slide, width=7, stride=2), "windows of 7 that move by 2"),
    "a stride that is the width": (partial(slide, width=3, stride=3), "blocks of 3"),
}
STATES = {False: "state carried", True: "state reset at the start of each"}
TAILS = {
    "blocks": "; the losses of the last 3 steps do not count",
    "a stride that is the width": "; the losses of the last 2 steps do not count",
}


@pytest.mark.parametrize("fresh", STATES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_told_apart(style: str, dtype: str, *, fresh: bool) -> None:
    """In float32, 23 steps take two probes for each of the last losses."""
    windows, sentence = STYLES[style]
    reach = measure_reach(Loop(windows, fresh=fresh), 23, dtype)
    is_full = style == "full"
    expected = reached(23, windows(23), fresh=fresh)
    np.testing.assert_array_equal(reach.matrix, expected)
    assert reach.carried == (not fresh or is_full)
    if style == "detached" and fresh:
        assert reach.sentence == "no step before is used: the state is reset at every step"
    else:
        assert reach.sentence == f"{sentence}, {STATES[fresh and not is_full]}{TAILS.get(style, '')}"


def last_only(num_steps: int, width: int) -> list[Span]:
    """Blocks of which only the last loss counts; the steps are run nonetheless."""
    return [Span(span.start, span.stop - 1, span.stop) for span in blocks(num_steps, width)]


def every(num_steps: int, stride: int, width: int) -> list[Span]:
    """Runs `stride` steps, then goes back over the last `width` of them (k1 and k2)."""
    found = []
    for span in blocks(num_steps, stride):
        middle = span.stop - width
        found += [Span(span.start, middle, middle), Span(middle, middle, span.stop)]
    return found


def counted_often(num_steps: int, width: int, stride: int) -> list[Span]:
    return [Span(stop - width, stop - width, stop) for stop in range(width, num_steps + 1, stride)]


def of_lengths(num_steps: int, lengths: list[int]) -> list[Span]:
    ends = np.cumsum(lengths).tolist()
    assert ends[-1] == num_steps
    return [Span(end - length, end - length, end) for end, length in zip(ends, lengths, strict=True)]


MISTAKES: dict[str, tuple[Loop, dict[str, Any], str]] = {
    "detached at every step": (
        Loop(partial(blocks, width=1)),
        {"asked": 6},
        "nothing flows back: detached at every step, state carried; 6 were asked for",
    ),
    "a setting that did nothing": (
        Loop(full),
        {"asked": 6},
        "not truncated within 12 steps, state carried; 6 were asked for",
    ),
    "too few steps": (
        Loop(full),
        {"asked": 12},
        "not truncated within 12 steps, state carried; 12 take more steps to be seen",
    ),
    "another gradient": (
        Loop(partial(blocks, width=4), scale=0.0),
        {"asked": 4},
        "no loss reaches any step: the gradient is 0 for the loss of every step",
    ),
    "k1 and k2 mixed up": (
        Loop(partial(every, stride=6, width=2)),
        {"asked": 6, "asked_stride": 2},
        (
            "windows of 2 every 6 steps, the errors in between lost, state carried; 6 that move by 2 were "
            "asked for: width and stride (k2 and k1) are mixed up"
        ),
    ),
    "the state forgotten between batches": (
        Loop(partial(blocks, width=6), fresh=True),
        {"asked": 6},
        "blocks of 6, state reset at the start of each",
    ),
    "another stride": (
        Loop(partial(slide, width=6, stride=3)),
        {"asked": 6, "asked_stride": 2},
        "windows of 6 that move by 3, state carried; 6 that move by 2 were asked for",
    ),
    "the last loss of each block": (
        Loop(partial(last_only, width=4)),
        {"asked": 4},
        "blocks of 4, state carried; only the last loss of every 4 steps counts",
    ),
    "losses that count several times": (
        Loop(partial(counted_often, width=6, stride=2)),
        {"asked": 6},
        (
            "windows of 6 that move by 2 and count all of their losses: most losses count 3 times, with "
            "errors that reach up to 6 steps"
        ),
    ),
    "the scale 1/n forgotten": (
        Loop(partial(blocks, width=4), scale=1 / 4),
        {"asked": 4},
        (
            "loss on step 2: the gradient 1 is smaller than the share of step 2 alone, 4: it looks like that "
            "of a mean over 4 (then errors reach 1 step): give loss_scale=1/4"
        ),
    ),
    "random lengths": (
        Loop(partial(of_lengths, lengths=[3, 2, 6, 1])),
        {},
        "blocks of different lengths, 2 to 6 steps, state carried",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_famous_mistakes_and_their_sentences(mistake: str) -> None:
    loop, asked, sentence = MISTAKES[mistake]
    found = measure_reach(loop, 12, **asked)
    assert found.sentence == sentence
    assert (found.carried is None) == (found.problem is not None)


@pytest.mark.parametrize(("num_steps", "width", "reset"), [(12, 2, 6), (47, 3, 39)])
def test_a_state_that_is_reset_more_rarely_than_errors_are_cut(
    num_steps: int, width: int, reset: int
) -> None:
    """Blocks with the state carried over some of them; 47 steps take three probes, one has the reset."""

    def run(probe: Probe) -> tuple[float, float]:
        start = (probe.step - 1) // reset * reset
        spans = [Span(step, step, min(step + width, num_steps)) for step in range(start, num_steps, width)]
        found: tuple[float, float] = Loop(lambda _: spans)(probe)
        return found

    sentence = f"blocks of {width}, state reset every {reset} steps"
    assert measure_reach(run, num_steps).sentence == sentence


def test_an_output_of_0_is_a_loss_that_is_dropped() -> None:
    """As in a loop that adds weights * outputs up."""

    def run(probe: Probe) -> tuple[float, float]:
        gradient, output = Loop(partial(blocks, width=4))(probe)
        return gradient, 0.0 if np.isnan(output) else output

    sentence = "blocks of 4, state carried; the losses of the last 2 steps do not count"
    assert measure_reach(run, 10).sentence == sentence


def test_the_picture_is_the_matrix() -> None:
    reach = measure_reach(Loop(partial(slide, width=3)), 5)
    picture = reach.picture()
    assert [record["steps"] for record in reach.records] == [[], [2], [2, 3], [2, 3, 4], [3, 4, 5]]
    assert picture.splitlines() == ["   1 .", "   2 .#", "   3 .##", "   4 .###", "   5 ..###"]


RIGHT: dict[str, Any] = {"made": probes(5), "gradients": [0.0] * 5, "outputs": [np.nan] * 5}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gradients": [0]}, "gradients must be as many as probes, 5, got 1"),
        ({"outputs": [[]] * 5}, "outputs must be one number, got 0"),
        ({"made": probes(5)[::-1]}, "made must be the probes of all losses in order"),
        ({"asked_stride": 0}, "asked_stride must be a whole number of at least 1, got 0"),
        ({"loss_scale": "half"}, "loss_scale must be a number, got 'half'"),
    ],
)
def test_readings_that_do_not_suit_the_probes_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{message}"):
        read_all(**(RIGHT | given))
