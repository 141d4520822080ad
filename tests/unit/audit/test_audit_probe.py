"""One loss of the audit: its digits in closed form, and what numbers look like that cannot be read."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest
from audit_helpers import Loop, Span, blocks, full, slide
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.audit import Probe, probes
from tf_rnn.options import OptionError

STEP_7 = Probe(num_steps=8, loss_step=7)
BLOCKS = partial(blocks, width=4)


def test_the_state_before_step_t_is_2_to_the_t() -> None:
    np.testing.assert_array_equal(STEP_7.inputs, [4, 4, 8, 16, 32, 64, 128, 256])
    np.testing.assert_array_equal(np.cumsum(STEP_7.inputs), [4, 8, 16, 32, 64, 128, 256, 512])
    np.testing.assert_array_equal(STEP_7.weights, [0, 0, 0, 0, 0, 0, 1, 0])
    assert (STEP_7.output, str(STEP_7.inputs.dtype)) == (256, "float32")
    # of the squared error: the derivative is 2 (output - target)
    np.testing.assert_array_equal(2 * (np.cumsum(STEP_7.inputs) - STEP_7.targets), STEP_7.weights)


@pytest.mark.parametrize(
    ("loop", "gradient", "output", "steps", "sentence", "sentence_4"),
    [
        (
            Loop(full), 252, 256, [2, 3, 4, 5, 6, 7],
            "errors reach all 7 steps: not truncated within them, state carried",
            "errors reach 7 steps; 4 were asked for; state carried",
        ),
        (
            Loop(partial(slide, width=4)), 240, 256, [4, 5, 6, 7],
            "errors reach 4 steps: a window of 4, state carried",
            "sliding windows of 4, state carried",
        ),
        (
            Loop(BLOCKS), 224, 256, [5, 6, 7],
            "errors reach 3 steps: blocks of 4 or a window of 3, state carried",
            "blocks of 4, state carried",
        ),
        (
            Loop(partial(blocks, width=1)), 128, 256, [7],
            "nothing flows back: detached at every step (or step 7 is the first of a block), state carried",
            "errors reach 1 step; 4 were asked for; state carried",
        ),
        (
            Loop(BLOCKS, fresh=True), 128, 224, [6, 7],
            "errors reach 3 steps: blocks of 4 or a window of 3, state reset before step 5",
            "blocks of 4, state reset",
        ),
        (
            Loop(partial(blocks, width=1), fresh=True), 0, 128, [],
            "no step before 7 is used, state reset before step 7",
            "errors reach 1 step; 4 were asked for; state reset",
        ),
        (
            Loop(lambda _: [Span(0, 7, 8)]), 0, 256, [],
            "the loss of step 7 reaches no step: it does not count; state carried",
            "the loss of step 7 reaches no step: it does not count; state carried",
        ),
    ],
)  # fmt: skip
def test_five_loops_and_their_numbers(
    loop: Loop, gradient: int, output: int, steps: list[int], sentence: str, sentence_4: str
) -> None:
    """The loss is on step 7 of 8; two of the loops have the same gradient, and differ in the output."""
    found = loop(STEP_7)
    assert found[0] == gradient
    reading = STEP_7.read(found[0], output)
    assert np.isnan(found[1]) or found[1] == output
    assert (reading.steps, reading.sentence) == (steps, sentence)
    assert reading.carried == (output == 256)
    assert STEP_7.read(np.array([[gradient]]), np.array([output]), asked=4).sentence == sentence_4


def test_too_few_steps_are_said_in_numbers() -> None:
    """Unless the loss is on a step from which nothing flows back in a block, either."""
    sentences = []
    for step in (35, 36):
        probe = Probe(36, step, dtype="float64")
        gradient, output = Loop(partial(blocks, width=1))(probe)
        sentences.append(probe.read(gradient, output, asked=35).sentence)
    assert sentences[0] == "errors reach 1 step; 35 were asked for; state carried"
    assert sentences[1] == (
        "nothing flows back: step 36 is the first of a block of 35, or the state is detached at every step "
        "(a loss on step 35 tells which); state carried"
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_set_of_steps_is_read_whatever_the_scale(dtype: str) -> None:
    """Up to the last digit of the type, and for a loss scale that is no binary number; gaps, too."""
    longest = {"float32": 21, "float64": 50}[dtype]
    rng, kind = np.random.default_rng(3), np.dtype(dtype).type
    probe = Probe(longest, dtype=dtype)
    for _ in range(20):
        steps = [*np.flatnonzero(rng.random(longest + 1) < rng.random()), longest]
        steps = sorted({int(step) for step in steps if step >= 2})
        gradient = kind(sum(2.0**step for step in steps))
        assert probe.read(gradient, probe.output).steps == steps
        rounded = np.nextafter(kind(probe.output), kind(np.inf))
        assert probe.read(kind(gradient / kind(3)), rounded, loss_scale=1 / 3).steps == steps
    with pytest.raises(OptionError, match=f"^num_steps must be at most {longest} for one probe in {dtype}"):
        Probe(longest + 1, dtype=dtype)


def test_every_run_of_steps_after_a_reset_is_read() -> None:
    """The share of a step is the state before it, less that of the step before which the state was reset."""
    probe = Probe(17, 15)
    for reset in range(2, 15):
        for start in range(reset + 1, 16):
            shares = probe.states[start - 1 : 15] - probe.states[reset - 1]
            reading = probe.read(shares.sum(), probe.output - probe.states[reset - 1])
            found = (reading.reset_before, reading.steps, reading.start)
            first = reset if start == reset + 1 else start
            assert found == (reset, [*range(start, 16)], first), f"{found}, reset {reset}, start {start}"


def test_a_loss_with_more_steps_than_digits_has_several_probes() -> None:
    made = [probe for probe in probes(47) if probe.step == 45]
    assert [probe.span for probe in made] == [(2, 21), (22, 41), (42, 47)]
    for probe, share in zip(made, (2.0**22 - 4, 2.0**22 - 4, 4 + 8 + 16 + 32), strict=True):
        assert Loop(full)(probe) == (share, probe.output)
    sentence = "of the steps shown, 22 to 41, errors reach 39 to 41; state carried"
    probe = made[1]
    assert probe.read(*Loop(partial(slide, width=7))(probe)).sentence == sentence
    assert len(probes(21)) == 21


# --- what is no sum of digits ----------------------------------------------------------------------------

WRONG: dict[str, tuple[Loop, str]] = {
    "the scale 1/n forgotten": (
        Loop(BLOCKS, scale=1 / 4),
        (
            "the gradient 56 is smaller than the share of step 7 alone, 128: it looks like that of a mean "
            "over 4 (then errors reach 3 steps): give loss_scale=1/4"
        ),
    ),
    "a sum over two rows": (
        Loop(BLOCKS, scale=2),
        (
            "the gradient 448 is 2 times that of errors which reach 3 steps: a sum over 2 rows or runs, or 2 "
            "windows that count this loss; give loss_scale=2"
        ),
    ),
    "clipped": (
        Loop(BLOCKS, clip=5),
        "the gradient 5 is smaller than the share of step 7 alone, 128: it looks clipped (by value, ",
    ),
    "tanh": (
        Loop(BLOCKS, activation=np.tanh, slope=lambda h: 1 - h * h),
        "the output 1 is that of a bounded unit: tanh or sigmoid, where the identity is asked for",
    ),
    "an update in between": (
        Loop(BLOCKS, rate=2.0**-12, epochs=2),
        (
            "the output 242.874 is not the output of step 7, 256, but that of a recurrent weight of "
            "0.945312: an update in between (set the learning rate to 0)"
        ),
    ),
    "an input weight of 3": (
        Loop(BLOCKS, activation=lambda z: z),
        (
            "the output and the gradient are both 3 times as large as they should be: an input weight or a "
            "readout"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG)
def test_what_numbers_look_like_that_are_no_reading(mistake: str) -> None:
    loop, sentence = WRONG[mistake]
    factor = 3 if mistake == "an input weight of 3" else 1
    gradient, output = loop(STEP_7)
    reading = STEP_7.read(factor * gradient, factor * output)
    assert (reading.steps, reading.carried) == (None, None)
    assert reading.sentence.startswith(sentence), f"{reading.sentence!r}, not {sentence!r}"
    assert reading.problem == reading.sentence


@pytest.mark.parametrize(
    ("gradient", "output", "sentence"),
    [
        (124, 128, "the output and the gradient are those of a loss on step 6, not on step 7$"),
        (480, 512, "the output and the gradient are those of a loss on step 8, not on step 7$"),
        (-224, 256, "the gradient -224 has the wrong sign: a weight after, less the weight before$"),
        (
            -32640,
            224,
            "the gradient -32640 is negative: losses of other steps count, as with a squared error",
        ),
        (np.nan, 256, "the gradient is nan: "),
        # The steps before a reset, 4 here, would take shares away.
        (96 - 16, 224, "the gradient 80 is smaller than the share of step 7 alone, 96: "),
        (224, np.inf, "the output is inf: "),
        (32, 256, "the gradient 32 .* 4 .* 1 step.* 6 .* 2 steps.* 7 .*: give loss_scale=1/4, 1/6 or 1/7$"),
        (356, 256, "the gradient 356 is larger than that of all steps together: some steps count more than"),
        (
            130,
            256,
            "the gradient 130 with the output 256 is not that of any steps up to 7: clipping, another",
        ),
        (
            0,
            4 + 4 + 128,
            "the output 136 is a sum of inputs of step 7 and of some of the steps before it alone: ",
        ),
        (
            0,
            256 + 128,
            "the output 384 is a sum of inputs of step 7 and of later steps: the order of the data was",
        ),
        (224, -3, "the output -3 is not the output of step 7, 256, of a linear unit: check the activation$"),
    ],
)
def test_numbers_of_no_loop_here(gradient: float, output: float, sentence: str) -> None:
    found = STEP_7.read(gradient, output).sentence
    assert re.match(sentence, found), f"{found!r}, not {sentence!r}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_steps": 2}, "num_steps must be a whole number of at least 3, got 2"),
        ({"loss_step": 9}, "loss_step must be a whole number of at most 8, got 9"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64; got 'float16'"),
        ({"shown": (1, 3)}, "shown must be a whole number of at least 2, got 1"),
        ({"shown": 3}, "shown must be a first and a last step, got 3"),
        ({"num_steps": 60, "shown": (2, 22)}, "shown must be at most 20 steps in float32, got 2 to 22"),
    ],
)
def test_a_probe_that_is_none_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        Probe(**({"num_steps": 8} | given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gradient": [1, 2]}, "gradient must be one number, got 2"),
        ({"output": "much"}, "output must be one number, got 'much'"),
        ({"loss_scale": 0}, "loss_scale must be a number other than 0, got 0"),
        ({"asked": 0}, "asked must be a whole number of at least 1, got 0"),
    ],
)
def test_a_reading_of_no_number_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        STEP_7.read(**({"gradient": 224, "output": 256} | given))


@given(
    gradient=st.floats(allow_nan=True) | st.integers(-(2**24), 2**24).map(float),
    output=st.floats(allow_nan=True) | st.integers(-(2**24), 2**24).map(float),
    at=st.integers(0, len(probes(47)) - 1),
    asked=st.none() | st.integers(1, 60),
)
def test_any_numbers_give_a_sentence(gradient: float, output: float, at: int, asked: int | None) -> None:
    """And those that are read give back the gradient: the sum of the states that they name."""
    probe = probes(47)[at]
    reading = probe.read(gradient, output, asked=asked)
    assert len(reading.sentence) > 20
    if reading.steps and reading.carried and probe.step <= probe.span[1]:
        states = [probe.states[step - 1] for step in reading.steps]
        assert np.isclose(sum(states), gradient, rtol=1e-6)
