"""Loops of other libraries: what the audit reads of them is what the stored report says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import benchmarks
from benchmarks.audit.report import is_installed, section
from benchmarks.audit.snippets import LENGTH, LIBRARIES, WIDTH, Library
from benchmarks.audit.snippets.version1 import SNIPPETS
from tf_rnn.audit import Probe

STORED = Path(benchmarks.__file__).parent / "audit" / "report.md"


def without_version(text: str) -> str:
    return re.sub(r"^(## .*) \S+$", r"\1", text, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.package)
def test_the_stored_report_is_what_is_read_now(library: Library) -> None:
    """Its code, too. PyTorch and JAX are optional."""
    stored = without_version(STORED.read_text(encoding="utf-8"))
    assert f"## {library.title}\n" in stored
    if not is_installed(library):
        pytest.skip(f"{library.package} is not installed")
    assert without_version(section(library)) in stored


def test_one_loss_in_the_version_1_api() -> None:
    """On step 18 of 20, in blocks of 5."""
    probe = Probe(LENGTH, 18)
    found = [
        probe.read(*snippet.loop(probe), snippet.loss_scale, asked=WIDTH).sentence for snippet in SNIPPETS
    ]
    assert found == [
        "blocks of 5, state carried",
        "blocks of 5, state reset",
        "errors reach 1 step; 5 were asked for; state carried",
        "blocks of 5, state carried",
    ]
