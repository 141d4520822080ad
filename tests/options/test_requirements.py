"""Requirements are declared once, in pyproject.toml, each with a lower and an upper bound."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
REQUIREMENTS: list[str] = [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
OWN = "tf-rnn["  # an extra may include another


def test_requirements_txt_is_no_second_list_and_development_includes_every_extra() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["-e .[dev]"]
    assert f"{OWN}cluster,docs,onnx,tensorboard]" in EXTRAS["dev"]
    assert set(EXTRAS) == {"cluster", "docs", "onnx", "tensorboard", "dev"}


def test_every_requirement_has_two_bounds_and_is_there_once() -> None:
    lines = [line for line in REQUIREMENTS if not line.startswith(OWN)]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+>=[0-9.]+,<[0-9.]+", line)] == []
    names = [line.partition(">")[0] for line in lines]
    assert sorted(names) == sorted(set(names))


def test_the_metadata_are_complete_and_name_no_host() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert all((ROOT / name).is_file() for name in [*PROJECT["license-files"], PROJECT["readme"]])
    assert "urls" not in PROJECT
