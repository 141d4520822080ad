"""`python -m tf_rnn COMMAND ...`: reads the command line and hands over to the command."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import TYPE_CHECKING, Any

INTERRUPTED = 130

try:
    from tf_rnn.cli import compare, evaluate, export, import_keras, lags, recommend, sample, train
    from tf_rnn.cli.options import BAD_INPUT, Parser
    from tf_rnn.comparison import WorkerDiedError
    from tf_rnn.options import OptionError
except KeyboardInterrupt:  # in the first half second
    print("tf_rnn: interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND_MODULES = (compare, recommend, lags, train, evaluate, sample, export, import_keras)
COMMANDS: dict[str, Any] = {command.NAME: command for command in COMMAND_MODULES}
GO_ON = "what is finished is kept, the same command goes on from there"
OUT_OF_MEMORY = "there is not enough memory; take smaller sizes, or fewer steps"
NAMED_IN_ERRORS = ("clip_norm", "learning_rate", "num_steps", "recurrent_gain")


def main(words: Sequence[str] | None = None) -> int:  # noqa: PLR0911 (one for each way to end)
    """Runs a command line.

    Args:
        words: The arguments; None for those of this process.

    Returns:
        The exit status: 0 done, 1 training diverged, runs failed or the machine has no more room, 2 bad
        input, 130 interrupted.
    """
    _open_what_is_closed()
    words = sys.argv[1:] if words is None else list(words)
    parser = Parser(prog="tf_rnn", description="How wide should the graph of a recurrent network be?")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_options(
            subparsers.add_parser(name, help=command.HELP, description=command.HELP, allow_abbrev=False)
        )
    arguments = parser.parse_args(words)
    try:
        _spell_what_can_be_spelt()
        COMMANDS[arguments.command].run(arguments, words)
        sys.stdout.flush()
    except OptionError as error:
        positional: dict[str, str] = getattr(COMMANDS[arguments.command], "POSITIONAL", {})
        option = positional.get(error.option, "--" + error.option.replace("_", "-"))
        return _fail(f"{arguments.command}: error: {option} {error.problem}", BAD_INPUT)
    except WorkerDiedError as error:
        return _fail(f"{arguments.command}: error: {error}; {GO_ON}", 1)
    except (FloatingPointError, OverflowError) as error:
        words_of_options = re.sub(rf"\b({'|'.join(NAMED_IN_ERRORS)})\b", _as_option, str(error))
        return _fail(f"{arguments.command}: error: {words_of_options}", 1)
    except KeyboardInterrupt as error:
        return _fail(f"{arguments.command}: {str(error) or f'interrupted; {GO_ON}'}", INTERRUPTED)
    except BrokenPipeError:  # whoever was reading has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a full disk under standard output, say
        place = f" ({error.filename!r})" if error.filename else ""
        return _fail(f"{arguments.command}: error: {error.strerror or error}{place}", 1)
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        return _fail(f"{arguments.command}: error: {OUT_OF_MEMORY}", 1)
    return 0


def _open_what_is_closed() -> None:
    """A program may be started without standard streams; files must not take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _is_out_of_memory(error: Exception) -> bool:
    """Python's and NumPy's error, or TensorFlow's, which may not have been loaded."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _spell_what_can_be_spelt() -> None:
    """A terminal that lacks a character shows a question mark for it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _as_option(name: re.Match[str]) -> str:
    return "--" + name[0].replace("_", "-")


def _fail(line: str, status: int) -> int:
    print(f"tf_rnn {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
