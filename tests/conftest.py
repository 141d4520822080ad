"""Search profiles of Hypothesis, and the path on which processes that tests start find the package.

A default run searches little and always the same, so that no test fails by chance. The wide searches,
marked slow, differ from run to run unless `--hypothesis-seed` is given, as in `.ci/run`.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent

os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(HERE.parent), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
)

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
