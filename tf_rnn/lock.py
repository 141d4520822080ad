"""One writer at a time: what a command writes to is held by it until it is done.

The lock is the operating system's, on an open file. It ends with the process, however that ends: there is
nothing to clear away after a crash. It holds between machines, too, where a network file system has locks
(NFS and SMB do); where there are none, a line says so, and work goes on.
"""

from __future__ import annotations

import contextlib
import errno
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
NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
# Windows lets nobody read what is locked: the lock stands behind what the file says.
LOCKED_BYTE = 1024

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

    def _clear(path: Path, descriptor: int) -> None:
        os.close(descriptor)  # what is open cannot be cleared away
        path.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _clear(path: Path, descriptor: int) -> None:
        try:  # while it is held: a file of this name that comes after it is another one's
            path.unlink()
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def made_and_held(option: str, folder: Path) -> Iterator[None]:
    """Makes a folder unless it is there, and holds it; if nothing comes to be in it, it goes away again.

    Raises:
        OptionError: For `option`, if the folder cannot be made or written, or somebody else holds it.
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
    except OSError:  # what is wrong with it is told when it is made
        return False


@contextlib.contextmanager
def held(option: str, folder: Path) -> Iterator[None]:
    """Keeps all others from writing to a folder that is there.

    Raises:
        OptionError: For `option`, if somebody else holds it, or it cannot be written.
    """
    with locked(option, folder / LOCK, folder):
        yield


@contextlib.contextmanager
def locked(option: str, path: Path, folder: Path) -> Iterator[None]:
    """Holds a lock file, which is there for as long as it is held.

    Args:
        option: What an error is about.
        path: The file.
        folder: What is kept from others by it.

    Raises:
        OptionError: If somebody else holds it, or it cannot be made.
    """
    descriptor = _acquired(option, path, folder)
    try:
        with contextlib.suppress(OSError):  # a disk that is full, which the work itself will notice
            os.truncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            _clear(path, descriptor)


def _acquired(option: str, path: Path, folder: Path) -> int:
    """The descriptor of a lock file that this process holds."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OptionError(
                option, f"must be a folder that can be written, got {str(folder)!r} ({error.strerror})"
            ) from error
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno not in NO_LOCKS_HERE:
                holder = _read(descriptor)
                os.close(descriptor)
                raise OptionError(
                    option,
                    f"must be a folder that no other command is writing to, got {str(folder)!r} "
                    f"({holder} is)",
                ) from error
            warning = (
                f"no locks in {str(folder)!r} ({error.strerror}): nothing else must write there meanwhile"
            )
            print(warning, file=sys.stderr)
            return descriptor
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # whoever had it has cleared it away in between


def _read(descriptor: int) -> str:
    """Who holds a lock, in words."""
    with contextlib.suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return os.read(descriptor, LOCKED_BYTE).decode(errors="replace") or "another process"
    return "another process"


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether a file is still the one of its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
