"""Search profiles of Hypothesis, and the path on which processes that tests start find the package.

A default run searches little and always the same, so that no test fails by chance. The wide searches,
marked slow, differ from run to run unless `--hypothesis-seed` is given, as in `.ci/run`.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tf_rnn.files import write_text
from tf_rnn.reporting import page

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.fixture(autouse=True, scope="session")
def _no_loss_of_power() -> Iterator[None]:
    """Nothing here outlives one, and to wait for the disk takes long; `test_output` has what is synced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


# Whose pages are looked at. Elsewhere they have no pictures, which take longer than the training before.
DRAWN = ("reporting", "docs", "test_command_contract.py", "test_comparison_report.py", "test_forecast.py")


@pytest.fixture(autouse=True, scope="module")
def _pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not {request.path.name, request.path.parent.name} & {*DRAWN}:
            patch.setattr(page.Image, "figure", None)
            patch.setattr(page.Image, "html", page.Image.markdown)
            patch.setattr(page, "write_figure", lambda path, _: write_text(path, ""))
        yield


@pytest.fixture
def chunks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs take their steps in chunks of two, which only large ones do otherwise."""
    monkeypatch.setattr("tf_rnn.graph.chunks.TINY_STEP", 0)
    monkeypatch.setattr("tf_rnn.graph.chunks.CHUNK_STEPS", 2)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: to look through it for garbage again and again takes long."""
    gc.collect()
    gc.freeze()
