"""What a gradient or an output looks like that is not of the network that was asked for."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from tf_rnn.audit.decode import is_run, reset_before, steps_of, units
from tf_rnn.audit.words import listed, steps_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.audit.probe import Probe

# Outputs of a unit that is bounded.
BOUND = 1.0
# Means over more numbers than this are not tried beyond the number of steps.
FEW = 8
BISECTIONS = 200


def suspicion(probe: Probe, gradient: float, output: float) -> str:
    """Says what the numbers look like; they are not those of any truncation."""
    if not (math.isfinite(gradient) and math.isfinite(output)):
        name, value = ("output", output) if math.isfinite(gradient) else ("gradient", gradient)
        return f"the {name} is {value}: the step was not run, or the numbers overflow the type of the network"
    found = _about_another_step(probe, gradient, output)
    if not found and reset_before(probe, output) is None:
        found = _about_output(probe, gradient, output)
    found = found or _about_gradient(probe, gradient, output)
    return f"the {found}" if found else _unknown(probe, gradient, output)


# --- the output ------------------------------------------------------------------------------------------


def _about_output(probe: Probe, gradient: float, output: float) -> str:
    """The output is neither that of a carried state nor that of one that was reset."""
    if not output:
        return f"output is 0, not {probe.output:.6g}: the step was not run, or it was read from elsewhere"
    if abs(output) <= BOUND < abs(probe.output):
        return (
            f"output {output:.6g} is that of a bounded unit: tanh or sigmoid, where the identity is asked for"
        )
    return (
        (_about_scale(probe, gradient, output) if probe.output else None)
        or _about_order(probe, output)
        or _about_weight(probe, output)
    )


def _about_scale(probe: Probe, gradient: float, output: float) -> str | None:
    """Output and gradient are in the same proportion to what they should be."""
    factor = output / probe.output
    if not _run(probe, gradient / factor):
        return None
    return (
        f"output and the gradient are both {factor:.6g} times as large as they should be: an input weight or "
        "a readout weight that is not 1"
    )


def _about_order(probe: Probe, output: float) -> str | None:
    """The output is a sum of inputs x_t = 2^t, x_T among them, but not of those that come before it.

    The sum of the inputs up to T has the digit of T + 1.
    """
    total = units(probe, output)
    first, last = probe.span
    if not total or total < 0 or total >> (last - first + 1) or not total >> max(0, probe.step - first) & 3:
        return None
    which = "later steps" if output > probe.output else "some of the steps before it alone"
    return (
        f"output {output:.6g} is a sum of inputs of step {probe.step} and of {which}: the order of the data "
        "was changed (shuffled blocks?), or the state of other data carried on"
    )


def _about_weight(probe: Probe, output: float) -> str:
    """The output is that of another recurrent weight, or of no linear unit."""
    start = f"output {output:.6g} is not the output of step {probe.step}, {probe.output:.6g}"
    weight = _weight_of(probe, output)
    if weight is None:
        return f"{start}, of a linear unit: check the activation"
    return (
        f"{start}, but that of a recurrent weight of {weight:.6g}: an update in between (set the learning "
        "rate to 0), another initial weight, or a bias"
    )


def _weight_of(probe: Probe, output: float) -> float | None:
    """The w in (0, 2) for which sum_t w^(T-t) x_t is the output; None if there is none."""
    inputs = [float(x) for x in probe.inputs[: probe.step]]

    def output_of(weight: float) -> float:
        state = 0.0
        for x in inputs:
            state = weight * state + x
        return state

    low, high = 0.0, 2.0
    if not output_of(low) < output < output_of(high):
        return None
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if output_of(middle) < output else (low, middle)
    return (low + high) / 2


def _about_another_step(probe: Probe, gradient: float, output: float) -> str | None:
    """The output of the step before is that of a state which is reset at every step, too."""
    for step in range(2, probe.num_steps + 1):
        other = dataclasses.replace(probe, loss_step=step)
        if step != probe.step and other.output == output != 0 and _run(other, gradient):
            return f"output and the gradient are those of a loss on step {step}, not on step {probe.step}"
    return None


# --- the gradient ----------------------------------------------------------------------------------------


def _about_gradient(probe: Probe, gradient: float, output: float) -> str | None:
    """The output is right, or nothing is known of it."""
    reset = reset_before(probe, output) or 0
    own = _own_share(probe, reset)
    if gradient < 0:
        return _negative(probe, gradient, reset)
    if own and 0 < gradient < own:
        return _too_small(probe, gradient, reset, own)
    if own and gradient > 2 * own:
        return _too_large(probe, gradient, reset)
    return None


def _negative(probe: Probe, gradient: float, reset: int) -> str:
    """All states are positive."""
    if steps_of(probe, -gradient, reset):
        return f"gradient {gradient:.6g} has the wrong sign: a weight after, less the weight before"
    return (
        f"gradient {gradient:.6g} is negative: losses of other steps count, as with a squared error where a "
        "state that is reset misses the targets; put the loss on one step by the weights"
    )


def _too_small(probe: Probe, gradient: float, reset: int, own: float) -> str:
    """Step T alone contributes more."""
    start = f"gradient {gradient:.6g} is smaller than the share of step {probe.step} alone, {own:.6g}: "
    fits = dict(_multiples(probe, gradient, reset))
    if not fits:
        return f"{start}it looks clipped (by value, or by the norm of all gradients)"
    means = [f"{n} (then errors reach {steps_word(len(steps))})" for n, steps in fits.items()]
    scales = listed([f"1/{n}" for n in fits], "or")
    return f"{start}it looks like that of a mean over {listed(means, 'or')}: give loss_scale={scales}"


def _multiples(probe: Probe, gradient: float, reset: int) -> Iterator[tuple[int, list[int]]]:
    """Numbers n for which n times the gradient can be read, with the steps."""
    for n in range(2, max(FEW, probe.num_steps) + 1):
        if steps := _run(probe, gradient * n, reset):
            yield n, steps


def _too_large(probe: Probe, gradient: float, reset: int) -> str:
    """All steps together contribute less."""
    for n in range(2, max(FEW, probe.num_steps) + 1):
        if steps := _run(probe, gradient / n, reset):
            return (
                f"gradient {gradient:.6g} is {n} times that of errors which reach {steps_word(len(steps))}: "
                f"a sum over {n} rows or runs, or {n} windows that count this loss; give loss_scale={n}"
            )
    return (
        f"gradient {gradient:.6g} is larger than that of all steps together: some steps count more than "
        "once, as in windows that overlap and count all of their losses, or where a graph is kept and gone "
        "through again"
    )


def _own_share(probe: Probe, reset: int) -> float:
    """What step T contributes; 0 if it is not shown or nothing is before it."""
    before = float(probe.states[probe.step - 1])
    return before - (float(probe.states[reset - 1]) if reset else 0.0) if probe.step <= probe.span[1] else 0.0


def _run(probe: Probe, gradient: float, reset: int = 0) -> list[int] | None:
    """The steps whose shares sum to a gradient, if they follow each other; None or [] otherwise."""
    steps = steps_of(probe, gradient, reset)
    return steps if steps and is_run(steps) else None


def _unknown(probe: Probe, gradient: float, output: float) -> str:
    """Nothing that is known fits."""
    return (
        f"the gradient {gradient:.6g} with the output {output:.6g} is not that of any steps up to "
        f"{probe.step}: clipping, another loss scale, losses of other steps that count, a unit that is not "
        "linear, or an update in between"
    )
