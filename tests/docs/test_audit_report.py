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


def test_the_stored_report_has_all_libraries() -> None:
    stored = without_version(STORED.read_text(encoding="utf-8"))
    assert [library.title for library in LIBRARIES if f"## {library.title}\n" not in stored] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "library", [each for each in LIBRARIES if is_installed(each)], ids=lambda library: library.package
)
def test_the_stored_report_is_what_is_read_now(library: Library) -> None:
    """Its code, too. PyTorch and JAX are optional."""
    assert without_version(section(library)) in without_version(STORED.read_text(encoding="utf-8"))


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
