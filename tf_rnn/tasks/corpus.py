"""Texts of language tasks: files, downloads, or the documentation that comes with Python."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from tf_rnn.options import OptionError, shown
from tf_rnn.tasks.downloads import DOWNLOADS, fetch

UTF_8 = "utf-8"
BYTE_ORDER_MARK = "\ufeff"
FILES = ("train.txt", "valid.txt", "test.txt")


class Stamp(NamedTuple):
    """The state of a file or directory, which differs after a change.

    Attributes:
        path: The absolute path.
        size: In bytes.
        mtime_ns: The time of the last change.
    """

    path: Path
    size: int
    mtime_ns: int

    def is_current(self) -> bool:
        """Whether nothing has changed since."""
        return stamp_of(self.path) == self


class Source(NamedTuple):
    """A text to learn from.

    Attributes:
        text: The whole text, at least 1 character.
        origin: Where it comes from, for messages.
    """

    text: str
    origin: str


class Corpus(NamedTuple):
    """The texts of a task.

    Attributes:
        sources: One text, to be cut into splits; or three, for the splits train, valid and test.
        stamps: The files that were read, and the directory they lie in if that was named, as they were
            before; None where something was read that is not a file and cannot be read again.
    """

    sources: tuple[Source, ...]
    stamps: tuple[Stamp, ...] | None

    def is_current(self) -> bool:
        """Returns whether reading again would give the same texts."""
        return self.stamps is not None and all(stamp.is_current() for stamp in self.stamps)


def read_corpus(data: str | os.PathLike[str] | None, encoding: str = UTF_8) -> Corpus:
    """Reads the text that the option `data` names.

    Args:
        data: A key of `DOWNLOADS`, which is downloaded; else the path of a text file, or of a
            directory with `train.txt`, `valid.txt` and `test.txt`, which may share one prefix
            (`ptb.train.txt`); or None for the documentation that comes with Python. Write `./NAME`
            for a file that has the name of a download.
        encoding: The encoding of the files, as Python calls it.

    Raises:
        OptionError: For the option `data`, if a text cannot be found or read, is empty or not in this
            encoding; for `encoding`, if there is no file that could have one.
    """
    if encoding != UTF_8 and (data is None or data in DOWNLOADS):
        raise OptionError("encoding", f"must be left out unless data is a file, got {encoding!r}")
    if data is None:
        return Corpus((Source(python_documentation(), "Python's documentation"),), ())
    if isinstance(data, str) and data in DOWNLOADS:
        paths = watched = fetch(data)
    else:
        try:
            paths = _find_files(data)
        except OSError as error:  # a directory that may not be entered
            raise OptionError(
                "data", f"could not be read from {os.fspath(data)!r}: {error.strerror}"
            ) from error
        watched = paths if len(paths) == 1 else (Path(data), *paths)
    stamps = tuple(stamp for path in watched if (stamp := stamp_of(path)))
    sources = tuple(Source(read_text(path, encoding), f"the file {str(path)!r}") for path in paths)
    return Corpus(sources, stamps if len(stamps) == len(watched) else None)


def exists(data: str) -> bool:
    """Returns whether there is anything at a path; at an impossible one there is not."""
    try:
        return Path(data).exists()
    except (OSError, ValueError):
        return False


def read_text(path: Path, encoding: str = UTF_8) -> str:
    r"""Reads a text file unchanged, except for a byte order mark at its beginning.

    Newlines are not translated: "\r\n" stays two characters.

    Args:
        path: The path of the file.
        encoding: Its encoding.

    Returns:
        The text, of at least 1 character.

    Raises:
        OptionError: For the option `data`, if the file cannot be read, is empty or not in this encoding.
    """
    try:
        text = path.read_bytes().decode(encoding).removeprefix(BYTE_ORDER_MARK)
    except OSError as error:
        raise OptionError("data", f"could not be read from {str(path)!r}: {error.strerror}") from error
    except UnicodeError as error:
        raise OptionError(
            "data",
            f"must be {encoding} text, but {str(path)!r} {undecodable(error)}; name another with encoding",
        ) from error
    if not text:
        raise OptionError("data", f"must hold text, but the file {str(path)!r} is empty")
    return text


def undecodable(error: UnicodeError) -> str:
    """Says which byte of a file is not of its encoding."""
    if not isinstance(error, UnicodeDecodeError):  # of some encodings that hardly a text has
        return f"is not: {error}"
    return f"has the byte 0x{error.object[error.start]:02x} at position {error.start} ({error.reason})"


def python_documentation() -> str:
    """Returns the texts of Python's `help()` topics, sorted by topic and joined by newlines.

    Every installation has them: English prose and examples of code, about half a million characters.
    They differ slightly between Python versions; a language task's SHA-256 identifies its text.
    """
    from pydoc_data.topics import topics  # noqa: PLC0415 -- large, and rarely needed

    return "\n".join(topics[topic] for topic in sorted(topics))


def _find_files(data: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Returns one file, or the three files of a directory; or raises OptionError."""
    try:
        path = Path(data)
        is_directory, exists = path.is_dir(), path.exists()
    except PermissionError:
        raise
    except (TypeError, ValueError, OSError) as error:  # not a path, a null character, a name too long
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
    """Raises OptionError for what may never end: a device, or a named pipe, which may have no writer."""
    real = path.resolve()
    if real.exists() and not (real.is_file() or real.is_dir()):
        raise OptionError("data", f"must be the path of a text file or a directory, {str(path)!r} is neither")


def _find_splits(folder: Path) -> tuple[Path, ...]:
    """Returns the files of the splits in a directory, or raises OptionError."""
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


def stamp_of(path: Path) -> Stamp | None:
    """Returns the state of a file or directory, or None if it does not exist or is something else."""
    try:
        found = path.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return None
        return Stamp(path.absolute(), found.st_size, found.st_mtime_ns)
    except OSError:
        return None
