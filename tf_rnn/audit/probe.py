"""Inputs that make each state a power of two."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.audit.decode import number_of
from tf_rnn.audit.reading import Reading, read_probe
from tf_rnn.options import OptionError, require_number, require_whole, shown
from tf_rnn.options.declared import AUDIT_OPTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Steps that one probe can show. A float32 holds whole numbers of 24 bits; the largest state has two digits
# more than there are steps, and two are left for the half by which a target differs from the output.
MOST_SHOWN = {"float32": 20, "float64": 49}
# The digit of the first step shown is 2^2, so that loss scales of 1/2 and 1/4 leave whole numbers.
LOWEST = 2


@dataclasses.dataclass(frozen=True)
class Probe:
    """Data for a network h_t = w h_{t-1} + x_t with w = 1 and h_0 = 0, and the reading of its gradient.

    The inputs are x_1 = 4 and x_t = 2^t from step 2 on, so that h_{t-1} = 2^t. With the loss on the output of
    step T,

        dL/dw = sum over the steps t that the error reaches of h_{t-1} = sum 2^t

    whose binary digits are these steps. Step 1 cannot be seen, since the state before it is 0. For T = 7:
    252 if nothing is truncated, 240 for sliding windows of 4, 224 for blocks of 4, 128 if the state is
    detached at every step. Blocks of 4 that start from a state of 0 give 128, too, but the output is 224
    instead of 256: both are read.

    Attributes:
        num_steps: Steps N of the data.
        loss_step: The step T that has the loss, from 1; None for the last.
        shown: First and last step that have digits, counted from 1. None for all from 2 on; where these are
            more than the dtype has digits (20 in float32, 49 in float64), `probes` makes several probes.
        dtype: "float32" or "float64", that of the arrays and of the network.

    Raises:
        OptionError: A value is not allowed, or there are more steps to be shown than digits.

    Source: backpropagation through time of a linear unit, dh_T/dh_t = w^(T-t) = 1 (Werbos 1990).
    """

    num_steps: int
    loss_step: int | None = None
    shown: tuple[int, int] | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("num_steps", "dtype"):
            object.__setattr__(self, name, AUDIT_OPTIONS[name].check(getattr(self, name)))
        last = self.num_steps if self.loss_step is None else self.loss_step
        object.__setattr__(self, "loss_step", require_whole("loss_step", last, at_most=self.num_steps))
        object.__setattr__(self, "shown", self._require_shown())

    def _require_shown(self) -> tuple[int, int]:
        most = MOST_SHOWN[self.dtype]
        if self.shown is None:
            if self.num_steps > most + 1:
                raise OptionError(
                    "num_steps",
                    f"must be at most {most + 1} for one probe in {self.dtype}, got {self.num_steps}; "
                    f"float64 shows {MOST_SHOWN['float64'] + 1} steps, and tf_rnn.audit.probes any number",
                )
            return 2, self.num_steps
        try:
            first, last = self.shown
        except (TypeError, ValueError) as error:
            raise OptionError("shown", f"must be a first and a last step, got {shown(self.shown)}") from error
        first = require_whole("shown", first, at_least=2)
        last = require_whole("shown", last, at_least=first, at_most=self.num_steps)
        if last - first >= most:
            raise OptionError("shown", f"must be at most {most} steps in {self.dtype}, got {first} to {last}")
        return first, last

    @property
    def step(self) -> int:
        """The step T that has the loss, from 1."""
        assert self.loss_step is not None
        return self.loss_step

    @property
    def span(self) -> tuple[int, int]:
        """First and last step shown, from 1."""
        assert self.shown is not None
        return self.shown

    @functools.cached_property
    def states(self) -> NDArray[np.float64]:
        """The states h_0 ... h_N of a network that carries its state, [num_steps + 1]."""
        first, last = self.span
        step = np.arange(1, self.num_steps + 2)  # h_{t-1} is the state before step t
        end = last + 1 if last >= self.num_steps else last
        found: NDArray[np.float64] = np.where(
            (step >= first) & (step <= end), np.exp2(step - first + LOWEST), 0.0
        )
        return found

    @property
    def inputs(self) -> NDArray[Any]:
        """x_1 ... x_N, [num_steps]."""
        return np.diff(self.states).astype(self.dtype)

    @property
    def weights(self) -> NDArray[Any]:
        """1 at the step that has the loss, 0 elsewhere, [num_steps].

        The loss is sum(weights * outputs); what the loop reports as its loss is then the output to be read.
        """
        weights = np.zeros(self.num_steps, self.dtype)
        weights[self.step - 1] = 1
        return weights

    @property
    def targets(self) -> NDArray[Any]:
        """Targets [num_steps] for a loop whose loss is a squared error.

        They are the outputs, but for a half less at the step that has the loss: the derivative of (output -
        target)^2 is 1 there and 0 elsewhere. A mean over n numbers makes it 1/n, a factor of 1/2 before the
        square 1/2: the product is the `loss_scale` of `read`. Where the state is reset, other steps miss
        their targets; use `weights`.
        """
        return (self.states[1:] - 0.5 * self.weights).astype(self.dtype)

    @property
    def output(self) -> float:
        """The output of the step that has the loss, if the state is carried."""
        return float(self.states[self.step])

    def read(self, gradient: Any, output: Any, loss_scale: float = 1.0, asked: int | None = None) -> Reading:
        """Reads which steps the error has reached.

        Args:
            gradient: dL/dw of the recurrent weight, one number, summed over all backward passes of the loop.
                Where only weights can be seen: the weight before less the weight after, with plain gradient
                descent at a learning rate of 1.
            output: The network's output at the step that has the loss.
            loss_scale: The derivative of the loss with respect to that output: 1/n where the loss is a mean
                over n.
            asked: The number of steps over which the loop is meant to backpropagate.

        Returns:
            The reading. Its sentence says what numbers look like that cannot be read.

        Raises:
            OptionError: What is given is no number, or `loss_scale` is 0.
        """
        loss_scale, asked = require_scale(loss_scale), require_asked("asked", asked)
        return read_probe(
            self, number_of("gradient", gradient) / loss_scale, number_of("output", output), asked
        )


def probes(num_steps: int, dtype: str = "float32") -> list[Probe]:
    """Returns probes that show all steps for the loss of each step, in the order of the losses.

    Args:
        num_steps: Steps of the data, up to 500.
        dtype: "float32" or "float64". Where there are more steps than digits, a loss has several probes, the
            latest steps last; their states may be 0 or negative, so that a ReLU cannot replace the identity.

    Raises:
        OptionError: A value is not allowed.
    """
    num_steps = AUDIT_OPTIONS["num_steps"].check(num_steps)
    most = MOST_SHOWN[AUDIT_OPTIONS["dtype"].check(dtype)]
    spans = [(first, min(first + most - 1, num_steps)) for first in range(2, num_steps + 1, most)]
    return [
        Probe(num_steps, loss_step, span, dtype)
        for loss_step in range(1, num_steps + 1)
        for span in spans
        if span[0] <= max(2, loss_step)
    ]


def require_scale(loss_scale: Any) -> float:
    """Returns the loss scale as a float, or raises OptionError unless it is a number other than 0."""
    if number := require_number("loss_scale", loss_scale):
        return number
    raise OptionError("loss_scale", "must be a number other than 0, got 0")


def require_asked(option: str, value: Any) -> int | None:
    """Returns a number of steps that was asked for, or None."""
    return None if value is None else require_whole(option, value)
