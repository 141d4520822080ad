"""The one place that imports TensorFlow, quietly, and hands on its version 1 API as `tf`.

`CallableOptions`, which says what a prepared run feeds and fetches, has no name in that API.

TensorFlow writes notes about its kernels and about missing drivers straight to file descriptor 2,
before any Python setting can stop it. The descriptor is therefore turned to a temporary file
during the import; where the import fails, what was written is shown after all.
"""

from __future__ import annotations

import contextlib
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
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        kept = os.dup(STANDARD_ERROR)
        os.dup2(notes.fileno(), STANDARD_ERROR)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, STANDARD_ERROR)
            os.close(kept)


def _import_tensorflow() -> tuple[Any, Any]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_standard_error():
        import tensorflow  # noqa: ICN001, PLC0415 (the import itself has to be quiet)
        from tensorflow.core.protobuf import config_pb2  # noqa: PLC0415
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tensorflow.compat.v1, config_pb2.CallableOptions


tf, CallableOptions = _import_tensorflow()
