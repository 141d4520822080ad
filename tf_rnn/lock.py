"""Locks: one command at a time writes to a folder.

The lock is that of the operating system (`flock`) on a file in the folder. Locks are released when their
process dies. They hold between machines, too, where a network file system has locks; where there are none, a
warning is printed and work continues. A file of that name which no command has made, a link say, is refused
and stays as it is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from typing import TYPE_CHECKING

from tf_rnn.console import say
from tf_rnn.files import LOCK, make_folder, require_own
from tf_rnn.options import OptionError

__all__ = ["LOCK", "held", "locked", "made_and_held", "require_in_place"]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How the content of a lock begins; it is empty for a moment after it was made.
OWNER = b"process "
# Neither follows links, nor truncates, nor waits for the other end of a pipe, nor is inherited.
FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def made_and_held(option: str, folder: Path) -> Iterator[Path]:
    """Makes a folder for results unless it exists, and locks it; those it made that stay empty are removed.

    Yields:
        The folder's absolute path, which is the same though the process may change its directory.

    Raises:
        OptionError: For `option`, if the folder cannot be made or written, is in use, has other files, or is
            moved while it is written to.
    """
    require_own(option, folder)
    absolute = folder.absolute()
    made = [place for place in (absolute, *absolute.parents) if _is_missing(place)]
    try:
        make_folder(option, folder)
        with held(option, folder):
            facts = absolute.stat()
            try:
                yield absolute
            except (OSError, OptionError):
                require_in_place(option, absolute, facts)
                raise
    finally:
        with contextlib.suppress(OSError):  # the first that is not empty
            for place in made:
                place.rmdir()


def require_in_place(option: str, folder: Path, facts: os.stat_result) -> None:
    """Raises OptionError if a folder is no longer the one that it was, by what `stat` said then."""
    try:
        is_same = os.path.samestat(folder.stat(), facts)
    except FileNotFoundError:
        is_same = False
    except OSError:  # writing reports it
        is_same = True
    if not is_same:
        raise OptionError(
            option,
            f"must stay where it is until the run ends, {str(folder)!r} has been moved or deleted; "
            "what was saved before is kept",
        )


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
        OptionError: If another command holds it, it cannot be made, or it is no lock.
    """
    with contextlib.ExitStack() as stack:
        try:  # the file is removed from where it was made, wherever that is by then
            around = os.open(path.parent, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, around)
            descriptor = _locked(option, path, folder, around)
        except OSError as error:
            message = f"must be a folder that can be written, got {str(folder)!r} ({error.strerror})"
            raise OptionError(option, message) from error
        stack.callback(os.close, descriptor)  # which releases it
        with contextlib.suppress(OSError):  # a full disk, which the work itself will notice
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, OWNER + f"{os.getpid()} on {socket.gethostname()}".encode(), 0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # while it is held: one of this name after it is another's
                if _is_named(descriptor, path.name, around):
                    os.unlink(path.name, dir_fd=around)


def _locked(option: str, path: Path, folder: Path, around: int) -> int:
    """Opens and locks a file, if necessary again: it may have been removed in between."""
    while True:
        try:
            descriptor = os.open(path.name, FLAGS, 0o666, dir_fd=around)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                raise _no_lock(option, path, folder) from error
            raise
        try:
            content = _content(descriptor, _no_lock(option, path, folder))
            if _acquire(descriptor, option, folder, content) and not _is_named(descriptor, path.name, around):
                os.close(descriptor)
                continue
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _content(descriptor: int, error: OptionError) -> bytes:
    """What a lock says; raises the error for a file that is none: another file, or one with a second name."""
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        raise error
    content = os.pread(descriptor, 200, 0)
    if content and not content.startswith(OWNER):
        raise error
    return content


def _acquire(descriptor: int, option: str, folder: Path, content: bytes) -> bool:
    """Locks a file; returns whether there are locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = content.decode(errors="replace") or "another process"
        message = f"must be a folder that no other command is writing to, got {str(folder)!r}"
        raise OptionError(option, f"{message} ({holder} is)") from error
    except OSError as error:
        warning = f"no locks in {str(folder)!r} ({error.strerror}): make sure that nothing else writes there"
        say(warning)
        return False
    return True


def _is_named(descriptor: int, name: str, around: int) -> bool:
    """Whether an open file is the one of this name in a folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name, dir_fd=around, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _no_lock(option: str, path: Path, folder: Path) -> OptionError:
    return OptionError(
        option,
        f"must be a folder with a lock of its own, got {str(folder)!r}: {str(path)!r} is a link or "
        "another file",
    )
