"""What a gradient and an output say about one loss."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tf_rnn.audit.decode import is_run, reset_before, steps_of
from tf_rnn.audit.suspicion import suspicion
from tf_rnn.audit.words import listed, steps_word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tf_rnn.audit.probe import Probe

CARRIED = "state carried"
DETACHED = "nothing flows back: detached at every step"


@dataclasses.dataclass(frozen=True)
class Reading:
    """Which steps the error of one loss has reached.

    Attributes:
        loss_step: The step that has the loss, from 1.
        steps: The steps that its error reached, in order; None if the numbers cannot be read. A step before
            which the state is 0 (step 1, or the first after a reset) adds nothing to the gradient and is
            never listed.
        reset_before: The step before which the state was last set to zero; None if it was not, or cannot be
            read.
        shown: First and last step that the probe shows.
        asked: The number of steps that the loop is meant to go back.
        problem: What the numbers look like if they cannot be read; None otherwise.
    """

    loss_step: int
    steps: list[int] | None
    reset_before: int | None
    shown: tuple[int, int]
    asked: int | None = None
    problem: str | None = None

    @property
    def carried(self) -> bool | None:
        """Whether the state was carried up to the loss, as far as is shown; None if it cannot be read."""
        return None if self.problem else self.reset_before is None

    @property
    def counts(self) -> bool:
        """Whether the loss counts: its own step, at least, is reached, unless the state before it is 0."""
        return bool(self.steps) or self.loss_step == (self.reset_before or 1)

    @property
    def start(self) -> int | None:
        """The first step that is reached, from 1; None if none is, or if there are gaps.

        A step before which the state is 0 (step 1, or the first one after a reset) adds nothing to the
        gradient: it counts as reached if the next one is.
        """
        return self._start if self.counts and self.steps is not None and is_run(self.steps) else None

    @property
    def sentence(self) -> str:
        """What was found, in a sentence."""
        if self.problem or self.steps is None:
            return self.problem or "the numbers cannot be read"
        state = CARRIED if self.carried else f"state reset before step {self.reset_before}"
        first, last = self.shown
        if first > 2 or last < self.loss_step:
            reached = listed(_spans(self.steps)) or "none"
            return f"of the steps shown, {first} to {last}, errors reach {reached}; {state}"
        if not is_run(self.steps):
            return f"errors reach steps {listed(_spans(self.steps))}, with gaps; {state}"
        if not self.counts:
            return f"the loss of step {self.loss_step} reaches no step: it does not count; {state}"
        return self._named_by_asked(state) if self.asked else self._named(state)

    @property
    def _start(self) -> int:
        """The first step that is reached; one before which the state is 0 counts as reached."""
        if not self.steps:
            return self.loss_step
        return self.steps[0] - 1 if self.steps[0] - 1 == (self.reset_before or 1) else self.steps[0]

    @property
    def _reached(self) -> str:
        return steps_word(self.loss_step - self._start + 1)

    def _named_by_asked(self, state: str) -> str:
        """The style that fits what was asked for, or the difference."""
        assert self.asked is not None
        step, whole = self.loss_step, self._start == 1
        block, window = start_of_block(step, self.asked), max(1, step - self.asked + 1)
        fits = {name for name, start in (("block", block), ("window", window)) if start in self._possible}
        state = state if self.carried else "state reset"
        if fits == {"block"} and block == step:
            return (
                f"nothing flows back: step {step} is the first of a block of {self.asked}, or the state is "
                f"detached at every step (a loss on step {step - 1} tells which); {state}"
            )
        if fits == {"block"}:
            return f"blocks of {self.asked}, {state}"
        if fits == {"window"}:
            return f"sliding windows of {self.asked}, {state}"
        if fits and whole:
            return f"errors reach all {steps_word(step)}; {self.asked} were asked for; {state}"
        if fits:
            return f"errors reach {self._reached}, as asked, {state}"
        return f"errors reach {self._reached}; {self.asked} were asked for; {state}"

    def _named(self, state: str) -> str:
        """All styles that fit."""
        step, start = self.loss_step, self._start
        if start == 1:
            return f"errors reach all {steps_word(step)}: not truncated within them, {state}"
        blocks = [width for width in range(2, step) if start_of_block(step, width) == start]
        state = state if self.carried else f"state reset before step {self.reset_before}"
        if start == step:
            first = f" (or step {step} is the first of a block)" if blocks else ""
            return (
                f"{DETACHED}{first}, {state}" if self.carried else f"no step before {step} is used, {state}"
            )
        names = [
            *([f"blocks of {listed(blocks, 'or')}"] if blocks else []),
            f"a window of {step - start + 1}",
        ]
        return f"errors reach {self._reached}: {' or '.join(names)}, {state}"

    @property
    def _possible(self) -> tuple[int, ...]:
        """The first steps that cannot be told apart: step 1 adds nothing to the gradient."""
        return (1, 2) if self._start == 1 and not self.reset_before else (self._start,)


def _spans(steps: list[int]) -> list[str]:
    """Steps that follow each other, in words: `3`, `6 to 10`."""
    firsts = [step for step in steps if step - 1 not in steps]
    lasts = [step for step in steps if step + 1 not in steps]
    pairs = zip(firsts, lasts, strict=True)
    return [f"{first}" if first == last else f"{first} to {last}" for first, last in pairs]


def start_of_block(step: int, width: int) -> int:
    """The first step of the block of a step, from 1."""
    return (step - 1) // width * width + 1


def read_probe(
    probe: Probe,
    gradient: float,
    output: float,
    asked: int | None = None,
    beyond: Iterable[int] | None = None,
) -> Reading:
    """Reads a gradient at a loss scale of 1.

    Args:
        probe: The probe.
        gradient: dL/dw.
        output: The output of the step that has the loss.
        asked: The number of steps that the loop is meant to go back.
        beyond: See `tf_rnn.audit.decode.steps_of`.
    """
    reset = reset_before(probe, output)
    steps = None if reset is None else steps_of(probe, gradient, reset, beyond)
    problem = suspicion(probe, gradient, output) if steps is None else None
    return Reading(probe.step, steps, reset or None, probe.span, asked, problem)
