"""Installed from a wheel, the package is whole, and runs where its sources are not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import tf_rnn

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, which stay as they are."""
    place = tmp_path_factory.mktemp("package")
    sources = place / "sources"
    shutil.copytree(ROOT / "tf_rnn", sources / "tf_rnn", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources / name)
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(sources)]
    subprocess.run(build, check=True)
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    folder = wheel.parent / "site"
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(folder), str(wheel)], check=True)
    return folder


def installed(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, run in a folder; it must find the installed package, and no other."""
    return subprocess.run(
        [str(site / "bin" / "tf-rnn"), *words],
        env=os.environ | {"PYTHONPATH": str(site)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"tf_rnn-{tf_rnn.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = (
        path
        for path in (ROOT / "tf_rnn").rglob("*")
        if path.suffix in (".py", ".typed", ".gz", ".css", ".js")
    )
    assert names == {str(path.relative_to(ROOT)) for path in sources}


def parts(requirement: str) -> set[str]:
    """Name and bounds, which may be written in any order."""
    return set(re.findall(r"^[a-z0-9-]+|[<>]=?[0-9.]+", requirement))


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        found = HeaderParser().parsestr(archive.read(name).decode())
    assert (found["Name"], found["Version"]) == (PROJECT["name"], tf_rnn.__version__)
    assert found["Summary"] == PROJECT["description"]
    assert set(found["Requires-Python"].split(",")) == set(PROJECT["requires-python"].split(","))
    needed = [parts(requirement) for requirement in found.get_all("Requires-Dist", [])]
    extras = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
    assert needed == [parts(requirement) for requirement in [*PROJECT["dependencies"], *extras]]
    assert str(found.get_payload()).startswith("# tf_rnn\n")


def test_the_command_runs_outside_of_the_sources(site: Path, tmp_path: Path) -> None:
    words = ["lags", "--state-size", "3", "--batch-size", "20", "--num-steps", "4", "--tokens", "0"]
    done = installed(site, tmp_path, *words, "--out", "out")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "lags.csv",
        "lags.json",
        "lags.png",
        "report.html",
        "report.md",
        "run.toml",
    ]
    done = installed(site, tmp_path, "lags", "--seed", "-1")
    message = "tf_rnn lags: error: --seed must be a whole number of at least 0, got -1\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
