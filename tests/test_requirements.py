"""The requirements stand in two files, for two ways to install, and say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def requirements() -> dict[str, list[str]]:
    """The lines of requirements.txt under their headings."""
    sections: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = sections.setdefault(line.removeprefix("#").strip(), [])
        elif line.strip():
            section.append(line.strip())
    return sections


def project() -> dict[str, list[str]]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(table, dict)
    return table


def test_run_time_first_then_development() -> None:
    assert list(requirements()) == ["run time", "development"]


def test_the_package_needs_what_the_run_time_part_lists() -> None:
    assert project()["dependencies"] == requirements()["run time"]


def test_what_an_extra_needs_is_there_for_its_tests() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [line for lines in extras["optional-dependencies"].values() for line in lines]
    assert named
    assert [line for line in named if line not in requirements()["development"]] == []


@pytest.mark.parametrize("line", [line for lines in requirements().values() for line in lines])
def test_every_requirement_is_bounded(line: str) -> None:
    assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+,<[0-9.]+", line), line


def test_nothing_is_required_twice() -> None:
    names = [re.split("[<>=]", line)[0] for lines in requirements().values() for line in lines]
    assert len(set(names)) == len(names)


def test_the_tests_run_with_what_is_required() -> None:
    """Everything that tests and linters need is there, so that one line sets up a machine."""
    names = {re.split("[<>=]", line)[0] for line in requirements()["development"]}
    assert {"pytest", "hypothesis", "ruff", "mypy"} <= names
