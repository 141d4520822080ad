"""The one place that imports TensorFlow: quietly, and not before it is used.

`tf` is TensorFlow's version 1 API. Its first attribute access imports TensorFlow; every attribute that was
accessed once is then an ordinary attribute.

TensorFlow writes notes about its kernels and about missing drivers straight to file descriptor 2, before
any Python setting can stop it. The descriptor is therefore redirected to a temporary file during the import;
if the import fails, the notes are shown.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CallableOptions", "tf"]

STANDARD_ERROR = 2


@contextlib.contextmanager
def _quiet_standard_error() -> Iterator[None]:
    if sys.stderr is None:  # closed by whoever started the program
        yield
        return
    with contextlib.suppress(OSError):  # a log that cannot be written
        sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        saved = os.dup(STANDARD_ERROR)
        os.dup2(notes.fileno(), STANDARD_ERROR)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(saved, notes.read())
            raise
        finally:
            os.dup2(saved, STANDARD_ERROR)
            os.close(saved)


@functools.cache
def _tensorflow() -> Any:
    """TensorFlow, imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_standard_error():
        import tensorflow  # noqa: ICN001, PLC0415 (the import has to be quiet)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tensorflow


class _Lazy:
    """TensorFlow's version 1 API, imported on first use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what inspection looks for is no use
            raise AttributeError(name)
        value = getattr(_tensorflow().compat.v1, name)
        setattr(self, name, value)
        return value

    def __reduce__(self) -> str:
        return "tf"


tf: Any = _Lazy()


def CallableOptions(**options: Any) -> Any:  # noqa: N802 (TensorFlow's name, which version 1 lacks)
    """What a prepared run feeds and fetches."""
    _tensorflow()
    from tensorflow.core.protobuf import config_pb2  # noqa: PLC0415

    return config_pb2.CallableOptions(**options)
