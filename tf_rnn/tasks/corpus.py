"""Where the text of a task comes from: a file, or the documentation that is in every Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tf_rnn.config import OptionError

if TYPE_CHECKING:
    import os

BYTE_ORDER_MARK = "\ufeff"


def read_text(data: str | os.PathLike[str]) -> str:
    r"""Reads a UTF-8 text file as it stands, without a byte order mark at its beginning.

    Newlines are not translated: "\r\n" stays two characters.

    Args:
        data: The path of the file.

    Returns:
        The text, of at least 1 character.

    Raises:
        OptionError: For the option `data`, if there is no such file, or it is a directory, cannot
            be read, is empty or is not UTF-8.
    """
    path = _require_file(data)
    try:
        text = path.read_bytes().decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    except OSError as error:
        raise OptionError("data", f"could not be read from {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise OptionError(
            "data",
            f"must be UTF-8 text, but {str(path)!r} has the byte 0x{byte:02x} "
            f"at position {error.start}: {error.reason}",
        ) from error
    if not text:
        raise OptionError("data", f"must hold text, but the file {str(path)!r} is empty")
    return text


def python_documentation() -> str:
    """Returns the texts of Python's `help()` topics, sorted by topic and joined by newlines.

    They are in every installation, English prose and examples of code, about half a million
    characters. They differ a little between Python versions: the SHA-256 of a text task says
    which text it is.
    """
    from pydoc_data.topics import topics  # noqa: PLC0415 -- large, and seldom needed

    return "\n".join(topics[topic] for topic in sorted(topics))


def _require_file(data: str | os.PathLike[str]) -> Path:
    """Returns `data` as the path of something to read, or raises OptionError."""
    try:
        path = Path(data)
        is_directory, exists = path.is_dir(), path.exists()
    except (TypeError, ValueError, OSError) as error:  # no path, a null character, a name too long
        raise OptionError("data", f"must be the path of a text file, got {data!r}") from error
    if is_directory:
        raise OptionError("data", f"must be a text file, got the directory {str(path)!r}")
    if not exists:
        raise OptionError("data", f"must be a text file, but there is none at {str(path)!r}")
    return path
