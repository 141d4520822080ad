"""A pipe from a launcher to its processes: when it breaks, the launcher is gone, however it went."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "TF_RNN_LIFELINE"
# How long a process may take to save what it has once the launcher is gone.
GRACE_SECONDS = 30.0
GONE = 1


def follow_launcher(environment: Mapping[str, str] = os.environ) -> None:
    """Ends this process soon after the launcher that started it; does nothing where there is none.

    It is sent SIGTERM, on which a chief saves the run, and is ended for good if it is still there some
    time after.
    """
    descriptor = environment.get(VARIABLE, "")
    if descriptor.isdigit():
        threading.Thread(target=_wait_and_end, args=(int(descriptor),), daemon=True).start()


def _wait_and_end(descriptor: int) -> None:
    try:
        os.read(descriptor, 1)  # nothing is ever written: it returns when the other end is closed
    except OSError:  # the number was handed on, the pipe was not
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(GONE)
