"""Locks: one command at a time writes to a folder.

The lock is that of the `filelock` package on a file in the folder. Locks are released when their process
dies. They hold between machines, too, where a network file system has locks; where there are none, a
warning is printed and work continues.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING

from tf_rnn.files import make_folder
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".lock"


@contextlib.contextmanager
def made_and_held(option: str, folder: Path) -> Iterator[None]:
    """Makes a folder unless it exists, and locks it; folders that it made and that stay empty are removed.

    Raises:
        OptionError: For `option`, if the folder cannot be made or written, or is in use.
    """
    made = [place for place in (folder, *folder.parents) if _is_missing(place)]
    try:
        make_folder(option, folder)
        with held(option, folder):
            yield
    finally:
        with contextlib.suppress(OSError):  # the first that is not empty
            for place in made:
                place.rmdir()


def _is_missing(folder: Path) -> bool:
    try:
        return not folder.exists()
    except OSError:  # `make_folder` reports it
        return False


@contextlib.contextmanager
def held(option: str, folder: Path) -> Iterator[None]:
    """Locks an existing folder.

    Raises:
        OptionError: For `option`, if it is in use or cannot be written.
    """
    with locked(option, folder / LOCK, folder):
        yield


@contextlib.contextmanager
def locked(option: str, path: Path, folder: Path) -> Iterator[None]:
    """Holds a lock file, which exists for as long as it is held.

    Args:
        option: The option named in an error.
        path: The file.
        folder: The folder that it protects.

    Raises:
        OptionError: If another command holds it, or it cannot be made.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 (it takes longer to load than --help may)

    try:
        path.open("a").close()  # an error of the folder is not one of its locks
    except OSError as error:
        message = f"must be a folder that can be written, got {str(folder)!r} ({error.strerror})"
        raise OptionError(option, message) from error
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        message = f"must be a folder that no other command is writing to, got {str(folder)!r}"
        raise OptionError(option, f"{message} ({_holder(path)} is)") from error
    except OSError as error:
        warning = f"no locks in {str(folder)!r} ({error.strerror}): make sure that nothing else writes there"
        print(warning, file=sys.stderr)
    try:
        with contextlib.suppress(OSError):  # a full disk, which the work itself will notice
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):  # while it is held: a file of this name after it is another one
            path.unlink()
        lock.release()


def _holder(path: Path) -> str:
    """The process that holds a lock, in words."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace") or "another process"
    return "another process"
