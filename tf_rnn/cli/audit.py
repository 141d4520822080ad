"""`audit`: where a training loop of any framework truncates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.parser import chosen
from tf_rnn.options import OptionError
from tf_rnn.options.declared import AUDIT_ACTIONS, AUDIT_OPTIONS
from tf_rnn.reporting.terminal import print_line, print_written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.cli.parser import Parser

NAME = "audit"
HELP = "check where a training loop of any framework truncates"
# Which options an action takes.
TAKEN = {
    "write": ("num_steps", "dtype"),
    "read": ("asked", "asked_stride", "loss_scale"),
    "export_echo": (),
    "read_loss": (),
}
# Wider pictures do not fit a terminal.
WIDEST_PICTURE = 100
HOW_TO_RUN = (
    "Run your loop once for each row of inputs, one input and one unit a step: recurrent weight 1, input "
    "weight 1, no bias, {activation}, no clipping, state 0 at the start, numbers of the type {dtype}. The "
    "loss is sum(weights * outputs), or the squared error of targets. Keep dL/dw of the recurrent weight, "
    "and the output of step loss_step (from 1). Then:"
)
IDENTITY, OR_RELU = "identity activation", "identity activation (or ReLU: no state is negative)"
HOW_TO_SAVE = (
    "    probe = dict(numpy.load({name!r}))\n"
    '    numpy.savez("result.npz", gradient=gradients, output=outputs, **probe)\n'
    "    python -m tf_rnn audit --read result.npz"
)
HOW_TO_TRAIN = (
    "Train a classifier of two classes on inputs and targets (0 or 1, one a step) with your loop, the "
    "state reset at the start of each block. The mean loss over valid_inputs and valid_targets, in nats, "
    "says how wide the blocks are:"
)


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    parser.add_declared("what is done (choose one)", AUDIT_ACTIONS.values(), one_of=True)
    parser.add_declared("how", AUDIT_OPTIONS.values())


def run(given: dict[str, Any], words: Sequence[str]) -> None:  # noqa: ARG001
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed, a file exists that would be written, or cannot be read.
    """
    actions = [name for name in AUDIT_ACTIONS if name in given]
    if not actions:
        flags = [option.flag for option in AUDIT_ACTIONS.values()]
        raise OptionError("write", f"must be given, or one of {', '.join(flags[1:])}")
    (action,) = actions
    for name in sorted(given.keys() - {action, *TAKEN[action]}):
        (takes,) = (AUDIT_ACTIONS[other].flag for other, taken in TAKEN.items() if name in taken)
        raise OptionError(name, f"must be left out unless {takes} is given")
    ACTIONS[action](given[action], **chosen(given, TAKEN[action]))


def _write(path: Path, num_steps: int = AUDIT_OPTIONS["num_steps"].default, dtype: str = "float32") -> None:
    arrays = tf_rnn.audit.probe_arrays(num_steps, dtype)
    tf_rnn.audit.write_archive("write", path, arrays)
    print_written([path])
    runs = len(arrays["inputs"])
    activation = OR_RELU if runs == num_steps else IDENTITY
    print_line(f"{runs} runs. {HOW_TO_RUN.format(activation=activation, dtype=dtype)}")
    print_line(HOW_TO_SAVE.format(name=str(path)))


def _read(path: Path, **options: Any) -> None:
    reach = tf_rnn.audit.read_result("read", path, **options)
    if not reach.problem and len(reach.readings) <= WIDEST_PICTURE:
        print_line("Each row is the error of a step; # are the steps that it reaches (step 1 is never seen):")
        print_line(reach.picture())
    print_line(f"{reach.sentence}.")


def _export_echo(path: Path) -> None:
    tf_rnn.audit.write_archive("export_echo", path, tf_rnn.audit.echo_arrays())
    print_written([path])
    print_line(HOW_TO_TRAIN)
    print_line("    python -m tf_rnn audit --read-loss LOSS")


def _read_loss(loss: float) -> None:
    print_line(f"{tf_rnn.audit.width_of(loss).sentence}.")


ACTIONS: dict[str, Any] = {
    "write": _write,
    "read": _read,
    "export_echo": _export_echo,
    "read_loss": _read_loss,
}
