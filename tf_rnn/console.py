"""Lines for people, which a terminal shows and does not execute.

What a log cannot take, since its reader has ended or its disk is full, is dropped: training continues.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rich.console import Console

# Control characters, separators of lines, what reorders its neighbours, and bytes that are no UTF-8.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str, keep: str = "") -> str:
    r"""A text with an escape (`\x1b`) for each character that a terminal would execute, or that none has.

    Args:
        text: The text.
        keep: Control characters that stay.
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # how Python holds a byte that is no UTF-8
        return rf"\x{number - 0xDC00:02x}"
    return _NAMES.get(character) or (rf"\x{number:02x}" if number < 0x100 else rf"\u{number:04x}")


def written(files: Iterable[Path]) -> str:
    """Names what was written, a line for each of several files."""
    names = [visible(str(path)) for path in files]
    return f"written: {names[0]}" if len(names) == 1 else "\n  ".join(["written:", *names])


def shell_word(word: str) -> str:
    r"""A word to be copied to a shell: quoted if necessary, hidden characters as in `$'\x1b'`."""
    if not _HIDDEN.search(word):
        return shlex.quote(word)
    escaped = re.sub(r"['\\]", r"\\\g<0>", word)
    return f"$'{_HIDDEN.sub(lambda found: _bytes(found[0]), escaped)}'"


def _bytes(character: str) -> str:
    try:
        return "".join(rf"\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # in no name of a file
        return _escape(character)


def say(line: str) -> None:
    """Prints a line on standard error, if that can be written."""
    with _dropping():
        print(visible(line), file=sys.stderr, flush=True)


class Log(io.TextIOBase):
    """Standard error as it is at each moment; what it does not take is dropped."""

    @property
    def _stream(self) -> Any:
        """Standard error itself, while a progress bar has put itself before it."""
        return getattr(sys.stderr, "rich_proxied_file", sys.stderr)

    def write(self, text: str) -> int:
        """Writes a text."""
        with _dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered."""
        with _dropping():
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        try:
            return bool(self._stream.isatty())
        except (OSError, ValueError, AttributeError):  # closed, or none at all
            return False

    def fileno(self) -> int:
        """Its number."""
        return int(self._stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Its encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"


class NotebookLine(io.TextIOBase):
    """A line below the cell of a notebook; each line that is written takes the place of the one before.

    Args:
        display: That of IPython.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None

    def write(self, text: str) -> int:
        """Shows the last line of a text."""
        shown = {"text/plain": text.rstrip("\n").rpartition("\n")[2]}
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
        return len(text)


def log_console() -> Console:
    """A console on standard error that drops what cannot be written; in a notebook, a line below the cell."""
    from rich.console import Console  # noqa: PLC0415 (takes longer to load than a refusal may)

    display = notebook_display()
    if display is None:
        return Console(file=Log())  # type: ignore[arg-type]  # it has what a console needs of a file
    # Kernels ask for colours, which a line of plain text has not.
    return Console(file=NotebookLine(display), force_jupyter=False, force_terminal=False)  # type: ignore[arg-type]


def notebook_display() -> Callable[..., Any] | None:
    """IPython's `display`, where the cells of a notebook are run; else None."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return sys.modules["IPython.display"].display if hasattr(shell, "kernel") else None


@contextlib.contextmanager
def busy(what: str, *, shown: bool = True) -> Iterator[None]:
    """Says on a terminal what is happening while nothing else is shown.

    Args:
        what: In words.
        shown: Whether anything is to be shown.
    """
    console = log_console()
    with console.status(visible(what)) if shown and console.is_terminal else contextlib.nullcontext():
        yield


def print_log(console: Console, line: str) -> None:
    """Prints a line on a console, exactly as it is but for what `visible` replaces."""
    console.print(visible(line), highlight=False, markup=False, emoji=False, soft_wrap=True)


def settle() -> None:
    """Flushes standard error; what it does not take is dropped, so that the program ends as it would."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        _discard()


@contextlib.contextmanager
def _dropping() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _discard()
    except (OSError, ValueError, AttributeError):  # a full disk, a closed stream, none at all
        pass


def _discard() -> None:
    """Lets standard error lead to nowhere, what is buffered included."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
