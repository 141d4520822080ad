"""`python -m tf_rnn COMMAND ...`: reads the command line and runs the command."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from typing import TYPE_CHECKING, Any

INTERRUPTED = 130
# Says which encoding standard streams have.
ENCODING = "PYTHONIOENCODING"

try:
    import tf_rnn
    from tf_rnn.cli import (
        audit,
        compare,
        evaluate,
        export,
        forecast,
        import_keras,
        label,
        lags,
        launch,
        recommend,
        sample,
        train,
    )
    from tf_rnn.cli.parser import BAD_INPUT, Parser
    from tf_rnn.console import say, settle
    from tf_rnn.options import OptionError
except KeyboardInterrupt:  # while modules are loaded
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a log that cannot be written
        print("tf_rnn: interrupted", file=sys.stderr, flush=True)
    sys.exit(INTERRUPTED)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

COMMAND_MODULES = (
    *(compare, recommend, lags, train, launch, evaluate, forecast, label, sample, export, import_keras),
    audit,
)
COMMANDS: dict[str, Any] = {command.NAME: command for command in COMMAND_MODULES}
AGAIN = "finished runs are kept; the same command continues from there"
OUT_OF_MEMORY = "there is not enough memory; use smaller sizes or fewer steps"
# Before these an option's name that is a word of English, too, is meant as a name.
BEFORE_NAMES = "where|with|without|unless|beside"
QUOTED = r"""'[^']*'|"[^"]*\""""


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command line.

    Args:
        words: The arguments; None for those of this process.

    Returns:
        The exit status: 0 done, 1 training diverged, runs failed or the machine lacks something, 2 bad
        input, 130 interrupted.
    """
    _open_closed_streams()
    _replace_missing_characters()
    words = sys.argv[1:] if words is None else list(words)
    parser = Parser(prog="tf_rnn", description=tf_rnn.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"tf_rnn {tf_rnn.__version__}")
    of_commands: dict[str, Parser] = {}
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_options(subparser)
        subparser.usage = subparser.usage or " ".join(["%(prog)s [options]", *subparser.positional.values()])
        of_commands[name] = subparser
    name = next((word for word in words if word in COMMANDS), "")
    try:
        given = vars(parser.parse_args(words))
        COMMANDS[given.pop("command")].run(given, words)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Exception, KeyboardInterrupt) as error:
        flags = {name for subparser in of_commands.values() for name in subparser.flags}
        line, status = ending(error, of_commands[name].positional, flags)
        say(f"tf_rnn {name}: {line}")
        return status
    finally:
        settle()
    return 0


def ending(error: BaseException, positional: dict[str, str], flags: Collection[str]) -> tuple[str, int]:
    """How an error ends the program: its line and the exit status.

    Args:
        error: What was raised.
        positional: What options that are given by their place are called on the command line.
        flags: The names of all other options.

    Raises:
        BaseException: The error itself, if it is a fault of the program.
    """
    if isinstance(error, OptionError):
        named = [positional.get(name, _as_flag(name)) for name in error.option.split(" and ")]
        return f"error: {' and '.join(named)} {with_flags(error.problem, flags)}", BAD_INPUT
    if isinstance(error, KeyboardInterrupt):
        return str(error) or f"interrupted; {AGAIN}", INTERRUPTED
    if isinstance(error, FloatingPointError | OverflowError):
        return f"error: {with_flags(str(error), flags)}", 1
    if isinstance(error, OSError):  # a full disk under standard output, say
        place = f" ({error.filename!r})" if error.filename else ""
        return f"error: {error.strerror or error}{place}", 1
    # TensorFlow's error of this name, without loading TensorFlow.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"error: {OUT_OF_MEMORY}", 1
    if isinstance(error, RuntimeError) and isinstance(error, tf_rnn.comparison.WorkerDiedError):
        return f"error: {error}; {AGAIN}", 1
    raise error


def with_flags(problem: str, flags: Collection[str]) -> str:
    """An error in which options are named as on the command line, but not in what is quoted.

    Args:
        problem: The error, with the names that options have in Python.
        flags: These names.
    """
    sure, words = ("|".join(name for name in flags if ("_" in name) == has) for has in (True, False))
    named = re.compile(rf"{QUOTED}|\b(?P<sure>{sure})\b|\b(?:{BEFORE_NAMES}) (?P<word>{words})\b")

    def flag(found: re.Match[str]) -> str:
        name = found["sure"] or found["word"]
        return found[0].removesuffix(name) + _as_flag(name) if name else found[0]

    return named.sub(flag, problem)


def _as_flag(option: str) -> str:
    return "--" + option.replace("_", "-")


def _open_closed_streams() -> None:
    """Opens standard streams that were closed, lest files take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _replace_missing_characters() -> None:
    """Makes terminals show a question mark for a character that they lack; files and pipes get UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.isatty() and ENCODING not in os.environ:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        elif isinstance(stream, io.TextIOWrapper) and stream is sys.stdout:
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
