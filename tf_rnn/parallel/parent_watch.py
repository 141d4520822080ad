"""A pipe from a launcher to its workers: it breaks when the launcher ends, even by SIGKILL."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Holds the number of the file descriptor from which the pipe is read.
VARIABLE = "TF_RNN_PARENT_PIPE"
# How long a worker may take to save the run once the launcher has ended.
GRACE_SECONDS = 30.0
PARENT_ENDED = 1


def watch_parent(environment: Mapping[str, str] = os.environ) -> None:
    """Ends this process soon after the launcher that started it; without a launcher it does nothing.

    The process first receives SIGTERM, on which worker 0 saves the run, and is ended after
    GRACE_SECONDS if it still runs.
    """
    descriptor = environment.get(VARIABLE, "")
    if descriptor.isdigit():
        threading.Thread(target=_wait_and_end, args=(int(descriptor),), daemon=True).start()


def _wait_and_end(descriptor: int) -> None:
    try:
        os.read(descriptor, 1)  # nothing is ever written: it returns when the other end is closed
    except OSError:  # the variable was inherited, the pipe was not
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(PARENT_ENDED)
