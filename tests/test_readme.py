"""The README says what works: its two commands, its example, and where things are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SET_UP = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python"


def test_two_lines_set_up_and_run() -> None:
    lines = [line.strip() for line in README.splitlines() if line.strip().startswith("python3 -m venv .venv")]
    assert lines == [f"{SET_UP} -m tf_rnn compare", f"{SET_UP} -m pytest"]


def test_continuous_integration_finds_the_test_command() -> None:
    """`.ci/run` takes the line from here, so that what it runs is what a reader types."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "grep -m 1 -- '-m pytest$' README.md" in script
    (found,) = [line for line in README.splitlines() if line.endswith("-m pytest")]
    assert found.strip() == f"{SET_UP} -m pytest"


def test_the_example_runs_as_it_is(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    numbers = [float(number) for number in re.findall(r"\d\.\d+", done.stdout)]
    loss, nothing_learnt = numbers
    assert 0.44 < loss < nothing_learnt, done.stdout


def layout() -> list[tuple[str, str]]:
    table = README.split("| folder |")[1].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, flags=re.MULTILINE)


def test_every_folder_of_the_layout_is_there() -> None:
    paths = [path for path, _ in layout()]
    assert [path for path in paths if not (ROOT / path).is_dir()] == []


def test_the_layout_leaves_no_folder_out() -> None:
    folders = {f"tf_rnn/{path.parent.name}" for path in (ROOT / "tf_rnn").glob("*/__init__.py")}
    assert folders - {path for path, _ in layout()} == set()


def test_every_file_that_is_linked_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / link).exists()] == []
