"""Lets processes that tests start find the package, wherever they run, installed or not; how tests search.

A default run searches little and always the same, so that no test fails by chance in it. The wide
searches, marked slow, look elsewhere every time, unless they are told `--hypothesis-seed`, as `.ci/run` does.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = str(Path(__file__).parent.parent)

os.environ["PYTHONPATH"] = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "quick", max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=SLOW
)
settings.register_profile(
    "wide", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=SLOW
)
settings.load_profile("quick")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: to look through it for garbage again and again takes long."""
    gc.collect()
    gc.freeze()
