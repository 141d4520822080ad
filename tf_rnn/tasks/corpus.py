"""Where the text of a task comes from: files, a download, or the documentation in every Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tf_rnn.options import OptionError, shown
from tf_rnn.tasks.downloads import DOWNLOADS, fetch

BYTE_ORDER_MARK = "\ufeff"
FILES = ("train.txt", "valid.txt", "test.txt")


class Source(NamedTuple):
    """A text to learn from.

    Attributes:
        text: All of it, at least 1 character.
        place: Where it is from, in the words of a message.
    """

    text: str
    place: str


def read_sources(data: str | os.PathLike[str] | None) -> tuple[Source, ...]:
    """Reads the text that the option `data` names.

    Args:
        data: A key of `DOWNLOADS`, which is downloaded; else the path of a UTF-8 text file, or of a
            directory with `train.txt`, `valid.txt` and `test.txt`, which may share one prefix
            (`ptb.train.txt`); or None for the documentation that is in every Python. A file that has
            the name of a download is `./NAME`.

    Returns:
        One text, to be cut into splits; or three, one for each of the splits train, valid and test.

    Raises:
        OptionError: For the option `data`, if a text cannot be had, is empty or is not UTF-8.
    """
    if data is None:
        return (Source(python_documentation(), "Python's documentation"),)
    paths = fetch(data) if isinstance(data, str) and data in DOWNLOADS else _find_files(data)
    return tuple(Source(read_text(path), f"the file {str(path)!r}") for path in paths)


def read_text(path: Path) -> str:
    r"""Reads a UTF-8 text file as it stands, without a byte order mark at its beginning.

    Newlines are not translated: "\r\n" stays two characters.

    Args:
        path: The path of the file.

    Returns:
        The text, of at least 1 character.

    Raises:
        OptionError: For the option `data`, if the file cannot be read, is empty or is not UTF-8.
    """
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
    characters. They differ a little between Python versions: the SHA-256 of a task of language says
    which text it is.
    """
    from pydoc_data.topics import topics  # noqa: PLC0415 -- large, and seldom needed

    return "\n".join(topics[topic] for topic in sorted(topics))


def _find_files(data: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Returns the one file, or the three of a directory; or raises OptionError."""
    try:
        path = Path(data)
        is_directory, exists = path.is_dir(), path.exists()
    except (TypeError, ValueError, OSError) as error:  # no path, a null character, a name too long
        raise OptionError(
            "data", f"must be the path of a text file or a directory, got {shown(data)}"
        ) from error
    if not exists:
        raise OptionError(
            "data",
            f"must be the path of a text file or a directory, or one of {', '.join(DOWNLOADS)}; "
            f"there is nothing at {os.fspath(data)!r}",
        )
    _refuse_endless(path)
    return _find_splits(path) if is_directory else (path,)


def _refuse_endless(path: Path) -> None:
    """Raises OptionError for what may never end: a device; a pipe with a name, which may have no writer."""
    real = path.resolve()
    if real.exists() and not (real.is_file() or real.is_dir()):
        raise OptionError("data", f"must be the path of a text file or a directory, {str(path)!r} is neither")


def _find_splits(folder: Path) -> tuple[Path, ...]:
    """Returns the files of a directory's splits, or raises OptionError."""
    prefix = ""
    if not (folder / FILES[0]).is_file():
        found = sorted(path.name for path in folder.glob(f"[!.]*.{FILES[0]}"))
        if len(found) > 1:
            raise OptionError(
                "data", f"must have one file for the split train, but {str(folder)!r} has {', '.join(found)}"
            )
        prefix = found[0].removesuffix(FILES[0]) if found else ""
    paths = tuple(folder / f"{prefix}{name}" for name in FILES)
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise OptionError(
            "data",
            f"must have {', '.join(FILES[:-1])} and {FILES[-1]} where it is a directory (or these with one "
            f"prefix, as in ptb.{FILES[0]}), but {str(folder)!r} has no {', no '.join(missing)}",
        )
    return paths
